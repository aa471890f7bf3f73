"""Clients of the service take the trace that they are used in along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from span_book import SpanBook, place

from tactful import AsyncClient, Client

KEY = "tk_live_" + "x" * 32


class Ear(ThreadingHTTPServer):
    """A service that hears what it is asked by which trace, and has nothing to say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.heard: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Ear

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(self.headers["traceparent"])
        body = b'{"decision": "send", "notification_id": "n"}'
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as made:
        serving = Thread(target=made.serve_forever)
        serving.start()
        yield made
        made.shutdown()
        serving.join()


def test_a_client_passes_the_trace_on_that_it_is_used_in(ear: Ear) -> None:
    book = SpanBook()
    with Client(ear.url, KEY) as client:
        client.send(type="news", to="ada", text="w")
        with book.tracer.start_as_current_span("checkout") as span:
            client.send(type="news", to="ada", text="w")
    trace, own = place(span)
    nothing, said = ear.heard
    assert nothing is None
    assert said is not None
    assert said.startswith(f"00-{trace:032x}-{own:016x}-")


def test_so_does_the_asynchronous_one(ear: Ear) -> None:
    async def ask() -> None:
        async with AsyncClient(ear.url, KEY) as client:
            await client.send(type="news", to="ada", text="w")

    with SpanBook().tracer.start_as_current_span("checkout") as span:
        asyncio.run(ask())
    assert [said is not None and f"{place(span)[1]:016x}" in said for said in ear.heard] == [True]
