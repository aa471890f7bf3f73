"""The queue on PostgreSQL stays as small as what is in it, however much goes through."""

from __future__ import annotations

import time

import psycopg

from tactful.core.model import State
from tactful.ports import Result
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.postgres.sweeping import LEAST
from tactful.testing.contracts.store.rows import T0, delivery, row_id

PATIENCE_S = 60


def pass_through(store: PostgresStore, first: int, count: int) -> None:
    """Deliveries that are queued and called off."""
    numbers = range(first, first + count)
    with store.transaction() as tx:
        tx.add_deliveries([delivery(number) for number in numbers])
    with store.transaction() as tx:
        tx.settle([Result(row_id(number), None, State.CANCELLED, T0) for number in numbers], [])


def test_whoever_empties_the_queue_sweeps_it(postgres_store_url: str) -> None:
    store = PostgresStore(postgres_store_url)
    sizes: list[int] = []
    with psycopg.connect(postgres_store_url, autocommit=True) as look:

        def asked(sql: str) -> int:
            ((found,),) = look.execute(sql.encode()).fetchall()
            return int(found)

        for turn in range(1, 6):
            pass_through(store, turn * LEAST, LEAST)
            until = time.monotonic() + PATIENCE_S
            while asked("SELECT pg_stat_get_vacuum_count('due'::regclass)") < turn:
                assert time.monotonic() < until, "nobody has swept"
            sizes.append(asked("SELECT pg_total_relation_size('due')"))
    store.close()

    assert sizes[-1] < 2 * sizes[0], sizes


def test_a_few_deliveries_are_not_swept_after(postgres_store_url: str) -> None:
    """A vacuum would cost more than they did."""
    store = PostgresStore(postgres_store_url)
    pass_through(store, 1, 100)
    store.close()
    with psycopg.connect(postgres_store_url) as look:
        (swept,) = look.execute("SELECT pg_stat_get_vacuum_count('due'::regclass)").fetchall()
    assert swept == (0,)
