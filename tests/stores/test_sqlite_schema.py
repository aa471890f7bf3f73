"""The schema is what the queries expect, and every query is understood by SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tactful.core.lifecycle import FINISHED, WAITING
from tactful.core.model import State
from tactful.stores.named_sql import load_migrations, load_queries
from tactful.stores.sqlite.connection import connect, migrate
from tactful.stores.sqlite.writing import for_rows

PACKAGE = "tactful.stores.sqlite"
QUERIES = load_queries(PACKAGE)
TABLES = {
    "addresses": "address recipient",
    "attempts": "recipient at delivery_id number type category channel priority counts outcome "
    "detail",
    "cells": "key tat",
    "deliveries": "id notification_id recipient channel address type category priority created_at "
    "expires_at state rule reason attempts tries crashes updated_at opened_at clicked_at "
    "digest_id ref",
    "due": "delivery_id recipient priority due_at not_before state promised decided held grp rule "
    "reason attempts tries crashes begun owner paused channel",
    "events": "seq name delivery_id at notification_id recipient data",
    "idempotency": "key fingerprint answer expires_at",
    "migrations": "number name checksum",
    "notes": "key value",
    "notifications": "id type category priority content created_at channels expires_at not_before "
    "cursor audience_end audience cancelled trace paused_at paused_by resumed_to",
    "policies": "version kind name body at author",
    "recipients": "seq id name email timezone locale addresses mute",
    "suppressions": "channel address scope reason at",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = connect(tmp_path / "tactful.db", writer=True)
    migrate(connection)
    yield connection
    connection.close()


def columns(connection: apsw.Connection, name: str) -> str:
    rows = connection.execute(f"PRAGMA table_info({name})").fetchall()
    return " ".join(str(row[1]) for row in rows)


def plan(connection: apsw.Connection, name: str) -> list[str]:
    """How SQLite runs a query; its values are all NULL, its rows two."""
    sql = for_rows(QUERIES[name], width(QUERIES[name]), 2)
    places = set(re.findall(r"(?<![\w:]):(\w+)", sql))
    values: object = dict.fromkeys(places) if places else (None,) * sql.count("?")
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()  # type: ignore[arg-type]
    return [str(row[-1]) for row in rows]


def width(sql: str) -> int:
    """How many columns the rows of a query have that takes many."""
    numbers = [int(number) for number in re.findall(r"\br\.column(\d+)", sql)]
    if numbers:
        return max(numbers)
    insert = re.match(r"INSERT INTO \w+ \(([^)]*)\)\s*VALUES \{rows\}", sql)
    return 1 if insert is None else len(insert[1].split(","))


def test_the_tables_are_those_that_are_documented_here(database: apsw.Connection) -> None:
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()

    assert {str(name) for (name,) in rows} == set(TABLES)
    assert {name: columns(database, name) for name in TABLES} == TABLES


def test_every_table_is_strict(database: apsw.Connection) -> None:
    rows = database.execute("PRAGMA table_list").fetchall()
    loose = {row[1] for row in rows if row[2] == "table" and row[1] in TABLES and not row[5]}

    assert loose == set()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_query_is_one_statement_that_sqlite_understands(
    database: apsw.Connection, name: str
) -> None:
    assert ";" not in QUERIES[name]
    plan(database, name)


@pytest.mark.parametrize(
    "name",
    [
        *("due", "due_some", "next_due", "history", "lines", "delivery", "events_of_delivery"),
        *("held", "wake", "wake_anew"),
        *("lease", "begin", "renew", "finish", "leave_queue", "touch", "wait_again", "judge"),
    ],
)
def test_the_hot_queries_never_go_through_a_whole_table(
    database: apsw.Connection, name: str
) -> None:
    # SCAN of a constant, of the values that were given or of a short intermediate result is fine.
    tables = set(TABLES) | {"q", "d", "w", "a", "e"}
    steps = [step.split() for step in plan(database, name)]
    scanned = {step[1] for step in steps if step[0] == "SCAN" and "USING" not in step}

    assert scanned & tables == set()


@pytest.mark.parametrize("name", ["deliveries_of_notification", "deliveries_of_recipient", "held"])
def test_who_goes_through_page_by_page_finds_each_page_in_its_order(
    database: apsw.Connection, name: str
) -> None:
    """Were all that follows sorted for each page, the whole would cost time in square."""
    steps = plan(database, name)
    assert not any("TEMP B-TREE" in step for step in steps), steps


def test_the_states_of_the_schema_are_the_states_of_the_life_of_a_delivery(
    database: apsw.Connection,
) -> None:
    """Waiting and sending ones are in the queue; all others, and no others, in the deliveries."""
    ((sql,),) = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'deliveries'"
    ).fetchall()
    ((queue,),) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'due'").fetchall()

    def states(text: object) -> set[str]:
        found = re.search(r"state IN \(([^)]+)\)", str(text))
        assert found is not None
        return set(re.findall(r"'(\w+)'", found[1]))

    assert states(sql) == {state.value for state in FINISHED}
    assert states(queue) == {state.value for state in (*WAITING, State.SENDING)}


def insert(connection: apsw.Connection, **changed: object) -> None:
    row: dict[str, object] = {
        **dict.fromkeys(TABLES["deliveries"].split()),
        **dict.fromkeys(("id", "notification_id", "recipient", "channel", "address"), "x"),
        **dict.fromkeys(("type", "category"), "x"),
        **dict.fromkeys(("priority", "created_at", "expires_at", "updated_at"), 1),
        **dict.fromkeys(("attempts", "tries", "crashes"), 0),
        **changed,
    }
    places = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO deliveries ({', '.join(row)}) VALUES ({places})", row)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "sent", "opened_at": 5},
        {"opened_at": 5},
        {"state": "delivered", "clicked_at": 5},
        {"state": "sending"},
        {"state": "lost in space"},
        {"priority": 4},
        {"attempts": -1},
        {"created_at": "yesterday"},
    ],
)
def test_the_schema_itself_refuses_what_cannot_be(
    database: apsw.Connection, changed: dict[str, object]
) -> None:
    insert(database, id="fine", state="delivered", opened_at=5, clicked_at=6)
    with pytest.raises(apsw.ConstraintError):
        insert(database, **changed)


def test_every_migration_is_recorded_with_its_checksum(database: apsw.Connection) -> None:
    rows = database.execute("SELECT number, name, checksum FROM migrations").fetchall()

    assert rows == [(step.number, step.name, step.checksum) for step in load_migrations(PACKAGE)]
