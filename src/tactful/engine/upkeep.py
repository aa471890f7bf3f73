"""Upkeep: forget what is old, call off what is no longer wanted, try again what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from tactful.core.errors import NotFound, RequestError
from tactful.core.lifecycle import FINISHED, WAITING, can_move
from tactful.core.model import DAY, Event, Millis, State
from tactful.engine.context import Context
from tactful.engine.feedback.reports import UNKNOWN
from tactful.engine.gates import lines_of, move_up
from tactful.ports import Delivery, Notification, Reader, Result, Tx

PAGE: Final = 1000
CALLED_OFF: Final = "cancel"
"""Who paused what is being called off."""


class Upkeep:
    """Housekeeping on one store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def prune(self, keep_ms: int | None = None, limit: int = PAGE) -> int:
        """Delete at most about `limit` rows that have served their time; 0 means done.

        Finished deliveries and their events go `keep_ms` after their last change, and so do reports
        about nothing known; attempts once no rule can look back to them.
        """
        settings = self._context.settings
        keep = settings.keep_ms if keep_ms is None else keep_ms
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
            raise RequestError("keep", keep_ms, "must be a duration of at least 0")
        with self._context.store.transaction(durable=False) as tx:
            now = self._context.timekeeper.now(tx)
            reach = self._context.rulebook.current(tx).reach_ms
            # A day more than the longest window, so that a clock put right never meets a gap.
            history_before = now - max(reach, settings.history_ms) - DAY
            gone = tx.prune(now - keep, history_before, limit)
            return gone + tx.prune_events(UNKNOWN, now - keep, limit)

    def cancel(self, wanted: str) -> int:
        """Call off a delivery, or all of a notification that still wait; gives how many.

        What is being sent or has gone cannot be called back. A notification of more than a page
        stands still first, as if it were paused, so that nothing of it goes meanwhile; whoever
        vanishes in the middle leaves it so, to be called off once more. Raises NotFound.
        """
        with self._context.store.reading() as reader:
            whole = reader.delivery(wanted) is None
        if whole:
            self._context.committed(partial(_reach_nobody_else, wanted))
        with self._context.store.reading() as reader:
            many = len(_named(reader, wanted)) == PAGE
        if many:
            count, gates = self._call_off_all(wanted)
        else:
            gone = self._context.committed(partial(self._call_off, wanted))
            count, gates = len(gone), lines_of(self._context, gone)
        move_up(self._context, gates)
        if count:
            self._context.changed()
        return count

    def _call_off(self, wanted: str, tx: Tx) -> list[Delivery]:
        """Gives what waited, as it was."""
        # Guarded, so that nobody decides about it at the same time.
        tx.guard(list({row.recipient for row in _named(tx, wanted)}))
        now = self._context.timekeeper.now(tx)
        notification = tx.lock_notification(wanted)
        found = _named(tx, wanted)
        waiting = [row for row in found if row.state in WAITING]
        _end(tx, waiting, now)
        in_hand = any(row.state is State.SENDING for row in found)
        if notification is not None and notification.paused_at is not None:
            _end_pause(tx, notification, now, in_hand=in_hand)
        return waiting

    def _call_off_all(self, notification_id: str) -> tuple[int, set[str]]:
        """Page by page; gives how many waited, and in which lines at gates."""
        count, gates = 0, set[str]()
        left = self._context.committed(partial(self._stand_still, notification_id))
        while left:  # what was in hand may have come back, and stand still, too
            after: str | None = ""
            while after is not None:
                page = partial(self._call_off_page, notification_id, after)
                gone, after = self._context.committed(page)
                count += len(gone)
                gates |= lines_of(self._context, gone)
            left = self._context.committed(partial(self._still_waits, notification_id))
        return count, gates

    def _stand_still(self, notification_id: str, tx: Tx) -> bool:
        """Nothing of it is claimed from here on; False where there is nothing to call off."""
        now = self._context.timekeeper.now(tx)
        found = tx.lock_notification(notification_id)
        if found is not None and found.paused_by == CALLED_OFF:
            return True  # whoever began it vanished
        waits = not WAITING.isdisjoint(tx.counts(notification_id))
        if waits and found is not None and found.paused_at is None:
            tx.pause_notification(notification_id, now, CALLED_OFF)
        return waits

    def _call_off_page(
        self, notification_id: str, after: str, tx: Tx
    ) -> tuple[list[Delivery], str | None]:
        """Gives those that waited, as they were, and, unless it is the last page, its end."""

        def page() -> list[Delivery]:
            return tx.deliveries(notification_id=notification_id, after=after, limit=PAGE)

        tx.guard(list({row.recipient for row in page() if row.state not in FINISHED}))
        now = self._context.timekeeper.now(tx)
        found = page()
        waiting = [row for row in found if row.state in WAITING]
        _end(tx, waiting, now)
        return waiting, found[-1].id if len(found) == PAGE else None

    def _still_waits(self, notification_id: str, tx: Tx) -> bool:
        """Whether anything does; where nothing does any more, the pause ends."""
        now = self._context.timekeeper.now(tx)
        found = tx.lock_notification(notification_id)
        counts = tx.counts(notification_id)
        if not WAITING.isdisjoint(counts):
            return True
        if found is not None and found.paused_at is not None:
            _end_pause(tx, found, now, in_hand=State.SENDING in counts)
        return False

    def retry(self, delivery_id: str) -> bool:
        """Put a failed or unknown delivery back into the queue; False if it is neither.

        Its tries start anew; its crashes and its history in the limits stay. Raises NotFound.
        """
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            delivery = tx.delivery(delivery_id)
            if delivery is None:
                raise NotFound("delivery_id", delivery_id, "names no delivery")
            if delivery.state not in FINISHED or not can_move(delivery.state, State.QUEUED):
                return False
            crashes = delivery.crashes
            tx.settle([Result(delivery_id, None, State.QUEUED, now, now, crashes=crashes)], [])
            tx.add_events([Event("redriven", delivery_id, now)])
        self._context.changed()
        return True


def _end(tx: Tx, waiting: Sequence[Delivery], now: Millis) -> None:
    """Nobody will get these; who waits behind them asks anew."""
    tx.settle(
        [
            Result(row.id, None, State.CANCELLED, now, rule=row.rule, tries=row.tries)
            for row in waiting
        ],
        [],
    )
    tx.add_events([Event("cancelled", row.id, now) for row in waiting])
    tx.wake(now, sorted({row.recipient for row in waiting}))


def _end_pause(tx: Tx, paused: Notification, now: Millis, *, in_hand: bool) -> None:
    """Unless somebody else's pause still concerns what may come back."""
    if paused.paused_by == CALLED_OFF:
        tx.resume_notification(paused.id, None)
    elif not in_hand:
        tx.resume_notification(paused.id, None)
        tx.add_events([Event("resumed", "", now, paused.id)])


def _named(reader: Reader, wanted: str) -> list[Delivery]:
    """The delivery that is meant, or the first page of the notification."""
    delivery = reader.delivery(wanted)
    if delivery is not None:
        return [delivery]
    return reader.deliveries(notification_id=wanted, limit=PAGE)


def _reach_nobody_else(notification_id: str, tx: Tx) -> None:
    """End a broadcast where it is; raises NotFound."""
    notification = tx.lock_notification(notification_id)
    if notification is None:
        raise NotFound("id", notification_id, "names no delivery and no notification")
    if notification.cursor is not None:
        tx.cancel_broadcast(notification_id)
