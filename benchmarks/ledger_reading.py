"""What it costs to read the histories of 500 recipients: from PostgreSQL, and through Valkey.

    python -m benchmarks.ledger_reading [--rounds 10] [--json FILE]

Processor time in microseconds for each recipient, of all sides, medians of the rounds:

* *row by row*: the engine's own `history`, from the index on (recipient, at);
* *gathered*: the same rows, put together by the database for each recipient and kind;
* *validated cache*: the least that a cache could do that is never believed on its own: read a
  version for each recipient in the transaction, ask Valkey for packed histories, compare, unpack;
* *packed row*: the packed history in the row that would hold the version.

*Keeping* is what the last two cost each time something is sent. The cache is given what it cannot
have for ever: every entry is there and current.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import struct
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
from tactful.stores.postgres.store import PostgresStore

NOW = 1_795_000_000_000
AT_ONCE = 500
RECIPIENTS = 4_000
ROWS = (0, 5, 23, 100)
KINDS = [Kind(what, "default", "email", 1) for what in ("comment", "like", "news", "order")]
SEED = 20_261_122
SINCE = NOW - 31 * DAY
TIMES = 10
VERSION = 7
Histories: TypeAlias = dict[str, list[Entry]]
GATHERED = """
SELECT recipient, type, category, channel, priority, array_agg(at) FROM attempts
WHERE recipient = ANY (%s) AND at > %s AND counts
GROUP BY recipient, type, category, channel, priority
"""
KEEP_ROW = """
UPDATE versions SET version = version + 1, packed = n.packed
FROM unnest(%s::text[], %s::bytea[]) AS n (recipient, packed)
WHERE versions.recipient = n.recipient
"""


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
        connection.execute("DROP TABLE IF EXISTS versions")
        connection.execute(
            'CREATE TABLE versions (recipient TEXT COLLATE "C" PRIMARY KEY,'
            " version BIGINT NOT NULL, packed BYTEA) WITH (fillfactor = 60)"
        )
        columns = "recipient, at, delivery_id, number, type, category, channel, priority, counts"
        cursor = connection.cursor()
        with cursor.copy(f"COPY attempts ({columns}) FROM STDIN") as copy:
            for serial, (at, who, kind) in enumerate(made):
                copy.write_row((who, at, f"d{serial:010}", 1, *kind, True))
        with cursor.copy("COPY versions (recipient, version) FROM STDIN") as copy:
            for number in range(RECIPIENTS):
                copy.write_row((f"person{number}@example.com", VERSION))
        connection.execute("VACUUM ANALYZE attempts")
        connection.execute("VACUUM ANALYZE versions")


def packed(history: Sequence[Entry]) -> bytes:
    """Version, then 10 bytes for each attempt: kind and instant."""
    numbers = {kind: number for number, kind in enumerate(KINDS)}
    return struct.pack("<q", VERSION) + b"".join(
        struct.pack("<Hq", numbers[kind], at) for at, kind in history
    )


def unpacked(text: bytes) -> list[Entry]:
    return [Entry(at, KINDS[kind]) for kind, at in struct.iter_unpack("<Hq", text[8:])]


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
    """The ways to read and to keep histories; each takes the recipients of one round."""

    def __init__(self, url: str, valkey_url: str) -> None:
        self._store = PostgresStore(url)
        self._connection = psycopg.connect(url)
        self._client = valkey.Valkey.from_url(valkey_url)
        everybody = [f"person{number}@example.com" for number in range(RECIPIENTS)]
        self._texts = {who: packed(()) for who in everybody}
        self._texts |= {who: packed(found) for who, found in self.row_by_row(everybody).items()}
        self._client.mset({f"h:{who}": text for who, text in self._texts.items()})
        self.keep_row(everybody)
        with self._connection.transaction():
            self._connection.execute("UPDATE versions SET version = %s", (VERSION,))

    def close(self) -> None:
        self._connection.close()
        self._client.close()
        self._store.close()

    def row_by_row(self, group: Sequence[str]) -> Histories:
        with self._store.reading() as reader:
            return reader.history(group, SINCE)

    def gathered(self, group: Sequence[str]) -> Histories:
        found: Histories = {}
        with self._connection.transaction():
            asked = self._connection.execute(GATHERED, (list(group), SINCE), binary=True)
            rows = asked.fetchall()
        for who, *parts, instants in rows:
            kind = Kind(*parts)
            found.setdefault(who, []).extend([Entry(at, kind) for at in instants])
        for entries in found.values():
            entries.sort()
        return found

    def validated_cache(self, group: Sequence[str]) -> Histories:
        question = "SELECT recipient, version FROM versions WHERE recipient = ANY (%s)"
        with self._connection.transaction():
            versions = dict(self._connection.execute(question, (list(group),)).fetchall())
            texts = self._client.mget([f"h:{who}" for who in group])
        found = {}
        for who, text in zip(group, texts, strict=True):
            if text is not None and int.from_bytes(text[:8], "little") == versions.get(who):
                found[who] = unpacked(text)
        assert len(found) == len(group), "every entry is there and current"
        return found

    def packed_row(self, group: Sequence[str]) -> Histories:
        question = "SELECT recipient, packed FROM versions WHERE recipient = ANY (%s)"
        with self._connection.transaction():
            rows = self._connection.execute(question, (list(group),), binary=True).fetchall()
        return {who: unpacked(text) for who, text in rows}

    def keep_cache(self, group: Sequence[str]) -> None:
        change = "UPDATE versions SET version = version + 1 WHERE recipient = ANY (%s)"
        with self._connection.transaction():
            self._connection.execute(change, (list(group),))
        pipeline = self._client.pipeline(transaction=False)
        for who in group:
            pipeline.set(f"k:{who}", self._texts[who], px=31 * DAY)
        pipeline.execute()

    def keep_row(self, group: Sequence[str]) -> None:
        texts = [self._texts[who] for who in group]
        with self._connection.transaction():
            self._connection.execute(KEEP_ROW, (list(group), texts))


def measure(rows: int, rounds: int, workshop: Workshop) -> dict[str, list[float]]:
    """For each way: microseconds of this process, of PostgreSQL and of Valkey."""
    base, server, name = workshop.postgres(), workshop.valkey(), f"ledger{rows}"
    base.create_database(name)
    PostgresStore(base.url(name)).close()
    fill(base.url(name), rows)
    ways, sides, random = Ways(base.url(name), server.url()), Sides(base.pid, server.pid), Random(1)
    everybody = [f"person{number}@example.com" for number in range(RECIPIENTS)]
    found: dict[str, list[list[float]]] = {}
    reading = (ways.row_by_row, ways.gathered, ways.validated_cache, ways.packed_row)
    same = [{who: sorted(h) for who, h in way(everybody).items() if h} for way in reading]
    assert same == [same[0]] * len(reading), "all ways must find the same histories"
    for way in (*reading, ways.keep_cache, ways.keep_row):
        for _ in range(rounds):
            groups = [random.sample(everybody, AT_ONCE) for _ in range(TIMES)]
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
        f"{'rows':>5} {'':16} {'client':>8} {'database':>9} {'Valkey':>7} {'all':>8}  us/recipient"
    )
    for rows, found in figures.items():
        for label, (own, base, server) in found.items():
            print(
                f"{rows:>5} {label:16} {own:8.1f} {base:9.1f} {server:7.1f}"
                f" {own + base + server:8.1f}"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
