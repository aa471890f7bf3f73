"""Rows to test with: each maker fills in whatever a test does not care about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tactful.core.model import MINUTE, NEVER, Content, Kind, Millis, State
from tactful.ports import (
    Attempt,
    Delivery,
    Lease,
    Notification,
    Result,
    Store,
    Tx,
    Verdict,
)

T0: Final[Millis] = 1_700_000_000_000
"""The instant at which every test begins."""

KIND: Final = Kind("news", "default", "email", 1)


def row_id(number: int) -> str:
    """An id as the engine makes them: 32 hexadecimal digits that ascend with creation."""
    return f"{number:032x}"


def delivery(number: int, /, **changes: Any) -> Delivery:
    """Delivery `number`: queued for `ada` and due at T0, unless something else is said."""
    row = Delivery(
        id=row_id(number),
        notification_id=row_id(0),
        recipient="ada",
        channel="email",
        address="ada@example.com",
        type=KIND.type,
        category=KIND.category,
        priority=KIND.priority,
        created_at=T0,
        state=State.QUEUED,
        due_at=T0,
        not_before=T0,
        updated_at=T0,
    )
    return replace(row, **changes)


def notification(number: int, /, **changes: Any) -> Notification:
    """Notification `number`."""
    row = Notification(
        id=row_id(number),
        type=KIND.type,
        category=KIND.category,
        priority=KIND.priority,
        content=Content("Hello", "How are you?"),
        created_at=T0,
        channels=("email",),
    )
    return replace(row, **changes)


def attempt(number: int, /, **changes: Any) -> Attempt:
    """The first attempt of delivery `number`, at T0."""
    return replace(Attempt(row_id(number), 1, "ada", T0, KIND), **changes)


def result(number: int, state: State, /, **changes: Any) -> Result:
    """What became of the first attempt of delivery `number`."""
    return Result(row_id(number), 1, state, T0 + 1)._replace(**changes)


def verdict(number: int, /, **changes: Any) -> Verdict:
    """What the outcome says about the first attempt of delivery `number`: it was accepted."""
    row = Verdict(row_id(number), 1, "ada", T0, "accepted", None, True)
    return row._replace(**changes)


def send(tx: Tx, *numbers: int, until: Millis = T0 + MINUTE, **changes: Any) -> None:
    """Lease deliveries for a first attempt at T0."""
    tx.lease([Lease(attempt(number, **changes), until, 0) for number in numbers])


def add(store: Store, *rows: Delivery) -> None:
    """Admit deliveries in a transaction of their own."""
    with store.transaction() as tx:
        tx.add_deliveries(rows)


def sending(store: Store, *numbers: int, until: Millis = T0 + MINUTE) -> None:
    """Admit deliveries for `ada` and lease them at once."""
    add(store, *(delivery(number) for number in numbers))
    with store.transaction() as tx:
        send(tx, *numbers, until=until)


def finished(store: Store, number: int, *states: State, at: Millis = T0) -> None:
    """Admit a delivery and lead it through these states, the first one after SENDING."""
    sending(store, number)
    with store.transaction() as tx:
        first, *later = states
        assert tx.settle([result(number, first, at=at)], [verdict(number)]) == []
        for state in later:
            assert tx.settle([result(number, state, at=at, attempt=None)], []) == []


def known(store: Store, number: int) -> Delivery:
    """Delivery `number` as it is now."""
    with store.reading() as reader:
        row = reader.delivery(row_id(number))
    assert row is not None
    return row


def due_ids(store: Store, now: Millis = NEVER, limit: int = 1000) -> list[str]:
    """The ids of what is due, in order."""
    with store.transaction() as tx:
        return [row.id for row in tx.due(now, limit)]


def ids(*numbers: int) -> list[str]:
    """The ids of these rows."""
    return [row_id(number) for number in numbers]
