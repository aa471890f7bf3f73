"""What is too much for one transaction is carried on here, some hundred people at a time.

That is above all an accepted broadcast, which reaches its audience: the most urgent one first, of
those the oldest. The audience is everyone who was registered when the broadcast was accepted: who
registers later is not in it, who is removed before their turn gets nothing. Each step stores the
next deliveries and how far it came in one transaction, so a crash in the middle neither skips nor
repeats anybody. A paused broadcast reaches nobody.

Whatever is being resumed (`pausing`), and what is to be decided anew (`replanning`), is carried on
here, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tactful.core.model import Event, Millis, State
from tactful.engine.context import Context
from tactful.engine.pausing import resume_some
from tactful.engine.people import address_for
from tactful.engine.replanning import carry_on, replanning
from tactful.ports import Delivery, Notification, Tx


class Fanout:
    """Carries on what is unfinished; `left` says whether the last step saw any."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.left = False

    def step(self, limit: int = 2_000, above: int | None = None) -> int:
        """Reach up to `limit` more people of the most urgent broadcast, the oldest of those.

        As many are decided anew, if any are to be. With `above` only a broadcast is carried on
        whose priority is higher. Gives how many, 0 when there are none.
        """
        context = self._context
        with context.store.reading() as reader:
            unfinished = reader.unfinished_broadcasts()
            anew = replanning(reader)
        self.left = bool(unfinished) or anew
        count = 0
        if anew and above is None:
            count = carry_on(context.store, context.timekeeper.now, limit)
        if _first(unfinished, above) is not None:
            count += self._broadcast(limit, above)
        return count

    def _broadcast(self, limit: int, above: int | None) -> int:
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            broadcast = _first(tx.unfinished_broadcasts(), above)
            if broadcast is None:
                return 0
            if broadcast.resumed_to is not None:
                return max(1, resume_some(tx, broadcast, now, limit))
            return self._reach(tx, broadcast, now, limit)

    def _reach(self, tx: Tx, broadcast: Notification, now: Millis, limit: int) -> int:
        people = tx.recipients(
            after=broadcast.cursor or 0, until=broadcast.audience_end, limit=limit
        )
        deliveries: list[Delivery] = []
        events: list[Event] = []
        for _, person in people:
            for way in broadcast.channels:
                address = address_for(person, way, self._context.channels.get(way))
                delivery = Delivery(
                    self._context.ids.new(now),
                    broadcast.id,
                    person.id,
                    way,
                    address or "",
                    broadcast.type,
                    broadcast.category,
                    broadcast.priority,
                    now,
                    State.QUEUED if address is not None else State.SUPPRESSED,
                    due_at=max(now, broadcast.not_before),
                    not_before=broadcast.not_before,
                    expires_at=broadcast.expires_at,
                    reason=None if address is not None else "no address",
                    updated_at=now,
                )
                deliveries.append(delivery)
                name = "accepted" if address is not None else "suppressed"
                events.append(Event(name, delivery.id, now))
        tx.add_deliveries(deliveries)
        tx.add_events(events)
        last = people[-1][0] if len(people) == limit else None
        tx.advance_broadcast(broadcast.id, last)
        return max(1, len(people))


def _first(broadcasts: Sequence[Notification], above: int | None) -> Notification | None:
    wanted = [one for one in broadcasts if above is None or one.priority > above]
    return max(wanted, key=lambda one: one.priority, default=None)
