"""The attempts on PostgreSQL by weeks: how they are made, found, dropped, and came to be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg
import pytest

from tactful.core.errors import ConfigError
from tactful.core.model import DAY, NEVER, Millis
from tactful.ports import Lease
from tactful.stores.named_sql import load_migrations, load_queries
from tactful.stores.postgres.arrays import array
from tactful.stores.postgres.connection import PACKAGE, connect
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.postgres.weeks import AHEAD, WEEK, parts_of
from tactful.testing.contracts.store.rows import KIND, T0, attempt, delivery, row_id

PEOPLE = 40


def send_at(store: PostgresStore, number: int, at: Millis) -> None:
    """An attempt at an instant."""
    with store.transaction() as tx:
        tx.add_deliveries([delivery(number)])
        tx.lease([Lease(attempt(number, at=at), NEVER, 0)])


def names(url: str) -> list[str]:
    with connect(url) as connection:
        return sorted(part.name for part in parts_of(connection))


def instants(store: PostgresStore, since: Millis = -1) -> list[Millis]:
    with store.reading() as reader:
        return [entry.at for entry in reader.history(["ada"], since).get("ada", [])]


def end_of(url: str) -> Millis:
    """Where the last week ends."""
    with connect(url) as connection:
        return max(part.end for part in parts_of(connection))


def begun(url: str) -> PostgresStore:
    """A store in which one attempt was made."""
    store = PostgresStore(url)
    with store.transaction() as tx:
        tx.add_deliveries([delivery(1000, recipient="zoe")])
        tx.lease([Lease(attempt(1000, recipient="zoe"), NEVER, 0)])
    return store


def asked(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(sql.encode()).fetchall()


# Making ---------------------------------------------------------------------------------------


def test_weeks_are_made_before_they_begin(postgres_store_url: str) -> None:
    store = begun(postgres_store_url)
    end = end_of(postgres_store_url)
    send_at(store, 1, end - 2 * WEEK)
    assert end_of(postgres_store_url) == end, "there is one more"
    send_at(store, 2, end - 1)
    store.close()

    assert end_of(postgres_store_url) == end + AHEAD * WEEK


def test_a_clock_far_ahead_finds_its_week_too(postgres_store_url: str) -> None:
    """What it wrote is put right like anything else, and the weeks in between need not exist."""
    store = begun(postgres_store_url)
    far = T0 + 9_000 * DAY
    send_at(store, 1, far)
    assert instants(store) == [far]
    with store.transaction() as tx:
        assert tx.turn_back(T0) == 1
    assert instants(store) == [T0]
    store.close()


def test_weeks_are_made_while_others_read_and_write(postgres_store_url: str) -> None:
    store = begun(postgres_store_url)
    send_at(store, 1, T0)
    with ExitStack() as stack:
        reader = stack.enter_context(store.reading())
        writer = stack.enter_context(store.transaction())
        assert len(reader.history(["ada"], 0)) == 1
        writer.add_deliveries([delivery(2, recipient="bob")])
        writer.lease([Lease(attempt(2, recipient="bob", at=T0 + 1), NEVER, 0)])
        send_at(store, 3, end_of(postgres_store_url) + WEEK)
    assert len(instants(store)) == 2
    store.close()


# Dropping -------------------------------------------------------------------------------------


def prune(store: PostgresStore, history_before: Millis) -> int:
    with store.transaction() as tx:
        return tx.prune(0, history_before, 1000)


def test_whole_weeks_are_dropped_and_the_youngest_is_cleared_row_by_row(
    postgres_store_url: str,
) -> None:
    store = begun(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    sent = [last - 2 * WEEK, last - 1, last, last + 1, last + 2]
    for number, at in enumerate(sent):
        send_at(store, number, at)

    assert prune(store, last + 2) == 5
    assert instants(store) == [last + 2]
    assert f"attempts_w{last // WEEK}" in names(postgres_store_url)
    assert f"attempts_w{last // WEEK - 1}" not in names(postgres_store_url)
    assert "attempts_past" not in names(postgres_store_url)
    assert prune(store, last + 2) == 0
    store.close()


def test_a_week_is_dropped_while_others_write(postgres_store_url: str) -> None:
    """They wait for nothing; the week goes when those have ended who might read it."""
    store = begun(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    send_at(store, 1, last)
    with store.transaction() as tx:
        tx.add_deliveries([delivery(2)])
        assert prune(store, last) == 1
        tx.lease([Lease(attempt(2, at=last + 1), NEVER, 0)])
    assert instants(store) == [last, last + 1]
    assert min(names(postgres_store_url)) == f"attempts_w{last // WEEK}"
    store.close()


def test_who_is_still_reading_a_week_holds_up_only_its_end(postgres_store_url: str) -> None:
    """It reads on, nobody else sees the week any more, and the next time it is dropped."""
    store = begun(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    send_at(store, 1, last - 1)
    send_at(store, 2, last)
    with store.reading() as reader:
        assert len(reader.history(["ada"], -1)["ada"]) == 2
        prune(store, last)
        assert len(reader.history(["ada"], -1)["ada"]) == 2
        send_at(store, 3, last + 1)
    for _ in range(10):
        prune(store, last)
    assert instants(store) == [last, last + 1]
    assert min(names(postgres_store_url)) == f"attempts_w{last // WEEK}"
    store.close()


def test_another_process_finds_no_week_and_tries_again(postgres_store_url: str) -> None:
    """Its clock was set back behind what has been dropped."""
    one, other = begun(postgres_store_url), PostgresStore(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    send_at(one, 1, T0)
    prune(other, last)
    with pytest.raises(Exception, match="no partition") as raised:
        send_at(one, 2, T0)
    send_at(one, 2, T0)
    assert type(raised.value).__name__ == "Contended"
    assert instants(one) == [T0]
    one.close()
    other.close()


# Reading --------------------------------------------------------------------------------------


def plan(url: str, name: str, values: dict[str, object]) -> str:
    """How a named query is done, with what was left out while it ran."""
    with connect(url) as connection:
        sql = load_queries(PACKAGE)[name]
        return "\n".join(
            row[0]
            for row in connection.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}".encode(), values)
        )


@pytest.mark.parametrize("back", [0, 1, 3])
def test_history_reads_only_the_weeks_of_its_window(postgres_store_url: str, back: int) -> None:
    store = begun(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    send_at(store, 1, last)
    store.close()
    values: dict[str, object] = {"recipients": "{ada,bob}", "since": last - back * WEEK}
    text = plan(postgres_store_url, "history", values)
    with connect(postgres_store_url) as connection:
        after = sum(part.end > last - back * WEEK for part in parts_of(connection))

    assert text.count("Index Scan") == after
    assert "Seq Scan" not in text


def test_a_verdict_is_written_where_its_attempt_is(postgres_store_url: str) -> None:
    store = begun(postgres_store_url)
    last = end_of(postgres_store_url) - WEEK
    send_at(store, 1, last)
    store.close()
    sql = load_queries(PACKAGE)["judge"]
    columns: Sequence[Sequence[object]] = [
        ["ok"],
        [None],
        [True],
        ["ada"],
        [row_id(1)],
        [1],
        [last],
    ]
    with connect(postgres_store_url) as connection:
        text = "\n".join(
            row[0]
            for row in connection.execute(
                f"EXPLAIN (ANALYZE, COSTS OFF) {sql}".encode(), [array(one) for one in columns]
            )
        )

    scans = [line for line in text.splitlines() if "Scan" in line and "attempts" in line]
    assert len([line for line in scans if "never executed" not in line]) == 1, text


# From the schema before -----------------------------------------------------------------------


def old_database(url: str, at: Millis) -> None:
    """A database as the version before left it, with attempts."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
            " checksum TEXT NOT NULL)"
        )
        for step in load_migrations(PACKAGE)[:3]:
            connection.execute(step.sql.encode())
            connection.execute(
                "INSERT INTO migrations VALUES (%s, %s, %s)",
                (step.number, step.name, step.checksum),
            )
        with connection.cursor().copy("COPY attempts FROM STDIN") as copy:
            for number in range(PEOPLE):
                copy.write_row(
                    (f"p{number}", at - number, row_id(number), 1, *KIND, True, None, None)
                )


def test_a_database_with_attempts_is_migrated_without_copying_them(postgres_url: str) -> None:
    """The table is attached as it is: same file, same rows, and still no attempt twice."""
    old_database(postgres_url, T0)
    (before,) = asked(postgres_url, "SELECT relfilenode FROM pg_class WHERE relname = 'attempts'")
    with pytest.raises(ConfigError, match="run `tactful migrate`"):
        PostgresStore(postgres_url)
    store = PostgresStore(postgres_url, migrated=True)
    with store.reading() as reader:
        found = reader.history([f"p{number}" for number in range(PEOPLE)], 0)
    store.close()
    (after,) = asked(
        postgres_url, "SELECT relfilenode FROM pg_class WHERE relname = 'attempts_past'"
    )

    assert before == after
    assert {name: [entry.at for entry in entries] for name, entries in found.items()} == {
        f"p{number}": [T0 - number] for number in range(PEOPLE)
    }
    with pytest.raises(psycopg.errors.UniqueViolation):
        asked(postgres_url, "INSERT INTO attempts SELECT * FROM attempts LIMIT 1 RETURNING 1")


def test_attempts_from_the_future_are_migrated_too(postgres_url: str) -> None:
    """A clock was ahead by years when they were written."""
    far = T0 + 9_000 * DAY
    old_database(postgres_url, far)
    store = PostgresStore(postgres_url, migrated=True)
    with store.transaction() as tx:
        assert tx.turn_back(T0) == PEOPLE
    with store.reading() as reader:
        assert [entry.at for entry in reader.history(["p0"], 0)["p0"]] == [T0]
    store.close()


def test_a_migration_that_was_interrupted_goes_on(postgres_url: str) -> None:
    """Each is a transaction of its own, and the old version works between them."""
    old_database(postgres_url, T0)
    (first, *_) = load_migrations(PACKAGE)[3:]
    with psycopg.connect(postgres_url) as connection:
        connection.execute(first.sql.encode())
        connection.execute(
            "INSERT INTO migrations VALUES (%s, %s, %s)", (first.number, first.name, first.checksum)
        )
        connection.execute(
            "INSERT INTO attempts SELECT 'q', at, delivery_id, number, type, category, channel,"
            " priority, counts FROM attempts LIMIT 1"
        )
    store = PostgresStore(postgres_url, migrated=True)
    with store.reading() as reader:
        assert len(reader.history(["q"], 0)["q"]) == 1
    store.close()
