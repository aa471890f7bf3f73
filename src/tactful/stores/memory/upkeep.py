"""Deleting what is no longer needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeVar

from tactful.core.lifecycle import FINISHED
from tactful.core.model import Event, Millis
from tactful.stores.memory.ledger import Ledger

_T = TypeVar("_T")


class Upkeep(Ledger):
    """The verb that frees memory. It looks at every row: it runs now and then, not per delivery."""

    def prune(self, before: Millis, history_before: Millis, limit: int) -> int:
        """See `Tx.prune`; each kind of row is deleted at most `limit` times."""
        gone = self._prune_deliveries(before, limit)
        gone += self._prune_attempts(history_before, limit)
        gone += self._prune_notifications(before, limit)
        expired = (key for key, value in self.answers.items() if value.expires_at < before)
        for key in list(islice(expired, limit)):
            self.journal.drop(self.answers, key)
            gone += 1
        for key in [key for key, tat in self.arrival_times.items() if tat < before * 1000]:
            self.journal.drop(self.arrival_times, key)
            gone += 1
        return gone

    def _prune_deliveries(self, before: Millis, limit: int) -> int:
        old = (
            row for row in self.rows.values() if row.updated_at < before and row.state in FINISHED
        )
        gone = list(islice(old, limit))
        ids = {row.id for row in gone}
        for row in gone:
            self.journal.drop(self.rows, row.id)
        self._drop_values(self.ids, [""], ids)
        notifications = {row.notification_id for row in gone}
        self._drop_values(self.ids_of_notification, notifications, ids)
        self._drop_values(self.ids_of_recipient, {row.recipient for row in gone}, ids)

        seqs = {seq for key in ids for seq in self.seqs_of_delivery.get(key, ())}
        return len(gone) + self._drop_events([self.event_of_seq[seq] for seq in seqs])

    def prune_events(self, name: str, before: Millis, limit: int) -> int:
        """See `Tx.prune_events`."""
        known = (self.event_of_seq[seq] for seq in self.seqs_of_delivery.get("", ()))
        old = (event for event in known if event.name == name and event.at < before)
        return self._drop_events(list(islice(old, limit)))

    def _drop_events(self, events: Sequence[Event]) -> int:
        seqs = {event.seq for event in events}
        for seq in seqs:
            self.journal.drop(self.event_of_seq, seq)
        self._drop_values(self.seqs, [""], seqs)
        self._drop_values(self.seqs_of_delivery, {event.delivery_id for event in events}, seqs)
        self._drop_values(
            self.seqs_of_notification, {event.notification_id for event in events}, seqs
        )
        return len(events)

    def _prune_notifications(self, before: Millis, limit: int) -> int:
        old = (
            key
            for key, row in self.notices.items()
            if row.created_at < before
            and row.cursor is None
            and key not in self.ids_of_notification
        )
        gone = list(islice(old, limit))
        for key in gone:
            for table in (self.notices, self.broadcasts, self.paused):
                self.journal.drop(table, key)
        return len(gone)

    def _drop_values(
        self, index: dict[str, list[_T]], keys: Iterable[str], values: set[_T]
    ) -> None:
        """Take the values out of the lists under these keys; an empty list goes with its key."""
        for key in keys:
            known = index.get(key)
            if known is None:
                continue
            left = [value for value in known if value not in values]
            if left:
                self.journal.put(index, key, left)
            else:
                self.journal.drop(index, key)
