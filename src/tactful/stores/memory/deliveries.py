"""Notifications and deliveries: adding them and asking for them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence

from tactful.core.lifecycle import FINISHED, INITIAL
from tactful.core.model import Millis, Priority, State
from tactful.ports import EVERYTHING, Ages, Delivery, Line, Notification, Record
from tactful.stores.memory.copies import delivery_copy, notification_copy
from tactful.stores.memory.tables import DEFERRED, QUEUED, Tables, add_sorted, drop_sorted

# A short tuple answers by identity; a set would hash the member, which is Python code.
_INITIAL = tuple(sorted(INITIAL, key=list(State).index))
_HIGHEST = int(max(Priority))


class Deliveries(Tables):
    """Questions about deliveries and notifications, and how they come in."""

    def delivery(self, delivery_id: str) -> Delivery | None:
        """See `Reader.delivery`."""
        row = self.rows.get(delivery_id)
        return None if row is None else delivery_copy(row)

    def deliveries(
        self,
        *,
        notification_id: str | None = None,
        recipient: str | None = None,
        state: State | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Delivery]:
        """See `Reader.deliveries`."""
        if recipient is not None:
            ids = self.ids_of_recipient.get(recipient, [])
        elif notification_id is not None:
            ids = self.ids_of_notification.get(notification_id, [])
        else:
            ids = self.ids.get("", [])
        found: list[Delivery] = []
        for place in range(bisect_right(ids, after), len(ids)):
            if len(found) >= limit:
                break
            row = self.rows[ids[place]]
            if (notification_id is None or row.notification_id == notification_id) and (
                state is None or row.state is state
            ):
                found.append(delivery_copy(row))
        return found

    def records(
        self,
        since: Millis,
        until: Millis,
        *,
        after: tuple[str, str] = ("", ""),
        limit: int = 1000,
    ) -> list[Record]:
        """See `Reader.records`."""
        recipient, id_ = after
        names = sorted(name for name in self.ids_of_recipient if name >= recipient)
        found: list[Record] = []
        for name in names:
            ids = self.ids_of_recipient[name]
            for place in range(bisect_right(ids, id_) if name == recipient else 0, len(ids)):
                if len(found) >= limit:
                    return found
                row = self.rows[ids[place]]
                open_ = row.state not in FINISHED or row.updated_at >= since
                if row.created_at < until and open_:
                    found.append(self._record(row))
        return found

    def _record(self, row: Delivery) -> Record:
        notice = self.notices.get(row.notification_id)
        sent = [
            attempt.at
            for attempt in self.attempts_of.get(row.digest_id or row.id, ())
            if attempt.counts
            and attempt.recipient == row.recipient
            and row.created_at <= attempt.at <= row.updated_at
        ]
        return Record(
            row.recipient,
            row.id,
            row.notification_id,
            row.kind,
            row.created_at,
            notice.not_before if notice is not None else 0,
            row.expires_at,
            notice is not None and notice.audience_end > 0,
            row.state,
            row.rule,
            row.updated_at,
            row.digest_id,
            max(sent, default=None),
        )

    def lines(self, recipients: Sequence[str], view: int) -> dict[str, Line]:
        """See `Reader.lines`."""
        lines: dict[str, Line] = {}
        for recipient in recipients:
            line = self.waiting.get(recipient)
            if line:
                shown = line[max(0, len(line) - view) :]
                rows = [delivery_copy(self.rows[delivery_id]) for _, delivery_id in shown]
                lines[recipient] = Line(rows, len(line))
        return lines

    def lessees(self) -> list[str]:
        """See `Reader.lessees`."""
        return sorted({row.owner for row in self.rows.values() if row.state is State.SENDING})

    def held(self, priority: int, after: str, limit: int) -> list[str]:
        """See `Reader.held`."""
        found: list[str] = []
        for recipient in sorted(name for name in self.held_ids if name > after):
            rows = (self.rows[delivery_id] for delivery_id in self.held_ids[recipient])
            found += [recipient for row in rows if row.priority == priority]
            if len(found) >= limit:
                break
        return found[:limit]

    def next_due(self, busy: Collection[str] = (), ages: Ages = EVERYTHING) -> Millis | None:
        """See `Reader.next_due`."""
        return self.queue.first(busy, ages)

    def counts(self, notification_id: str | None = None) -> dict[State, int]:
        """See `Reader.counts`."""
        if notification_id is None:
            return dict(Counter(row.state for row in self.rows.values()))
        ids = self.ids_of_notification.get(notification_id, [])
        return dict(Counter(self.rows[delivery_id].state for delivery_id in ids))

    def backlog(self) -> dict[State, int]:
        """See `Reader.backlog`."""
        states = (row.state for row in self.rows.values())
        return dict(Counter(state for state in states if state not in FINISHED))

    def opened(self, notification_id: str) -> list[str]:
        """See `Reader.opened`; ascending."""
        rows = (self.rows[key] for key in self.ids_of_notification.get(notification_id, []))
        return sorted({row.recipient for row in rows if row.opened_at is not None})

    def notifications(self, ids: Sequence[str]) -> dict[str, Notification]:
        """See `Reader.notifications`."""
        return {key: notification_copy(self.notices[key]) for key in ids if key in self.notices}

    def unfinished_broadcasts(self) -> list[Notification]:
        """See `Reader.unfinished_broadcasts`."""
        return [notification_copy(self.broadcasts[key]) for key in sorted(self.broadcasts)]

    def paused_notifications(self) -> list[Notification]:
        """See `Reader.paused_notifications`."""
        return [notification_copy(self.paused[key]) for key in sorted(self.paused)]

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        """See `Tx.add_notifications`."""
        for row in rows:
            assert row.id not in self.notices, f"notification {row.id} is there already"
            self._put_notification(notification_copy(row))

    def advance_broadcast(self, notification_id: str, cursor: int | None) -> None:
        """See `Tx.advance_broadcast`."""
        old = self.notices.get(notification_id)
        if old is not None and not old.cancelled:
            row = notification_copy(old)
            row.cursor = cursor
            self._put_notification(row)

    def cancel_broadcast(self, notification_id: str) -> None:
        """See `Tx.cancel_broadcast`."""
        old = self.notices.get(notification_id)
        if old is not None:
            row = notification_copy(old)
            row.cursor = None
            row.cancelled = True
            self._put_notification(row)

    def lock_notification(self, notification_id: str) -> Notification | None:
        """See `Tx.lock_notification`; a transaction has the store to itself anyhow."""
        return self.notifications([notification_id]).get(notification_id)

    def pause_notification(self, notification_id: str, at: Millis, by: str) -> None:
        """See `Tx.pause_notification`."""
        old = self.notices.get(notification_id)
        if old is not None:
            row = notification_copy(old)
            row.paused_at, row.paused_by, row.resumed_to = at, by, None
            self._put_notification(row)

    def resume_notification(self, notification_id: str, to: str | None) -> None:
        """See `Tx.resume_notification`."""
        old = self.notices.get(notification_id)
        if old is not None:
            row = notification_copy(old)
            row.resumed_to = to
            if to is None:
                row.paused_at, row.paused_by = None, ""
            self._put_notification(row)

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        """See `Tx.add_deliveries`."""
        added: list[Delivery] = []
        self.journal.note(self._remove_added, added)
        known, place = self.rows, self._place
        for given in rows:
            assert given.state in _INITIAL, f"a delivery cannot begin as {given.state}"
            assert given.opened_at is None, "only what has arrived can be opened"
            assert given.clicked_at is None, "only what has arrived can be clicked"
            assert 0 <= given.priority <= _HIGHEST, f"there is no priority {given.priority}"
            key = given.id
            assert key not in known, f"delivery {key} is there already"
            row = delivery_copy(given)
            added.append(row)
            known[key] = row
            add_sorted(self.ids, "", key)
            add_sorted(self.ids_of_notification, row.notification_id, key)
            add_sorted(self.ids_of_recipient, row.recipient, key)
            if row.state is QUEUED or row.state is DEFERRED:
                place(row)
            else:
                finish(row)

    def _remove_added(self, added: Sequence[Delivery]) -> None:
        for row in reversed(added):
            self._leave_line(row)
            self.rows.pop(row.id, None)
            drop_sorted(self.ids, "", row.id)
            drop_sorted(self.ids_of_notification, row.notification_id, row.id)
            drop_sorted(self.ids_of_recipient, row.recipient, row.id)

    def _put_notification(self, row: Notification) -> None:
        # Rows of notifications are replaced, never changed: the old one is the undo.
        self.journal.put(self.notices, row.id, row)
        goes_on = row.resumed_to is not None or (row.cursor is not None and not row.paused)
        for index, belongs in (
            (self.broadcasts, goes_on),
            (self.paused, row.paused_at is not None),
        ):
            if belongs:
                self.journal.put(index, row.id, row)
            else:
                self.journal.drop(index, row.id)


def finish(row: Delivery) -> None:
    """Clear what only a delivery in the queue has."""
    row.due_at = 0
    row.not_before = 0
    row.promised = False
    row.decided = True
    row.held = False
    row.begun = False
    row.owner = ""
    row.group = ""
    row.paused = False
