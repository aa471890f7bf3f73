"""Everything goes over from one store to another, and the engine goes on where it stood."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from everything import START, answers, fill, names_in, opened

from tactful.core.errors import ConfigError
from tactful.core.model import HOUR, MINUTE, State
from tactful.runtime.clock import ManualClock
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.relational.copying import (
    NUMBERED,
    TABLES,
    Copied,
    Copyable,
    DifferentCopyError,
    copy_tables,
    require_empty,
)
from tactful.stores.sqlite.store import SqliteStore

ALL_OF_POSTGRES = """
SELECT table_name, string_agg(column_name, ' ' ORDER BY column_name),
    coalesce(string_agg(column_name, ' ' ORDER BY column_name)
        FILTER (WHERE data_type = 'boolean'), ''),
    coalesce(string_agg(column_name, ' ') FILTER (WHERE is_identity = 'YES'), '')
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND is_generated = 'NEVER'
    AND table_name NOT IN ('migrations', 'shards', 'editions')
    AND table_name NOT IN (SELECT relname FROM pg_class WHERE relispartition)
GROUP BY table_name
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tactful.db"


@pytest.fixture
def source(file: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    """A SQLite store with everything in it."""
    fill(f"sqlite:///{file}", clock)
    store = SqliteStore(f"sqlite:///{file}")
    yield store
    store.close()


@pytest.fixture
def target(postgres_store_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_store_url)
    yield store
    store.close()


def copy(source: Copyable, target: Copyable) -> list[Copied]:
    with target.incoming() as place:
        require_empty(place)
        with source.outgoing(still=True) as rows:
            return copy_tables(rows, place)


def without_nul(value: Any) -> Any:
    """What is to be compared, with what PostgreSQL keeps instead of NUL."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {key: without_nul(inner) for key, inner in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: without_nul(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [without_nul(inner) for inner in value]
    return value


# What is copied -------------------------------------------------------------------------------


def test_the_tables_that_are_copied_are_all_tables_and_columns_of_postgresql(
    postgres_store_url: str,
) -> None:
    with psycopg.connect(postgres_store_url) as connection:
        rows = connection.execute(ALL_OF_POSTGRES).fetchall()

    def words(names: object) -> list[str]:
        return sorted(str(names).split())

    assert {name: (words(columns), words(flags)) for name, columns, flags, _ in rows} == {
        table.name: (sorted(table.columns), sorted(table.flags)) for table in TABLES
    }
    assert {name for name, _, _, numbered in rows if numbered} == set(NUMBERED)


def test_the_tables_that_are_copied_are_all_tables_and_columns_of_sqlite(file: Path) -> None:
    SqliteStore(f"sqlite:///{file}").close()
    connection = apsw.Connection(str(file))
    rows = connection.execute(
        "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c"
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name <> 'migrations'"
    ).fetchall()
    connection.close()

    assert set(rows) == {(table.name, column) for table in TABLES for column in table.columns}


def test_after_a_copy_both_stores_answer_every_question_alike(
    source: SqliteStore, target: PostgresStore
) -> None:
    names = names_in(source.path)

    done = copy(source, target)

    expected, found = answers(source, names), answers(target, names)
    assert set(expected["counts"]) >= {
        *(State.SENDING, State.DEFERRED, State.BOUNCED, State.FAILED, State.UNKNOWN),
        *(State.REJECTED, State.SUPPRESSED, State.SUPERSEDED, State.EXPIRED, State.CANCELLED),
    }
    assert expected["unfinished"]
    assert expected["cells"]
    for question, answer in expected.items():
        assert without_nul(found[question]) == without_nul(answer), question
    assert all(one.rows for one in done), "every table had something to copy"
    assert sum(one.changed for one in done) > 0, "something had NUL in it"


def test_there_and_back_again_the_same_is_there(
    source: SqliteStore, target: PostgresStore, tmp_path: Path
) -> None:
    names = names_in(source.path)
    back = SqliteStore(f"sqlite:///{tmp_path / 'back.db'}")

    there, again = copy(source, target), copy(target, back)

    assert [one[:3] for one in again] == [one[:3] for one in there]
    assert sum(one.changed for one in again) == 0
    assert answers(back, names) == answers(target, names)
    back.close()


def test_what_only_one_of_them_needs_for_itself_stays_where_it_is(
    target: PostgresStore, file: Path
) -> None:
    """Keys and limits that were only reserved, and a clock that was never set, say nothing."""
    with target.transaction() as tx:
        tx.remembered(["reserved"])
        tx.cells(["reserved"])
    store = SqliteStore(f"sqlite:///{file}")

    assert sum(one.rows for one in copy(target, store)) == 0
    store.close()


# Going on -------------------------------------------------------------------------------------


def test_the_engine_goes_on_exactly_where_it_stood(
    source: SqliteStore, target: PostgresStore, clock: ManualClock
) -> None:
    """The same hours pass on both; what goes out when, and every answer, is the same."""
    copy(source, target)
    names = names_in(source.path)
    # Whoever has the leases seems to live, so what had begun is taken over when they end.
    for place in (source, target):
        with place.reading() as reader:
            lessees = reader.lessees()
        for owner in lessees:
            place.join(owner)
    engines = []
    for store in (source, target):
        now = ManualClock(clock.now())
        app, channel = opened(store.url, now, seed=7)
        engines.append((app, channel, now))
    for _ in range(30):
        results = []
        for app, channel, now in engines:
            due = app.status()["next_due"]
            now.set(max(now.now() + MINUTE, min(due or START, now.now() + 3 * HOUR)))
            results.append((now.now(), due, app.tick(), [m.text for m in channel.messages]))
        assert results[1] == results[0]
    expected, found = (answers(app.store, names) for app, _, _ in engines)
    for question, answer in expected.items():
        assert without_nul(found[question]) == without_nul(answer), question
    assert not expected["unfinished"]
    assert State.DIGESTED in expected["counts"]
    for app, _, _ in engines:
        app.close()


def test_what_was_used_of_a_limit_is_still_used_up(
    source: SqliteStore, target: PostgresStore, clock: ManualClock
) -> None:
    before, _ = opened(source.url, clock, seed=3)
    expected = before.send(type="loud", to="bob", text="again")
    copy(source, target)
    after, _ = opened(target.url, clock, seed=4)
    receipt = after.send(type="loud", to="bob", text="again")
    slot = after.send(type="news", to="bob", text="tomorrow")

    assert (receipt.decision, receipt.rule) == ("reject", "loud")
    assert receipt.retry_at == expected.retry_at
    planned = before.send(type="news", to="bob", text="tomorrow")
    assert (slot.decision, slot.deliver_at) == ("defer", planned.deliver_at)
    before.close()
    after.close()


def test_a_repetition_gets_the_answer_of_the_first_time(
    source: SqliteStore, target: PostgresStore, clock: ManualClock
) -> None:
    again: dict[str, Any] = {
        "type": "news",
        "to": "bob",
        "text": "news 2",
        "collapse_key": "room",
        "idempotency_key": "news-2",
    }
    before, _ = opened(source.url, clock, seed=3)
    expected = before.send(**again)
    before.close()
    copy(source, target)
    after, _ = opened(target.url, clock, seed=4)

    assert after.send(**again) == expected
    after.close()


def test_numbers_go_on_behind_the_highest_that_was_ever_given(
    source: SqliteStore, target: PostgresStore, clock: ManualClock
) -> None:
    """Also behind those of rows that are gone: somebody was forgotten, and events were pruned."""
    connection = apsw.Connection(str(source.path))
    connection.execute("DELETE FROM events WHERE seq > 20")
    highest = {
        str(name): int(str(number))
        for name, number in connection.execute("SELECT name, seq FROM sqlite_sequence")
    }
    connection.close()
    copy(source, target)
    app, _ = opened(target.url, clock, seed=4)

    app.recipients.register("new")
    app.send(type="plain", to="new", text="hello")
    app.rules.put(*app.rules.list()[:1])

    with target.reading() as reader:
        assert reader.last_recipient() == highest["recipients"] + 1
        assert reader.epoch() == highest["policies"] + 1
        assert min(e.seq for e in reader.events(after=20)) > highest["events"]
    app.close()


# What must not be -----------------------------------------------------------------------------


def test_a_store_that_has_anything_is_no_target(source: SqliteStore, target: PostgresStore) -> None:
    copy(source, target)

    with pytest.raises(ConfigError, match=r"must be empty, but notifications is not \(\d+\)"):
        copy(source, target)


def test_a_target_that_changes_what_it_is_given_stays_empty(
    source: SqliteStore, target: PostgresStore
) -> None:
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.author = 'somebody else'; RETURN NEW; END $$;"
            " CREATE TRIGGER other BEFORE INSERT ON policies"
            " FOR EACH ROW EXECUTE FUNCTION other()"
        )

    with pytest.raises(DifferentCopyError, match=r"policies was written as 10 rows .* but has 10"):
        copy(source, target)
    with target.incoming() as place:
        require_empty(place)


def test_a_target_that_takes_less_than_it_is_given_stays_empty(
    source: SqliteStore, target: PostgresStore, tmp_path: Path
) -> None:
    """On both ways, also while rows are still on their way."""
    copy(source, target)
    other = SqliteStore(f"sqlite:///{tmp_path / 'other.db'}")
    connection = apsw.Connection(str(other.path))
    connection.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON events WHEN NEW.seq = 5"
        " BEGIN SELECT RAISE(ABORT, 'enough'); END"
    )
    connection.close()

    with pytest.raises(apsw.ConstraintError, match="enough"):
        copy(target, other)
    with other.incoming() as place:
        require_empty(place)
    with target.reading() as reader:
        assert reader.last_event() > 0, "the source is as usable as before"
    other.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_while_a_store_is_copied_nobody_changes_it(
    kind: str, source: SqliteStore, target: PostgresStore
) -> None:
    """Whoever tries is told to come back later, and nothing of it is lost unseen."""
    copy(source, target)
    store: Copyable = source if kind == "sqlite" else target
    with store.outgoing(still=True) as rows:
        before = rows.count(TABLES[0])
        if kind == "sqlite":
            other = apsw.Connection(str(source.path))
            with pytest.raises(apsw.BusyError):
                other.execute("DELETE FROM notifications")
            other.close()
        else:
            with psycopg.connect(target.url) as session:
                session.execute("SET lock_timeout = '50ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    session.execute("DELETE FROM notifications")
        assert rows.count(TABLES[0]) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_rehearsal_sees_one_instant_and_holds_up_nobody(
    kind: str, source: SqliteStore, target: PostgresStore, clock: ManualClock
) -> None:
    copy(source, target)
    store: Copyable = source if kind == "sqlite" else target
    app, _ = opened(store.url, clock, seed=5)
    with store.outgoing(still=False) as rows:
        before = [rows.count(table) for table in TABLES]
        app.send(type="plain", to="new@example.com", text="meanwhile")
        assert [rows.count(table) for table in TABLES] == before
    app.close()


# In the middle of it --------------------------------------------------------------------------


COPIER = """
import sys
from tactful.stores.chosen import open_store
from tactful.stores.relational.copying import copy_tables
source, target = map(open_store, sys.argv[1:3])
left = int(sys.argv[3])

def seen(rows):
    global left
    left -= 1
    if left == 0:
        print("here", flush=True)
        sys.stdin.readline()

with target.incoming() as place, source.outgoing(still=True) as rows:
    copy_tables(rows, place, seen)
"""


@pytest.fixture
def large(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    """A store with thousands of rows, in four tables."""
    url = f"sqlite:///{tmp_path / 'large.db'}"
    app, _ = opened(url, clock, seed=1)
    app.send_many(
        {"type": "plain", "to": f"a{number}@example.com", "text": "hello"} for number in range(1100)
    )
    app.close()
    store = SqliteStore(url)
    yield store
    store.close()


@pytest.mark.parametrize("reports", [1, 3, 7])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_copy_that_is_killed_leaves_the_target_empty_and_can_be_repeated(
    kind: str, reports: int, large: SqliteStore, target: PostgresStore, tmp_path: Path
) -> None:
    """Wherever it is: among the notifications, among the deliveries, or behind the events."""
    place: Copyable = target
    if kind == "sqlite":
        place = SqliteStore(f"sqlite:///{tmp_path / 'other.db'}")
    process = subprocess.Popen(
        [sys.executable, "-c", COPIER, large.url, place.url, str(reports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.communicate()

    with place.incoming() as tables:
        require_empty(tables)
    assert copy(large, place)[0].rows == 1100
    place.close()
