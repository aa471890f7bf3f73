"""Deliveries admitted per second in bulk: `send_many`, and the fan-out of broadcasts.

`send_many` is given portions of 500 and of 1,000, each with its own data under three rules, and
returns the decisions. A broadcast goes to an audience that is registered before; the clock starts
at its submission and stops when the last delivery is in the queue. Nothing is sent.

*cpu* is the processor time of this process for each delivery, *server* that of PostgreSQL.

    python -m benchmarks.admission [--count 20000] [--audience 100000] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import engine, items
from benchmarks.on_postgres import SETTINGS, processor_us

from tactful import Recipient, Tactful
from tactful.engine.fanout import Fanout
from tactful.testing.servers.postgres import PostgresServer

STORES = ("sqlite", "postgresql")
PORTIONS = (500, 1_000)
NO_SERVER = 9


@contextmanager
def opened(store: str) -> Iterator[tuple[Tactful, Callable[[], float]]]:
    """An engine that does not work, and what its database server has used, in microseconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, used = None, float
        if store == "postgresql":
            server = stack.enter_context(PostgresServer(durable=True, settings=SETTINGS))
            server.create_database("bench")
            url, used = server.url("bench"), lambda: processor_us(server.pid)
        app, _ = engine(NO_SERVER, folder, url)
        stack.callback(app.close)
        yield app, used


def timed(count: int, work: Callable[[], object], used: Callable[[], float]) -> dict[str, Any]:
    """The figures of a piece of work that admits so many deliveries."""
    server = used()
    started, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "deliveries": count,
        "per_second": round(count / wall),
        "wall_us_each": round(wall / count * 1e6, 1),
        "cpu_us_each": round(cpu / count * 1e6, 1),
        "server_us_each": round((used() - server) / count, 1),
    }


def bulk(store: str, count: int, size: int) -> dict[str, Any]:
    """`send_many` in portions of so many."""
    submissions = [item for portion in items(count, count // 4) for item in portion]
    portions = [submissions[at : at + size] for at in range(0, count, size)]

    def work() -> None:
        for portion in portions:
            app.send_many(portion)

    with opened(store) as (app, used):
        result = timed(count, work, used)
        assert sum(app.counts().values()) == count
    return result


def broadcast(store: str, audience: int) -> dict[str, Any]:
    """One broadcast until everyone's delivery is in the queue."""
    data = {"name": "Ada", "order": "A-1", "items": ["cup", "plate"]}
    with opened(store) as (app, used):
        for start in range(0, audience, 5_000):
            app.recipients.put_many(
                Recipient(f"p{n}", name=f"Person {n}", email=f"person{n}@example.com")
                for n in range(start, min(start + 5_000, audience))
            )
        fanout = Fanout(app._context)

        def work() -> None:
            app.broadcast(type="shipping", template="shipped", data=data)
            while fanout.step():
                pass

        result = timed(audience, work, used)
        assert sum(app.counts().values()) == audience
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--audience", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
    }
    for store in [options.store] if options.store else STORES:
        for size in PORTIONS:
            runs = [bulk(store, options.count, size) for _ in range(options.rounds)]
            figures[f"send_many_{size}_{store}"] = runs
            report(f"send_many of {size:,}", store, runs)
        runs = [broadcast(store, options.audience) for _ in range(options.rounds)]
        figures[f"broadcast_{store}"] = runs
        report("broadcast", store, runs)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), "utf-8")


def report(what: str, store: str, runs: Sequence[dict[str, Any]]) -> None:
    """The medians of some runs, for a person."""

    def middle(figure: str) -> float:
        return statistics.median(run[figure] for run in runs)

    each = (f"{part} {middle(f'{part}_us_each'):>6.1f}" for part in ("wall", "cpu", "server"))
    rate = f"{what:<19} {store:<11} {middle('per_second'):>8,.0f}/s"
    print(rate, *each, "us each", sep="   ", flush=True)


if __name__ == "__main__":
    main()
