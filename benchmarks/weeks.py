"""What the ledger of PostgreSQL costs as one table and by weeks: both in one server, in turns.

Two databases get the same attempts of five weeks. Then the statements of a delivery run in portions
of 100, as the engine runs them: read the history of a day, write attempts, write their verdicts.
What is told is the processor time of the server for each delivery.

    python -m benchmarks.weeks [--attempts 500000] [--portions 300]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from random import Random
from typing import Any, Final

import psycopg
from benchmarks.on_postgres import processor_us

from tactful.core.model import DAY
from tactful.stores.named_sql import load_migrations, load_queries
from tactful.stores.postgres.arrays import array
from tactful.stores.postgres.connection import PACKAGE, Connection, connect
from tactful.stores.postgres.weeks import WEEK, make
from tactful.testing.servers.postgres import PostgresServer

NOW: Final = 1_780_315_200_000
ONE_TABLE: Final = 3
"""The last schema in which attempts were one table."""
KIND: Final = ("news", "default", "email", 1, True, None, None)
PORTION: Final = 100
PEOPLE: Final = 20_000
TURN: Final = 20
QUERIES: Final = load_queries(PACKAGE)


def write(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(QUERIES["add_attempt"].encode()) as copy:
        for row in rows:
            copy.write_row((*row, *KIND))


def database(url: str, schema: int, attempts: int) -> Connection:
    """A database of that schema with attempts in it."""
    with psycopg.connect(url) as plain:
        for step in load_migrations(PACKAGE)[:schema]:
            plain.execute(step.sql.encode())
    connection = connect(url)
    random = Random(1)
    instants = sorted(NOW - random.randrange(5 * WEEK) for _ in range(attempts))
    with connection.transaction():
        if schema > ONE_TABLE:
            make(connection, [NOW + n * WEEK for n in range(-5, 5)])
        write(
            connection,
            [
                (f"person{random.randrange(PEOPLE)}", at, f"{n:032x}", 1)
                for n, at in enumerate(instants)
            ],
        )
    connection.execute("SET statement_timeout = 0")
    connection.execute("VACUUM (ANALYZE) attempts")
    return connection


def portion(connection: Connection, number: int, spent: Counter[str]) -> None:
    """One hundred deliveries; adds to the processor time of each step."""
    random = Random(number)
    people = [f"person{n}" for n in random.sample(range(PEOPLE), PORTION)]
    rows = [(name, NOW + number, f"{number:016x}{n:016x}", 1) for n, name in enumerate(people)]
    pid = connection.info.backend_pid

    def timed(step: str, before: float) -> float:
        now = processor_us(pid)
        spent[step] += round(now - before)
        return now

    with connection.transaction():
        at = processor_us(pid)
        since = {"recipients": array(people), "since": NOW + number - DAY}
        connection.execute(QUERIES["history"].encode(), since).fetchall()
        at = timed("read", at)
        write(connection, rows)
        timed("write", at)
    with connection.transaction():
        at = processor_us(pid)
        columns = [["accepted"] * PORTION, [None] * PORTION, [True] * PORTION, people]
        columns += [[row[2] for row in rows], [1] * PORTION, [row[1] for row in rows]]
        connection.execute(QUERIES["judge"].encode(), [array(column) for column in columns])
        timed("verdict", at)


def measure(attempts: int, portions: int) -> dict[str, dict[str, float]]:
    newest = len(load_migrations(PACKAGE))
    spent: dict[str, Counter[str]] = {"one table": Counter(), "weeks": Counter()}
    with PostgresServer() as server:
        made = {}
        for name, schema in (("one table", ONE_TABLE), ("weeks", newest)):
            server.create_database(name.replace(" ", "_"))
            made[name] = database(server.url(name.replace(" ", "_")), schema, attempts)
        for first in range(0, portions, TURN):
            for name, connection in made.items():
                for number in range(first, first + TURN):
                    portion(connection, number, spent[name] if first else Counter())
        for connection in made.values():
            connection.close()
    count = (portions - TURN) * PORTION
    return {
        name: {step: round(us / count, 2) for step, us in steps.items()}
        | {"together": round(steps.total() / count, 2)}
        for name, steps in spent.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attempts", type=int, default=500_000)
    parser.add_argument("--portions", type=int, default=300)
    given = parser.parse_args()
    print(json.dumps(measure(given.attempts, given.portions), indent=2))


if __name__ == "__main__":
    main()
