"""Events, in one order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tactful.core.lifecycle import FINISHED
from tactful.core.model import Event
from tactful.ports import Fact
from tactful.stores.memory.copies import event_copy
from tactful.stores.memory.tables import Tables, add_sorted, drop_sorted


class Facts(Tables):
    """What is known of deliveries, append-only."""

    def events(
        self,
        *,
        after: int = 0,
        delivery_id: str | None = None,
        notification_id: str | None = None,
        name: str | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """See `Reader.events`."""
        if delivery_id is not None:
            seqs = self.seqs_of_delivery.get(delivery_id, [])
        elif notification_id is not None:
            seqs = self.seqs_of_notification.get(notification_id, [])
        else:
            seqs = self.seqs.get("", [])
        found: list[Event] = []
        for place in range(bisect_right(seqs, after), len(seqs)):
            if len(found) >= limit:
                break
            event = self.event_of_seq[seqs[place]]
            if (name is None or event.name == name) and (
                notification_id is None or event.notification_id == notification_id
            ):
                found.append(
                    event_copy(event, event.seq, event.notification_id, event.recipient)
                    if event.data
                    else event
                )
        return found

    def facts(self, *, after: int = 0, limit: int = 1000) -> list[Fact]:
        """See `Reader.facts`."""
        return [self._fact(event) for event in self.events(after=after, limit=limit)]

    def _fact(self, event: Event) -> Fact:
        row = self.rows.get(event.delivery_id)
        seqs = self.seqs_of_delivery.get(event.delivery_id, []) if event.delivery_id else []
        rule = event.data.get("rule")
        if not rule and row is not None and row.state in FINISHED:
            rule = row.rule
        return Fact(
            event.seq,
            event.name,
            event.at,
            event.delivery_id,
            event.recipient,
            row.type if row is not None else "",
            row.channel if row is not None else "",
            rule,
            row.created_at if row is not None else event.at,
            tuple(self.event_of_seq[seq].name for seq in seqs if seq < event.seq),
            event.data.get("by"),
        )

    def last_event(self) -> int:
        """See `Reader.last_event`."""
        seqs = self.seqs.get("")
        return seqs[-1] if seqs else 0

    def add_events(self, events: Sequence[Event]) -> None:
        """See `Tx.add_events`; what an event leaves open it takes from its delivery."""
        added: list[Event] = []
        self.journal.note(self._remove_added_events, added)
        seq = self.last_seq
        self.journal.assign(self, "last_seq", seq + len(events))
        for given in events:
            seq += 1
            notification_id, recipient = given.notification_id, given.recipient
            if not (notification_id and recipient):
                row = self.rows.get(given.delivery_id)
                if row is not None:
                    notification_id = notification_id or row.notification_id
                    recipient = recipient or row.recipient
            event = event_copy(given, seq, notification_id, recipient)
            added.append(event)
            self.event_of_seq[seq] = event
            add_sorted(self.seqs, "", seq)
            add_sorted(self.seqs_of_delivery, event.delivery_id, seq)
            add_sorted(self.seqs_of_notification, notification_id, seq)

    def _remove_added_events(self, added: Sequence[Event]) -> None:
        for event in reversed(added):
            self.event_of_seq.pop(event.seq, None)
            drop_sorted(self.seqs, "", event.seq)
            drop_sorted(self.seqs_of_delivery, event.delivery_id, event.seq)
            drop_sorted(self.seqs_of_notification, event.notification_id, event.seq)
