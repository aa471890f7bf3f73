"""What a claim finds before it decides: what belongs along, comes back, or stands still."""

from __future__ import annotations

from collections.abc import Sequence

from tactful.core.model import Millis, State
from tactful.engine.line import Lines
from tactful.engine.pausing import paused_among
from tactful.ports import Delivery, Result, Tx, Verdict


def beyond(tx: Tx, rows: Sequence[Delivery], now: Millis, view: int) -> list[Delivery]:
    """What else is due in the digests of these rows: a claim may end in the middle of one."""
    known = {row.id for row in rows}
    digests = {
        (row.recipient, row.channel, row.group) for row in rows if row.group.startswith("digest:")
    }
    if not digests:
        return []
    lines = Lines(tx.lines(list({recipient for recipient, _, _ in digests}), view))
    return [
        row
        for digest in sorted(digests)
        for row in lines.in_group(*digest)
        if row.due_at <= now and row.id not in known
    ]


def give_back(tx: Tx, rows: Sequence[Delivery], now: Millis) -> frozenset[str]:
    """What vanished before its hand-over began is queued as if it had not been claimed.

    Gives the ids of those deliveries.
    """
    idle = [row for row in rows if row.state is State.SENDING and not row.begun]
    if not idle:
        return frozenset()
    results, verdicts = [], []
    for row in idle:
        results.append(back_to(State.QUEUED, row, now))
        verdicts.append(Verdict(row.id, row.attempts, row.recipient, 0, "idle", "not begun", False))
        row.state = State.QUEUED
    tx.settle(results, verdicts)
    return frozenset(row.id for row in idle)


def left_going(tx: Tx, rows: Sequence[Delivery], now: Millis) -> list[Delivery]:
    """Those that are not paused; the others stand still from here on.

    What waits in a paused notification is not due, but for what was in hand and has come back.
    """
    tried = {row.notification_id for row in rows if row.attempts}
    paused = paused_among(tx, list(tx.notifications(list(tried)).values())) if tried else set()
    if not paused:
        return list(rows)
    stopped = [
        row
        for row in rows
        if row.notification_id in paused and row.state is not State.SENDING and now < row.expires_at
    ]
    tx.pause_deliveries([row.id for row in stopped])
    tx.wake(now, sorted({row.recipient for row in stopped}))
    gone = {row.id for row in stopped}
    return [row for row in rows if row.id not in gone]


def back_to(state: State, row: Delivery, now: Millis) -> Result:
    """A delivery that was being sent waits again, as if it had not been claimed."""
    return Result(
        row.id,
        row.attempts,
        state,
        now,
        now,
        row.not_before,
        group=row.group,
        tries=row.tries,
        crashes=row.crashes,
    )
