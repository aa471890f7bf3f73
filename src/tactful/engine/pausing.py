"""Pausing: a notification stands still until it is resumed, and nobody waits for it so long.

The notification carries the mark. From the instant at which the mark is stored nothing of it is
claimed any more: `dispatch` reads the notifications of what it claims anyhow. What had been claimed
before may still arrive. Then each delivery that waits gives up its slot, and its place in the line
at a gate, page by page; from there on only its time to live concerns it.

Resuming makes its deliveries due for a new decision, in the order in which they were accepted. The
mark says how far that has come, and goes last; if whoever resumes vanishes, any worker carries on
(`fanout`). Nobody's slot is lost to what is resumed: it is decided as if it had just come in, but
no rule rejects what has been accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from tactful.core.errors import NotFound
from tactful.core.lifecycle import FINISHED
from tactful.core.model import Event, Millis
from tactful.engine.context import Context
from tactful.engine.gates import lines_of, move_up
from tactful.ports import Delivery, Notification, Tx

PAGE: Final = 1000


class Pausing:
    """Pauses and resumes notifications of one store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def pause(self, notification_id: str, by: str = "") -> int:
        """Hand over nothing more of it; gives how many of its deliveries waited and now stand.

        What is claimed already may still be sent. 0 for what is finished or was paused before.
        Raises NotFound.
        """

        def mark(tx: Tx) -> bool:
            now = self._context.timekeeper.now(tx)
            found = _known(tx, notification_id)
            if found.paused:
                return True  # whoever paused it may have vanished before all of it stood still
            going_on = found.cursor is not None or not FINISHED.issuperset(tx.counts(found.id))
            if going_on:
                tx.pause_notification(found.id, now, by)
                tx.add_events([Event("paused", "", now, found.id, data=_facts(by))])
            return going_on

        if not self._context.committed(mark):
            return 0
        count, gates = 0, set[str]()
        after: str | None = ""
        while after is not None:
            stopped, after = self._context.committed(partial(self._stop, notification_id, after))
            count += len(stopped)
            gates |= lines_of(self._context, stopped)
        move_up(self._context, gates)
        if count:
            self._context.changed()
        return count

    def resume(self, notification_id: str, by: str = "") -> int:
        """Decide anew about all of it that was paused; gives how many deliveries.

        0 for what is not paused. Of more than a page a worker may take some, which do not count
        here. Raises NotFound.
        """

        def go_on(tx: Tx) -> int | None:
            now = self._context.timekeeper.now(tx)
            found = _known(tx, notification_id)
            if found.paused:
                tx.resume_notification(found.id, "")
                tx.add_events([Event("resumed", "", now, found.id, data=_facts(by))])
                found = _known(tx, notification_id)
            return None if found.resumed_to is None else resume_some(tx, found, now, PAGE)

        count = 0
        while (more := self._context.committed(go_on)) is not None:
            count += more
        self._context.changed()
        return count

    # Inside -----------------------------------------------------------------------------------

    def _stop(
        self, notification_id: str, after: str, tx: Tx
    ) -> tuple[Sequence[Delivery], str | None]:
        """Stop one page; gives those that waited and, unless it is the last page, its end."""
        page = tx.deliveries(notification_id=notification_id, after=after, limit=PAGE)
        rows = {row.id: row for row in page if row.state not in FINISHED and not row.paused}
        people = list({row.recipient for row in rows.values()})
        tx.guard(people)
        now = self._context.timekeeper.now(tx)
        found = tx.lock_notification(notification_id)
        if found is None or not found.paused:
            return (), None
        stopped = [rows[id_] for id_ in tx.pause_deliveries(list(rows))]
        lines = tx.lines(
            list({row.recipient for row in stopped}), self._context.settings.waiting_max
        )
        tx.wake(
            now,
            [who for who, line in lines.items() if any(other.held for other in line.waiting)],
        )
        return stopped, page[-1].id if len(page) == PAGE else None


def resume_some(tx: Tx, notification: Notification, now: Millis, limit: int) -> int:
    """Resume up to so many more deliveries of a locked notification; gives how many were paused."""
    page = tx.deliveries(
        notification_id=notification.id, after=notification.resumed_to or "", limit=limit
    )
    resumed = tx.resume_deliveries([row.id for row in page if row.paused], now)
    tx.resume_notification(notification.id, page[-1].id if len(page) == limit else None)
    return len(resumed)


def paused_among(tx: Tx, found: Sequence[Notification]) -> set[str]:
    """The ids of those that are paused, and stay so until the end of the transaction."""
    suspects = sorted(one.id for one in found if one.paused_at is not None)
    locked = [tx.lock_notification(id_) for id_ in suspects]
    return {one.id for one in locked if one is not None and one.paused}


def _known(tx: Tx, notification_id: str) -> Notification:
    found = tx.lock_notification(notification_id)
    if found is None:
        raise NotFound("notification_id", notification_id, "names no notification")
    return found


def _facts(by: str) -> dict[str, str]:
    return {"by": by} if by else {}
