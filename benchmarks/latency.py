"""From the call of `send` to the SMTP server's 250: idle, and beside a large broadcast.

Idle: one message after the other, each when the engine has gone to sleep. Under load: a message of
critical priority every 100 ms, while a broadcast runs over the same channel of the same store. Its
time counts from the instant at which it was to be submitted, so that whoever is late for the next
one because a `send` took long counts that, too.

On SQLite one process does all; on PostgreSQL this process submits and others send: two workers, and
under `express` one more that is there for what is critical (`tactful work --express`). The SMTP
server is Tactful's own sink in a process of its own: a C sink is quicker but cannot tell when it
answered.
PostgreSQL's log is one that has been written before, as on a server that has run for an hour: while
it still makes new files for it, each of them stops every commit for 10 to 80 ms.
Instants are those of the monotonic clock, which all processes of a machine share.

    python -m benchmarks.latency [--sends 300] [--audience 100000] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from benchmarks.end_to_end import engine
from benchmarks.on_postgres import SETTINGS, workers

from tactful import Recipient, Tactful
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.smtp_sink import Received, SmtpSink

STORES = ("sqlite", "postgresql")
WORKERS = {"idle": 1, "load": 2, "express": 2}
EVERY_S = 0.1
REST_S = 0.03
WARM = 1_000
LOG_MB = 1_500
PATIENCE_S = 60.0
DATA = {"name": "Ada", "order": "A-1", "items": ["cup", "plate"]}

Stamps: TypeAlias = "queue.SimpleQueue[tuple[int, float]]"


def serve() -> None:
    """The mail server: says its port, then number and instant of each message to `opsN@`."""

    def tell(received: Received) -> None:
        name = received.rcpt_tos[0].partition("@")[0]
        if name.startswith("ops"):
            # One write, so that lines of several connections do not mix.
            line = f"{name.removeprefix('ops')} {received.at_monotonic}\n"
            os.write(sys.stdout.fileno(), line.encode())

    with SmtpSink(on_message=tell) as sink:
        print(sink.port, flush=True)
        sys.stdin.readline()


@contextmanager
def stamping_sink() -> Iterator[tuple[int, Stamps]]:
    """A mail server in another process; its port, and what it has to say."""
    command = [sys.executable, "-m", "benchmarks.latency", "--serve"]
    stamps: Stamps = queue.SimpleQueue()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout
        port = int(said.readline())

        def read() -> None:
            for line in said:
                number, at = line.split()
                stamps.put((int(number), float(at)))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield port, stamps
        process.stdin.close()
        reader.join()


@contextmanager
def at_work(store: str, part: str) -> Iterator[tuple[Tactful, Stamps]]:
    """An engine to submit to, whose worker or workers are at work."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, stamps = stack.enter_context(stamping_sink())
        if store == "sqlite":
            app, _ = engine(port, folder)
            stack.callback(app.close)
            stack.enter_context(app)
        else:
            settings = {**SETTINGS, "min_wal_size": f"{LOG_MB}MB"}
            server = stack.enter_context(PostgresServer(durable=True, settings=settings))
            server.create_database("bench")
            use_log(server.url("bench"))
            app, _ = engine(port, folder, server.url("bench"))
            stack.callback(app.close)
            express = part == "express"
            stack.enter_context(workers(WORKERS[part], server.url("bench"), port, express=express))
        yield app, stamps


def use_log(url: str) -> None:
    """Write as much of the log as is kept, and let all of it be used again."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(LOG_MB):
            connection.execute("SELECT pg_logical_emit_message(false, 'log', repeat('x', 1 << 20))")
        connection.execute("CHECKPOINT")


def submit(app: Tactful, number: int) -> None:
    """One critical message, to a person who gets no other."""
    app.send(
        type="alarm",
        to=f"ops{number}@example.com",
        template="shipped",
        data=DATA,
        priority="critical",
    )


def idle(store: str, count: int) -> dict[str, Any]:
    """One after the other, the first ten not counted."""
    took: list[float] = []
    with at_work(store, "idle") as (app, stamps):
        for number in range(count + 10):
            started = time.monotonic()
            submit(app, number)
            submitted = time.monotonic()
            _, arrived = stamps.get(timeout=PATIENCE_S)
            took.append(arrived - started)
            time.sleep(max(0.0, submitted + REST_S - time.monotonic()))
    return percentiles(took[10:])


def load(store: str, part: str, count: int, audience: int) -> dict[str, Any]:
    """One every 100 ms beside a broadcast, which is left when they have arrived."""
    began: dict[int, float] = {}
    submitting: list[float] = []
    with at_work(store, part) as (app, stamps):
        for start in range(0, audience, 5_000):
            people = range(start, min(start + 5_000, audience))
            app.recipients.put_many(
                Recipient(f"p{n}", name=f"Person {n}", email=f"person{n}@example.com")
                for n in people
            )
        app.broadcast(type="shipping", template="shipped", data=DATA)
        wait_for(lambda: sent(app) >= WARM)
        first, passed = time.monotonic(), sent(app)
        for number in range(count):
            began[number] = first + number * EVERY_S
            time.sleep(max(0.0, began[number] - time.monotonic()))
            started = time.monotonic()
            submit(app, number)
            submitting.append(time.monotonic() - started)
        arrived = dict(stamps.get(timeout=PATIENCE_S) for _ in range(count))
        wall, done = time.monotonic() - first, sent(app)
    return {
        **percentiles([at - began[number] for number, at in arrived.items()]),
        "of_it_send": percentiles(submitting),
        "sent_beside_per_second": round((done - passed) / wall),
        "all_beside_broadcast": done < audience,
    }


def sent(app: Tactful) -> int:
    """How many have gone out."""
    return app.status()["states"].get("sent", 0)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds."""
    while not condition():
        time.sleep(0.05)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """The middle and the end of the tail, in milliseconds."""
    hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(hundredths[49] * 1e3, 1), "p99_ms": round(hundredths[98] * 1e3, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=300)
    parser.add_argument("--audience", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--only", choices=tuple(WORKERS), help="only this part")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
    }
    stores = [options.store] if options.store else STORES
    parts = [options.only] if options.only else tuple(WORKERS)
    for part in parts:
        for store in stores:
            if (part, store) == ("express", "sqlite"):
                continue
            runs = []
            for _ in range(options.rounds):
                if part == "idle":
                    runs.append(idle(store, options.sends))
                else:
                    runs.append(load(store, part, options.sends, options.audience))
            figures[f"{part}_{store}"] = runs
            report(part, store, runs)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), "utf-8")


def report(part: str, store: str, runs: Sequence[dict[str, Any]]) -> None:
    """The medians of some runs, for a person."""
    p50 = statistics.median(run["p50_ms"] for run in runs)
    p99 = statistics.median(run["p99_ms"] for run in runs)
    line = f"{part:<7} {store:<11} p50 {p50:>8.1f} ms   p99 {p99:>8.1f} ms"
    if part != "idle":
        beside = statistics.median(run["sent_beside_per_second"] for run in runs)
        line += f"   beside {beside:,.0f}/s"
    print(line, flush=True)


if __name__ == "__main__":
    main()
