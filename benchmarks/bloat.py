"""How large the tables of the queue become on PostgreSQL under a long load.

Some ten thousand deliveries are in the queue at any time; the engine decides, sends through a
channel that forgets, and records, until a million have gone through. The server has the settings
of autovacuum that it comes with. The size of a table is that with its indexes. What a delivery
costs is told beside it: processor time, bytes of the log, bytes of each table that grows.

    python -m benchmarks.bloat [--count 1000000] [--queued 10000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from benchmarks.on_postgres import SETTINGS, processor_us

from tactful import Rule, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.core.model import Message, Outcome
from tactful.testing.servers.postgres import PostgresServer

CHANGING: Final = ("due", "shards", "cells", "notes", "idempotency")
"""Tables whose rows change or go while deliveries pass through."""
GROWING: Final = ("notifications", "deliveries", "attempts", "events")
"""Tables that keep rows of every delivery."""
PORTION: Final = 500

_SIZE: Final = """
WITH parts AS (
    SELECT %(table)s::regclass AS id
    UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s::regclass
)
SELECT sum(pg_table_size(id))::bigint, sum(pg_indexes_size(id))::bigint FROM parts
"""


def items(first: int, people: int) -> Iterator[dict[str, Any]]:
    for number in range(first, first + PORTION):
        yield {
            "type": "news",
            "to": f"person{number % people}@example.com",
            "subject": f"News {number}",
            "text": "There is something new in the shop.",
        }


class Look:
    """A connection that asks how large things are."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def size(self, table: str) -> tuple[int, int]:
        """Bytes of a table and of its indexes, with those of its partitions."""
        ((heap, indexes),) = self._connection.execute(_SIZE, {"table": table}).fetchall()
        return heap, indexes

    def sizes(self) -> dict[str, int]:
        """Bytes of each table that changes."""
        return {table: sum(self.size(table)) for table in CHANGING}

    def written(self) -> int:
        """Bytes of the log so far."""
        query = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
        ((found,),) = self._connection.execute(query).fetchall()
        return int(found)

    def sessions(self) -> int:
        """How many sessions others have on the database."""
        query = (
            "SELECT count(*) - 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        ((found,),) = self._connection.execute(query).fetchall()
        return int(found)

    def version(self) -> str:
        return self._connection.info.parameter_status("server_version") or ""


class Forgetful(CaptureChannel):
    """Only counts what it is given."""

    sent = 0

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = super().send(messages)
        with self._lock:
            self.sent += len(messages)
            self.messages.clear()
        return outcomes


def measure(count: int, queued: int, people: int) -> dict[str, Any]:
    with PostgresServer(durable=True, settings=SETTINGS) as server:
        server.create_database("bench")
        channel = Forgetful("email", address_kind="email", batch=100)
        app = Tactful(server.url("bench"), channels=[channel])
        app.rules.put(
            Rule("per-type", types=["news"], limit="100/hour"),
            Rule("per-day", limit="500/day"),
            Rule("per-channel", per="recipient+channel", limit="300/day calendar"),
        )
        look = Look(server.url("bench"))
        admitted = 0
        while admitted < queued:
            app.send_many(list(items(admitted, people)))
            admitted += PORTION
        began = look.sizes()
        looks = [{"admitted": admitted, **began}]
        log, server_us, own_us = look.written(), processor_us(server.pid), time.process_time() * 1e6
        sessions = 0
        with app:
            started = time.perf_counter()
            while admitted < count:
                if admitted - channel.sent > queued - PORTION:
                    time.sleep(0.02)
                    continue
                app.send_many(list(items(admitted, people)))
                admitted += PORTION
                sessions = max(sessions, look.sessions())
                if admitted % (count // 10) == 0:
                    looks.append({"admitted": admitted, **look.sizes()})
                    print(json.dumps(looks[-1]), flush=True)
            app.drain()
            wall = time.perf_counter() - started
        gone = count - queued
        figures = {
            "server": look.version(),
            "per_second": round(count / wall),
            "postgresql_us_each": round((processor_us(server.pid) - server_us) / gone, 1),
            "engine_us_each": round((time.process_time() * 1e6 - own_us) / gone, 1),
            "log_bytes_each": round((look.written() - log) / gone),
            "bytes_each": {
                table: {"rows": round(heap / count), "indexes": round(indexes / count)}
                for table in GROWING
                for heap, indexes in [look.size(table)]
            },
            "most_sessions": sessions,
            "looks": looks,
        }
        app.close()
    last = looks[-1]
    figures["times"] = {
        table: round(last[table] / began[table], 2) for table in CHANGING if began[table]
    }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    given = parser.parse_args()
    figures = measure(given.count, given.queued, given.people)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
