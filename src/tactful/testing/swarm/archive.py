"""What a store has ever held, as the checker of histories reads it.

`tactful.verify` reads the tables of SQL stores by itself. What a store in memory holds is asked for
through its port; and what is to be pruned is looked at before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tactful.core.model import Event, Recipient, State
from tactful.ports import Attempt, Delivery, Notification, Store
from tactful.ports import Policy as PolicyRow
from tactful.verify import history as told

_ALL: Final = 1_000_000
_WAITING: Final = (State.QUEUED, State.DEFERRED, State.SENDING)
_READINGS: Final = ("opened", "clicked")


class Archive:
    """All rows of a store, each as it was last seen."""

    def __init__(self, store: Store) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self._store = store
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._events: dict[int, Event] = {}
        self._notifications: dict[str, Notification] = {}
        self._people: dict[str, Recipient] = {}
        self._policies: list[PolicyRow] = []

    def look(self) -> None:
        """See what is there now."""
        with self._store.reading() as reader:
            rows = reader.deliveries(limit=_ALL)
            self.deliveries |= {row.id: row for row in rows}
            # Attempts outlive their deliveries.
            for key in self.deliveries:
                self._attempts |= {(key, one.number): one for one in reader.attempts(key)}
            self._events |= {event.seq: event for event in reader.events(limit=_ALL)}
            ids = list({row.notification_id for row in rows})
            self._notifications |= reader.notifications(ids)
            self._people |= {row.id: row for _, row in reader.recipients(limit=_ALL)}
            self._policies = reader.policy_history("rule")

    def first_attempt(self, delivery_id: str) -> Attempt | None:
        """The first hand-over of a delivery."""
        return self._attempts.get((delivery_id, 1))

    @property
    def events(self) -> list[Event]:
        """All events, in their order."""
        return [self._events[seq] for seq in sorted(self._events)]

    def history(self) -> told.History:
        """All of it in the words of the checker."""
        return told.History(
            [told.Policy(one.version, one.name, one.body, one.at) for one in self._policies],
            [told.Person(one.id, one.timezone) for one in self._people.values()],
            [self._delivery(row) for row in self.deliveries.values()],
            [_attempt(one) for one in self._attempts.values()],
            [
                told.Event(
                    one.seq, one.name, one.at, one.delivery_id, one.data, one.notification_id
                )
                for one in self.events
                if one.name not in _READINGS
            ],
        )

    def lines(self) -> Iterator[str]:
        """Everything in words, in an order that does not depend on chance."""
        for key in sorted(self.deliveries):
            yield repr(self.deliveries[key])
        for place in sorted(self._attempts):
            yield repr(self._attempts[place])
        for event in self.events:
            yield repr(event)

    def _delivery(self, row: Delivery) -> told.Delivery:
        notification = self._notifications.get(row.notification_id)
        waits = row.state in _WAITING
        return told.Delivery(
            row.id,
            row.recipient,
            row.created_at,
            None if waits else row.state.value,
            row.state.value if waits else None,
            row.channel,
            row.address,
            row.type,
            row.category,
            row.priority,
            row.notification_id,
            notification is not None and notification.audience_end > 0,
            row.attempts,
            row.updated_at,
            row.expires_at,
            row.digest_id,
            row.reason,
        )


def _attempt(one: Attempt) -> told.Attempt:
    kind = one.kind
    return told.Attempt(
        one.recipient,
        one.at,
        one.delivery_id,
        one.number,
        kind.type,
        kind.category,
        kind.channel,
        kind.priority,
        one.counts,
        one.outcome,
    )
