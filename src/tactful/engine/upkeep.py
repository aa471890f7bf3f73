"""Upkeep: forget what is old, call off what is no longer wanted, try again what was given up."""

from __future__ import annotations

from tactful.core.errors import NotFound, RequestError
from tactful.core.lifecycle import FINISHED, WAITING, can_move
from tactful.core.model import DAY, Event, State
from tactful.core.rules import Limit
from tactful.engine.context import Context
from tactful.ports import Delivery, Result, Tx

PAGE = 1000


class Upkeep:
    """Housekeeping on one store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def prune(self, keep_ms: int | None = None, limit: int = PAGE) -> int:
        """Delete at most about `limit` rows that have served their time; 0 means done.

        Finished deliveries and their events go `keep_ms` after their last change; attempts once no
        rule can look back to them.
        """
        settings = self._context.settings
        keep = settings.keep_ms if keep_ms is None else keep_ms
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
            raise RequestError("keep", keep_ms, "must be a duration of at least 0")
        with self._context.store.transaction(durable=False) as tx:
            now = self._context.timekeeper.now(tx)
            rules = self._context.rulebook.current(tx).rules.values()
            reach = max((r.limit.reach_ms for r in rules if isinstance(r.limit, Limit)), default=0)
            # A day more than the longest window, so that a clock put right never meets a gap.
            history_before = now - max(reach, settings.history_ms) - DAY
            return tx.prune(now - keep, history_before, limit)

    def cancel(self, wanted: str) -> int:
        """Call off a delivery, or all of a notification that still wait; gives how many.

        What is being sent or has gone cannot be called back. Raises NotFound.
        """
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            waiting = self._waiting(tx, wanted)
            results = [
                Result(d.id, None, State.CANCELLED, now, rule=d.rule, tries=d.tries)
                for d in waiting
            ]
            tx.settle(results, [])
            tx.add_events([Event("cancelled", d.id, now) for d in waiting])
            for recipient in {d.recipient for d in waiting}:
                tx.wake(now, recipient)
        if waiting:
            self._context.changed()
        return len(waiting)

    def _waiting(self, tx: Tx, wanted: str) -> list[Delivery]:
        delivery = tx.delivery(wanted)
        if delivery is not None:
            return [delivery] if delivery.state in WAITING else []
        notification = tx.notifications([wanted]).get(wanted)
        if notification is None:
            raise NotFound("id", wanted, "names no delivery and no notification")
        if notification.cursor is not None:
            tx.cancel_broadcast(wanted)
        found: list[Delivery] = []
        after = ""
        while page := tx.deliveries(notification_id=wanted, after=after, limit=PAGE):
            found += [delivery for delivery in page if delivery.state in WAITING]
            after = page[-1].id
        return found

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
