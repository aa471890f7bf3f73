"""What the statements on PostgreSQL ask for, and how: shards first, and nothing read whole."""

from __future__ import annotations

import re

import pytest

from tactful.core.model import State
from tactful.stores.named_sql import load_queries
from tactful.stores.postgres.connection import PACKAGE, connect
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.contracts.store.rows import T0, delivery, notification, row_id

QUERIES = load_queries(PACKAGE)

KEYED = (
    *("guard_shards", "try_shards", "due_candidates"),
    *("line_lengths", "lines", "line_end", "held", "wake", "wake_anew"),
    *("history", "add_attempt", "judge", "judge_restamped"),
    *("add_delivery", "add_due"),
)
"""Statements for each portion that name the recipient or the shard of what they touch."""

BY_ID = (
    *("due", "lease", "extend", "begin", "renew", "queued_of", "finished_of"),
    *("finish", "finish_held", "leave_queue", "wait_again", "touch", "reopen"),
)
"""Those that name deliveries by ids which their caller has from a keyed statement."""

SHARED = (
    *("add_notification", "notifications", "unfinished_broadcasts", "guard_broadcasts"),
    *("add_event", "guard_shared", "guard_alone", "set_clock", "note"),
    *("reserve_keys", "remembered", "remember", "owners", "recipients_by_key", "suppressions"),
    *("reserve_cells", "lock_cells", "cells", "set_cell", "epoch", "policies"),
)
"""Those about what is nobody's own: notifications, events in their one order, rules, people, keys
of callers, throughput."""


@pytest.mark.parametrize("name", KEYED)
def test_hot_statements_name_whom_they_are_about(name: str) -> None:
    sql = QUERIES[name]
    _, _, condition = sql.partition("WHERE")
    told = sql if sql.startswith("COPY") or name.endswith("_shards") else condition
    assert re.search(r"\b(recipient|shard|shards)\b", told), sql


@pytest.mark.parametrize("name", BY_ID)
def test_the_others_go_by_the_id_of_a_delivery(name: str) -> None:
    assert re.search(r"\b(delivery_id|id)\b (=|IN) ", QUERIES[name]), QUERIES[name]


def test_every_exception_is_still_one() -> None:
    """Whoever gives a statement its key moves it among the others."""
    for name in (*BY_ID, *SHARED):
        _, _, condition = QUERIES[name].partition("WHERE")
        assert name in SHARED or not re.search(r"\b(recipient|shard)\b", condition), name


# Plans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prunable", "prune_notifications"])
def test_who_looks_for_what_is_old_does_not_read_what_is_young(
    postgres_store_url: str, name: str
) -> None:
    store = PostgresStore(postgres_store_url)
    with store.transaction() as tx:
        for number in range(200):
            id_ = f"{T0 + number:012x}7{number:019x}"
            tx.add_notifications([notification(0, id=id_, created_at=T0 + number)])
            made = {"created_at": T0 + number, "updated_at": T0 + number}
            tx.add_deliveries([delivery(0, id=id_, state=State.REJECTED, **made)])
    store.close()

    values = {"before": T0 + 3, "most": 1000}
    with connect(postgres_store_url) as connection:
        text = "\n".join(
            row[0]
            for row in connection.execute(
                f"EXPLAIN (ANALYZE, COSTS OFF) {QUERIES[name]}".encode(), values
            )
        )
    assert "Index Cond: (id < '" in text, text
    assert "Seq Scan" not in text


@pytest.mark.parametrize("name", ["deliveries_of_notification", "deliveries_of_recipient", "held"])
def test_who_goes_through_page_by_page_finds_each_page_in_its_order(
    postgres_store_url: str, name: str
) -> None:
    """Were all that follows sorted for each page, the whole would cost time in square."""
    store = PostgresStore(postgres_store_url)
    with store.transaction() as tx:
        tx.add_notifications([notification(0)])
        waits = {"state": State.DEFERRED, "held": True}
        tx.add_deliveries([delivery(number, **waits) for number in range(200)])
    store.close()

    values = {"notification_id": row_id(0), "recipient": "ada", "state": None, "priority": 1}
    with connect(postgres_store_url) as connection:
        text = "\n".join(
            row[0]
            for row in connection.execute(
                f"EXPLAIN (COSTS OFF) {QUERIES[name]}".encode(),
                {**values, "after": "", "most": 10},
            )
        )
    assert "Index" in text
    assert "Sort" not in text, text
