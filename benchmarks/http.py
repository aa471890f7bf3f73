"""Submissions per second through one API process, over loopback, durable on PostgreSQL or SQLite.

Single sends come over some connections at once, each with the next request when the answer to the
one before is there; bulk calls hold 1,000 notifications. Three rules are in force and nobody works,
so each answer is what admission takes. Beside it, in the same run, a bare FastAPI route that does
one durable INSERT for each request, and the service of cue-notify, which has no calls in bulk and
gets a twentieth of the requests.

*cpu* is the processor time of the API process for each notification, *server* that of PostgreSQL.

    python -m benchmarks.http [--count 5000] [--connections 32] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.on_postgres import SETTINGS, processor_us
from benchmarks.peers.environments import PROGRAMS, Unavailable, prepare

from tactful import Tactful
from tactful.core.rules import Rule
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import free_port

BULK = 1_000
PATIENCE_S = 30.0
RULES = (
    Rule("status", "2/minute", types=["status"]),
    Rule("calm", "20/hour"),
    Rule("daily", "50/day calendar"),
)


def request_for(path: str, port: int, body: bytes, token: str = "") -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def read_answer(wire: socket.socket, kept: bytearray) -> int:
    """The status of the next answer; its body is read to the end."""
    while (end := kept.find(b"\r\n\r\n")) < 0:
        kept += _more(wire)
    head = bytes(kept[:end]).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(kept) < end + 4 + length:
        kept += _more(wire)
    del kept[: end + 4 + length]
    return int(head.split(b" ", 2)[1])


def _more(wire: socket.socket) -> bytes:
    part = wire.recv(262_144)
    if not part:
        raise ConnectionError("the service has hung up")
    return part


def ask(port: int, requests: Sequence[bytes], connections: int, status: int = 202) -> float:
    """Seconds until all requests were answered with success."""
    statuses: list[int] = []

    def one(mine: Sequence[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kept = bytearray()
            for request in mine:
                wire.sendall(request)
                statuses.append(read_answer(wire, kept))

    threads = [
        threading.Thread(target=one, args=(requests[n::connections],)) for n in range(connections)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - started
    assert statuses == [status] * len(requests), f"not all were accepted: {set(statuses)}"
    return taken


@contextmanager
def served(command: Sequence[str], port: int, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers on a port."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **options) as process:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, "the service has ended"
                assert time.monotonic() < deadline, "the service does not answer"
                time.sleep(0.05)
        try:
            yield process
        finally:
            process.terminate()


def measured(
    what: str, count: int, work: Callable[[], float], api: int, server: Callable[[], float]
) -> dict[str, Any]:
    before, beside = processor_us(api), server()
    seconds = work()
    return {
        "what": what,
        "notifications": count,
        "per_second": round(count / seconds),
        "cpu_us": round((processor_us(api) - before) / count, 1),
        "server_us": round((server() - beside) / count, 1),
    }


def notification(number: int, people: int) -> dict[str, Any]:
    return {
        "type": "news",
        "to": f"user-{number % people}@example.com",
        "subject": f"Message {number}",
        "text": "Something has happened that you may want to know about.",
    }


def tactful(
    url: str, count: int, connections: int, folder: Path, server: Callable[[], float]
) -> Iterator[dict[str, Any]]:
    """Single sends and bulk calls through `tactful serve`."""
    app = Tactful(url)
    app.rules.put(*RULES)
    app.close()
    cli = [sys.executable, "-m", "tactful"]
    made = subprocess.run(
        [*cli, "keys", "create", "bench", "--json", "--store", url],
        capture_output=True,
        check=True,
        cwd=folder,
    )
    token, port = json.loads(made.stdout)["token"], free_port()
    command = [*cli, "serve", "--no-worker", "--port", str(port), "--store", url]
    config = folder / "tactful.toml"
    config.write_text("[http]\nrate = 1000000\nburst = 1000000\n", "utf-8")
    people = max(count, 10 * BULK)
    with served([*command, "--config", str(config)], port) as api:
        single = [
            request_for(
                "/v1/notifications", port, json.dumps(notification(n, people)).encode(), token
            )
            for n in range(count)
        ]
        ask(port, single[: count // 10], connections)
        rest = single[count // 10 :]
        yield measured(
            "Tactful, single", len(rest), lambda: ask(port, rest, connections), api.pid, server
        )
        calls = [
            request_for(
                "/v1/notifications/bulk",
                port,
                json.dumps(
                    {"items": [notification(call * BULK + n, people) for n in range(BULK)]}
                ).encode(),
                token,
            )
            for call in range(max(2, count // 250))
        ]
        yield measured(
            "Tactful, bulk of 1,000",
            len(calls) * BULK,
            lambda: ask(port, calls, 4),
            api.pid,
            server,
        )


def bare(url: str, count: int, connections: int, server: Callable[[], float]) -> dict[str, Any]:
    """A FastAPI route with a model and one INSERT, committed, for each request."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_api", url, str(port)]
    with served(command, port) as api:
        requests = [
            request_for("/notifications", port, json.dumps(notification(n, count)).encode())
            for n in range(count)
        ]
        ask(port, requests[: count // 10], connections)
        rest = requests[count // 10 :]
        return measured(
            "bare FastAPI and INSERT",
            len(rest),
            lambda: ask(port, rest, connections),
            api.pid,
            server,
        )


def cue(
    url: str, count: int, connections: int, folder: Path, server: Callable[[], float]
) -> dict[str, Any]:
    """Single messages through `cuectl serve`; raises `Unavailable`."""
    environment, port = prepare("cue_service"), free_port()
    job = folder / "cue.json"
    job.write_text(json.dumps({"url": url, "port": port}), "utf-8")
    command = [str(environment.python), str(PROGRAMS / "cue_service.py")]
    options = {"env": {**os.environ, "PEER_JOB": str(job)}, "stdout": subprocess.PIPE}
    with served(command, port, cwd=folder, **options) as api:
        assert api.stdout is not None
        key = json.loads(api.stdout.readline())["key"]
        words = {"title": "{{ subject }}", "body": "{{ text }}"}
        template = {"key": "bench", "default_locale": "en", "locales": {"en": words}}
        body = json.dumps(template).encode()
        ask(port, [request_for("/v1/templates", port, body, key)], 1, 201)

        def message(number: int) -> bytes:
            fields = notification(number, count)
            address = {"channel": "email", "value": fields["to"]}
            recipient = {"external_id": fields["to"], "addresses": [address]}
            words = {"subject": fields["subject"], "text": fields["text"]}
            asked = {"recipient": recipient, "template": "bench", "channels": ["email"]}
            body = json.dumps({**asked, "data": words}).encode()
            return request_for("/v1/messages", port, body, key)

        requests = [message(n) for n in range(count)]
        ask(port, requests[: count // 10], connections)
        rest = requests[count // 10 :]
        work = partial(ask, port, rest, connections)
        return measured("cue-notify, single", len(rest), work, api.pid, server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(PostgresServer(durable=True, settings=SETTINGS))
        server.create_database("bench")
        server.create_database("bare")
        server.create_database("cue")

        def used() -> float:
            return processor_us(server.pid)

        size = (options.count, options.connections)
        on_postgres = [*tactful(server.url("bench"), *size, folder, used)]
        on_postgres.append(bare(server.url("bare"), *size, used))
        try:
            few = (max(100, options.count // 20), options.connections)
            on_postgres.append(cue(server.url("cue"), *few, folder, used))
        except Unavailable as missing:
            print(f"not measured: cue-notify: {missing}", file=sys.stderr)
        on_sqlite = tactful(f"sqlite:///{folder / 'notify.db'}", *size, folder, float)
        found += [{"store": "PostgreSQL", **row} for row in on_postgres]
        found += [{"store": "SQLite", **row} for row in on_sqlite]
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'what':<26}{'store':<12}{'per second':>12}{'cpu us':>10}{'server us':>11}")
    for row in found:
        print(
            f"{row['what']:<26}{row['store']:<12}{row['per_second']:>12,}"
            f"{row['cpu_us']:>10}{row['server_us']:>11}"
        )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
