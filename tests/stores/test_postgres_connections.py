"""How many connections a process has to PostgreSQL, and what it says when they are too few."""

from __future__ import annotations

import psycopg
import pytest

from tactful.app import open_store
from tactful.core.errors import ConfigError
from tactful.stores.postgres.store import PostgresStore


def test_a_process_keeps_to_its_connections(used_store_url: str) -> None:
    store = PostgresStore(used_store_url, connections=3)
    with (
        store.transaction(),
        store.transaction(),
        store.reading(),
        psycopg.connect(used_store_url) as look,
    ):
        (taken,) = look.execute(
            "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        ).fetchall()
    store.close()

    assert taken == (3,)


@pytest.mark.parametrize("few", [1, 0, True, "16"])
def test_too_few_to_work_with_are_refused(used_store_url: str, few: int) -> None:
    with pytest.raises(ConfigError, match=r"store_connections: .* at least 2"):
        PostgresStore(used_store_url, connections=few)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///notify.db"])
def test_a_pool_is_only_for_postgresql(url: str) -> None:
    with pytest.raises(ConfigError, match="store_pool: is for PostgreSQL"):
        open_store(url, pool="postgresql://db.example.com:6432/tactful")


def test_nothing_stays_in_a_session_behind_a_pool(used_store_url: str) -> None:
    """The settings end with the transaction, and what is asked often is not prepared."""
    store = PostgresStore(used_store_url, pool=used_store_url)
    for _ in range(10):
        with store.transaction() as tx:
            tx.guard(["ada"])
            tx.lines(["ada"], 10)
            assert _asked(tx, "SHOW statement_timeout") == "30s"
        with store.reading() as reader:
            assert reader.last_event() == 0
            assert _asked(reader, "SHOW enable_seqscan") == "off"
    with store._pool.connection() as session:
        kept = session.execute("SELECT count(*) FROM pg_prepared_statements").fetchall()
        timeout = session.execute("SHOW statement_timeout").fetchall()
    store.close()

    assert (kept, timeout) == ([(0,)], [("0",)])


def _asked(reader: object, sql: str) -> str:
    ((said,),) = reader._cursor.execute(sql).fetchall()  # type: ignore[attr-defined]
    return str(said)
