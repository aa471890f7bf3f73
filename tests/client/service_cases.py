"""A real `tactful serve` for the tests of clients, and servers that fail as they are told."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tactful.client.blocking import Client
from tactful.testing.servers.process import free_port


class Served(NamedTuple):
    """A service that runs: where, the key that may do everything, and the port for mail."""

    url: str
    key: str
    smtp_port: int


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """A process of its own, on SQLite, with the inbox as its channel."""
    http, smtp = free_port(), free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("TACTFUL_")}
    options = ("--port", str(http), "--smtp-port", str(smtp))
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tactful", "serve", *options],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
        )
        try:
            yield Served(f"http://127.0.0.1:{http}", _first_key(process, folder / "log"), smtp)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def _first_key(process: subprocess.Popen[bytes], log: Path) -> str:
    """The key that is shown at the first start, and which works when the service answers."""
    for _ in range(1_000):
        said = log.read_text(encoding="utf-8")
        found = re.search(r"tk_live_\S+", said)
        if found and "mail is taken" in said:
            url = re.search(r"http://127\.0\.0\.1:\d+", said)
            assert url is not None
            with Client(url[0], found[0], tries=30) as client:
                client.rules.list()
            return found[0]
        assert process.poll() is None, said
        threading.Event().wait(0.03)
    raise AssertionError(log.read_text(encoding="utf-8"))


class Scripted:
    """An HTTP server that answers with these replies, one for each request, and then no more.

    A reply is the octets of an answer; empty ones end the connection after the request was read.
    """

    def __init__(self, *replies: bytes) -> None:
        self._replies = list(replies)
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while self._replies:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            with connection, connection.makefile("rb") as reading:
                while self._replies:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        line = reading.readline()
                        if not line:
                            break
                        head += line
                    if not head.endswith(b"\r\n\r\n"):
                        break
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    self.requests.append(head + reading.read(int(length[1]) if length else 0))
                    reply = self._replies.pop(0)
                    if not reply:
                        break
                    connection.sendall(reply)


def reply(status: int, body: bytes = b"{}", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
