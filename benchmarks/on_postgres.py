"""Notifications per second on PostgreSQL: one process submits, others send.

The same work as `end_to_end`, on a private PostgreSQL that really waits for its disk (`fsync`), and
with processor time for each notification of all who take part.

    python -m benchmarks.on_postgres [--count 20000] [--workers 2] [--sink slow --connections 8]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from benchmarks.end_to_end import engine, items, smtp_sink

from tactful import Tactful
from tactful.cli.work import NICE
from tactful.runtime.pace import Share
from tactful.testing.servers.postgres import PostgresServer

LOOK_S = 0.05
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


def work(store: str, port: int, connections: int, share: Share) -> None:
    """One worker process, until its standard input ends."""
    app, _ = engine(port, Path(), store, connections=connections)
    gc.freeze()  # as `tactful work` does, which also makes way for what is critical
    if share == "rest":
        os.nice(NICE)
    app.start(share)
    print("ready", flush=True)
    sys.stdin.readline()
    app.close()
    print(round(time.process_time() * 1e6), flush=True)


@contextmanager
def workers(
    count: int, store: str, port: int, connections: int = 2, *, express: bool = False
) -> Iterator[list[subprocess.Popen[str]]]:
    """Worker processes that are at work; with `express` one more, for what is critical alone."""
    command = [sys.executable, "-m", "benchmarks.on_postgres", "--work", store, "--port", str(port)]
    command += ["--connections", str(connections)]
    shares = [*["rest"] * count, "urgent"] if express else ["all"] * count
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    made = [subprocess.Popen([*command, "--share", share], text=True, **pipes) for share in shares]
    for process in made:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield made
    for process in made:
        if process.poll() is None:
            process.communicate("\n")


def processor_us(pid: int) -> float:
    """What a process and its children have used, those that have ended with them."""
    root = psutil.Process(pid)
    own = root.cpu_times()
    total = own.user + own.system
    for child in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # PostgreSQL ends processes at any time
            used = child.cpu_times()
            total += used.user + used.system
    return (total + own.children_user + own.children_system) * 1e6


def waiting(app: Tactful) -> bool:
    """Whether the queue has anything; what has gone is not counted, which would take long."""
    with app.store.reading() as reader:
        return bool(reader.backlog())


def run(
    count: int,
    recipients: int,
    processes: int,
    folder: Path,
    *,
    sink: str = "c",
    connections: int = 2,
) -> dict[str, Any]:
    """Figures of one run; each worker has so many `connections` to a `sink` of that kind."""
    with PostgresServer(durable=True, settings=SETTINGS) as server, smtp_sink(sink) as port:
        server.create_database("bench")
        store = server.url("bench")
        app, _ = engine(port, folder, store)
        with workers(processes, store, port, connections) as made:
            portions = list(items(count, recipients))
            began = {p.pid: processor_us(p.pid) for p in made}
            server_us, own_us = processor_us(server.pid), time.process_time() * 1e6
            started = time.perf_counter()
            for portion in portions:
                app.send_many(portion)
            admitted = time.perf_counter() - started
            while waiting(app):
                time.sleep(LOOK_S)
            wall = time.perf_counter() - started
            own_us = time.process_time() * 1e6 - own_us
            workers_us = sum(processor_us(pid) - before for pid, before in began.items())
            server_us = processor_us(server.pid) - server_us
            states = app.status()["states"]
        app.close()
    assert states == {"sent": count}, states
    return {
        "notifications": count,
        "workers": processes,
        "per_second": round(count / wall),
        "admitted_per_second": round(count / admitted),
        "submitter_us_each": round(own_us / count),
        "workers_us_each": round(workers_us / count),
        "postgresql_us_each": round(server_us / count),
        "wall_s": round(wall, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--recipients", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sink", choices=("c", "python", "slow"), default="c")
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--share", default="all", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.port, options.connections, options.share)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = run(
            options.count,
            options.recipients,
            options.workers,
            Path(folder),
            sink=options.sink,
            connections=options.connections,
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
