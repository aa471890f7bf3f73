"""Questions to an SQL store; see `ports.Reader` for what each promises.

The texts of the queries are the dialect's, their names and values are the same for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tactful.core.model import Entry, Event, Kind, Millis, Recipient, State
from tactful.ports import (
    EVERYTHING,
    Ages,
    Attempt,
    Delivery,
    Fact,
    Line,
    Notification,
    Policy,
    Record,
    Remembered,
    Suppression,
)
from tactful.stores.relational.rows import (
    attempt_from,
    delivery_from,
    event_from,
    fact_from,
    notification_from,
    policy_from,
    recipient_from,
    record_from,
)

_MOST_SEQ = (1 << 63) - 1


class Questions(ABC):
    """Named queries on one connection, inside a transaction that somebody else ends."""

    @abstractmethod
    def _all(self, name: str, /, **values: Any) -> list[Any]:
        """All rows of a query; a value may be a list of texts."""

    def _one(self, name: str, /, **values: Any) -> Any:
        rows = self._all(name, **values)
        return rows[0] if rows else None


class DeliveryReading(Questions):
    """Questions about deliveries, notifications and who waits."""

    def delivery(self, delivery_id: str) -> Delivery | None:
        row = self._one("delivery", id=delivery_id)
        return None if row is None else delivery_from(row)

    def deliveries(
        self,
        *,
        notification_id: str | None = None,
        recipient: str | None = None,
        state: State | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Delivery]:
        values: dict[str, Any] = {"after": after, "state": state and state.value, "most": limit}
        if notification_id is not None:
            values |= {"notification_id": notification_id, "recipient": recipient}
            name = "deliveries_of_notification"
        elif recipient is not None:
            values["recipient"] = recipient
            name = "deliveries_of_recipient"
        else:
            name = "deliveries"
        return [delivery_from(row) for row in self._all(name, **values)]

    def records(
        self,
        since: Millis,
        until: Millis,
        *,
        after: tuple[str, str] = ("", ""),
        limit: int = 1000,
    ) -> list[Record]:
        recipient, id_ = after
        rows = self._all(
            "records", since=since, until=until, recipient=recipient, after=id_, most=limit
        )
        kinds: dict[tuple[Any, ...], Kind] = {}
        return [record_from(row, kinds) for row in rows]

    def notifications(self, ids: Sequence[str]) -> dict[str, Notification]:
        rows = self._all("notifications", ids=list(ids))
        return {str(row[0]): notification_from(row) for row in rows}

    def unfinished_broadcasts(self) -> list[Notification]:
        return [notification_from(row) for row in self._all("unfinished_broadcasts")]

    def paused_notifications(self) -> list[Notification]:
        return [notification_from(row) for row in self._all("paused_notifications")]

    def lines(self, recipients: Sequence[str], view: int) -> dict[str, Line]:
        wanted = list(set(recipients))
        totals = dict(self._all("line_lengths", recipients=wanted))
        found: dict[str, list[Delivery]] = {}
        short = [recipient for recipient, total in totals.items() if total <= view]
        if short:
            for row in self._all("lines", recipients=short):
                waiting = delivery_from(row)
                found.setdefault(waiting.recipient, []).append(waiting)
        for recipient, total in totals.items():
            if total > view:
                rows = self._all("line_end", recipient=recipient, view=view)
                found[recipient] = [delivery_from(row) for row in rows]
        return {recipient: Line(waiting, totals[recipient]) for recipient, waiting in found.items()}

    def held(self, priority: int, after: str, limit: int) -> list[str]:
        rows = self._all("held", priority=int(priority), after=after, most=limit)
        return [recipient for (recipient,) in rows]

    def lessees(self) -> list[str]:
        return [owner for (owner,) in self._all("lessees")]

    def next_due(self, busy: Collection[str] = (), ages: Ages = EVERYTHING) -> Millis | None:
        asked = {"priorities": list(ages), "ages": list(ages.values())}
        value: Millis | None = self._one("next_due", busy=list(busy), **asked)[0]
        return value

    def counts(self, notification_id: str | None = None) -> dict[State, int]:
        if notification_id is None:
            rows = self._all("counts")
        else:
            rows = self._all("counts_of", id=notification_id)
        return {State(state): count for state, count in rows}

    def backlog(self) -> dict[State, int]:
        return {State(state): count for state, count in self._all("backlog")}

    def opened(self, notification_id: str) -> list[str]:
        return [recipient for (recipient,) in self._all("opened", id=notification_id)]


class FactReading(Questions):
    """Questions about events and small notes."""

    def events(
        self,
        *,
        after: int = 0,
        delivery_id: str | None = None,
        notification_id: str | None = None,
        name: str | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        values: dict[str, Any] = {"after": after, "name": name, "most": limit}
        query = "events"
        if delivery_id is not None:
            values["delivery_id"] = delivery_id
            query = "events_of_delivery"
        elif notification_id is not None:
            values["notification_id"] = notification_id
            query = "events_of_notification"
        return [event_from(row) for row in self._all(query, **values)]

    def facts(self, *, after: int = 0, limit: int = 1000) -> list[Fact]:
        return [fact_from(row) for row in self._all("facts", after=after, most=limit)]

    def last_event(self) -> int:
        return int(self._one("last_event")[0])

    def note(self, key: str) -> str | None:
        row = self._one("note", key=key)
        return None if row is None else str(row[0])


class DirectoryReading(Questions):
    """Questions about people, policies and idempotency keys."""

    def recipient(self, key: str) -> Recipient | None:
        return self.recipients_by_key([key]).get(key)

    def recipients(
        self, *, after: int = 0, until: int | None = None, limit: int = 1000
    ) -> list[tuple[int, Recipient]]:
        last = _MOST_SEQ if until is None else until
        rows = self._all("recipients", after=after, until=last, most=limit)
        return [recipient_from(row) for row in rows]

    def recipients_by_key(self, keys: Sequence[str]) -> dict[str, Recipient]:
        rows = self._all("recipients_by_key", keys=list(keys))
        return {person.id: person for _, person in map(recipient_from, rows)}

    def owners(self, addresses: Sequence[str]) -> dict[str, str]:
        return dict(self._all("owners", addresses=list(set(addresses))))

    def last_recipient(self) -> int:
        return int(self._one("last_recipient")[0])

    def suppressions(self, addresses: Sequence[str]) -> list[Suppression]:
        return [Suppression(*row) for row in self._all("suppressions", addresses=list(addresses))]

    def epoch(self) -> int:
        return int(self._one("epoch")[0])

    def policies(self, kind: str) -> list[Policy]:
        return [policy_from(row) for row in self._all("policies", kind=kind)]

    def policy_history(self, kind: str, name: str | None = None) -> list[Policy]:
        rows = self._all("policy_history", kind=kind, name=name)
        return [policy_from(row) for row in rows]

    def remembered(self, keys: Sequence[str]) -> dict[str, Remembered]:
        rows: Iterable[Any] = self._all("remembered", keys=list(keys))
        return {key: Remembered(*values) for key, *values in rows}


class LedgerReading(FactReading):
    """Questions about attempts and throughput."""

    def attempts(self, delivery_id: str) -> list[Attempt]:
        return [attempt_from(row) for row in self._all("attempts_of", id=delivery_id)]

    def history(self, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        kinds: dict[tuple[str, str, str, int], Kind] = {}
        rows = self._all("history", recipients=list(set(recipients)), since=since)
        who: str | None = None
        entries: list[Entry] = []
        for row in rows:
            key = tuple(row[2:])
            kind = kinds.get(key)
            if kind is None:
                kind = kinds[key] = Kind(*key)
            if row[0] != who:  # they come by recipient
                who = row[0]
                entries = found.setdefault(row[0], [])
            entries.append(Entry(row[1], kind))
        return found

    def cells(self, keys: Sequence[str]) -> dict[str, int]:
        return dict(self._all("cells", keys=list(keys)))

    @abstractmethod
    def latest_attempt(self) -> Millis | None: ...


class Reading(DeliveryReading, LedgerReading, DirectoryReading):
    """`ports.Reader`: all questions."""
