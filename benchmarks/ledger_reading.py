"""What it costs to read the histories of 500 recipients: from PostgreSQL alone, or with a ledger.

    python -m benchmarks.ledger_reading [--rounds 10] [--json FILE]

Processor time in microseconds for each recipient, of all sides, medians of the rounds:

* *from the store*: the engine without a ledger, row by row from the index on (recipient, at);
* *through the ledger*: what has settled from Valkey, which has it, the rest from the store;
* *filling the ledger*: Valkey has nothing: read from the store, and kept.

All in a transaction of their own that guards the recipients, as a claim does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import psycopg
import valkey
from benchmarks.peers.programs.measuring import cpu_seconds
from benchmarks.peers.workshop import Workshop

from tactful.core.model import DAY, Entry, Kind
from tactful.engine.histories import MOST, Past
from tactful.ledgers.settled import SettledHistories
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.postgres.weeks import make

NOW = 1_795_000_000_000
AT_ONCE = 500
RECIPIENTS = 4_000
ROWS = (0, 5, 16, 23, 50, 100, 400)
KINDS = [Kind(what, "default", "email", 1) for what in ("comment", "like", "news", "order")]
SEED = 20_261_122
REACH = 31 * DAY
TIMES = 10
Histories: TypeAlias = dict[str, list[Entry]]


def fill(url: str, rows: int) -> None:
    """Attempts of the last 30 days, in the order of time, as an engine would have written them."""
    random = Random(SEED)
    made = [
        (NOW - random.randrange(30 * DAY), f"person{number}@example.com", random.choice(KINDS))
        for number in range(RECIPIENTS)
        for _ in range(rows)
    ]
    made.sort()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE attempts")
        make(connection, {at for at, _, _ in made})
        columns = "recipient, at, delivery_id, number, type, category, channel, priority, counts"
        cursor = connection.cursor()
        with cursor.copy(f"COPY attempts ({columns}) FROM STDIN") as copy:
            for serial, (at, who, kind) in enumerate(made):
                copy.write_row((who, at, f"d{serial:010}", 1, *kind, True))
        connection.execute("VACUUM ANALYZE attempts")


class Sides:
    """The processor time of this process and of both servers."""

    def __init__(self, postgres: int, server: int) -> None:
        self._servers = (postgres, server)

    def spent(
        self, work: Callable[[Sequence[str]], object], groups: list[list[str]]
    ) -> list[float]:
        """Microseconds for each recipient: of this process, of PostgreSQL, of Valkey."""
        before = [time.process_time(), *map(cpu_seconds, self._servers)]
        for group in groups:
            work(group)
        after = [time.process_time(), *map(cpu_seconds, self._servers)]
        asked = sum(map(len, groups))
        return [(b - a) / asked * 1e6 for a, b in zip(before, after, strict=True)]


class Ways:
    """The ways to read histories; each takes the recipients of one round."""

    def __init__(self, url: str, valkey_url: str) -> None:
        self._store = PostgresStore(url)
        self._client = valkey.Valkey.from_url(valkey_url)
        self._ledger = SettledHistories(valkey_url, timeout_ms=1_000)
        self._alone = Past()
        self._both = Past(self._ledger)

    def close(self) -> None:
        self._client.close()
        self._ledger.close()
        self._store.close()

    def from_the_store(self, group: Sequence[str]) -> Histories:
        return self._read(self._alone, group)

    def through_the_ledger(self, group: Sequence[str]) -> Histories:
        return self._read(self._both, group)

    def filling_the_ledger(self, group: Sequence[str]) -> Histories:
        self._client.flushdb()
        return self._read(self._both, group)

    def _read(self, past: Past, group: Sequence[str]) -> Histories:
        with self._store.transaction() as tx:
            tx.guard(group)
            found = past.read(tx, group, NOW, REACH, REACH)
        past.keep(found, REACH)
        return found.of


def measure(rows: int, rounds: int, workshop: Workshop) -> dict[str, list[float]]:
    """For each way: microseconds of this process, of PostgreSQL and of Valkey."""
    base, server, name = workshop.postgres(), workshop.valkey(), f"ledger{rows}"
    base.create_database(name)
    PostgresStore(base.url(name)).close()
    fill(base.url(name), rows)
    ways, sides, random = Ways(base.url(name), server.url()), Sides(base.pid, server.pid), Random(1)
    everybody = [f"person{number}@example.com" for number in range(RECIPIENTS)]
    found: dict[str, list[list[float]]] = {}
    reading = (ways.from_the_store, ways.filling_the_ledger, ways.through_the_ledger)
    same = [{who: sorted(h) for who, h in way(everybody).items() if h} for way in reading]
    assert same == [same[0]] * len(reading), "all ways must find the same histories"
    for _ in range(rounds):
        for way in reading:
            groups = [random.sample(everybody, AT_ONCE) for _ in range(TIMES)]
            if way == ways.through_the_ledger:
                for group in groups * (AT_ONCE * rows // MOST + 1):
                    way(group)  # until all of it is kept
            found.setdefault(way.__name__, []).append(sides.spent(way, groups))
    ways.close()
    return {
        label: [round(statistics.median(side), 1) for side in zip(*several, strict=True)]
        for label, several in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    with Workshop() as workshop:
        figures: dict[str, Any] = {
            str(rows): measure(rows, options.rounds, workshop) for rows in ROWS
        }
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.0f}"
    )
    print(
        f"{'rows':>5} {'':18} {'client':>8} {'database':>9} {'Valkey':>7} {'all':>8}  us/recipient"
    )
    for rows, found in figures.items():
        for label, (own, base, server) in found.items():
            print(
                f"{rows:>5} {label:18} {own:8.1f} {base:9.1f} {server:7.1f}"
                f" {own + base + server:8.1f}"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
