"""Everything the memory store keeps, in one place, and the few steps that several verbs share.

Indices are derived: each is changed together with its row and by nothing else. A recipient or a
notification without anything left has no key in them, so what was pruned takes no memory.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any, TypeVar

from tactful.core.model import Entry, Event, Millis, Recipient, State
from tactful.ports import (
    Attempt,
    Delivery,
    Notification,
    Policy,
    Remembered,
    Suppression,
)
from tactful.stores.memory.copies import CHANGING
from tactful.stores.memory.due import DueQueue, Place
from tactful.stores.memory.journal import Journal

# Looking a member up in its class takes as long as pushing a place on a heap.
QUEUED, DEFERRED, SENDING = State.QUEUED, State.DEFERRED, State.SENDING

_K = TypeVar("_K")
_T = TypeVar("_T", int, str)


def add_sorted(index: dict[_K, list[_T]], key: _K, value: _T) -> None:
    """Put a value into the ascending list under a key; nearly always it is the last one."""
    values = index.get(key)
    if values is None:
        index[key] = [value]
    elif values[-1] < value:
        values.append(value)
    else:
        insort(values, value)


def drop_sorted(index: dict[_K, list[_T]], key: _K, value: _T) -> None:
    """Take a value out of the ascending list under a key, if it is there."""
    values = index.get(key)
    if values is None:
        return
    place = bisect_left(values, value)
    if place < len(values) and values[place] == value:
        del values[place]
        if not values:
            del index[key]


class Tables:
    """The rows and their indices."""

    def __init__(self) -> None:
        self.journal = Journal()

        self.rows: dict[str, Delivery] = {}
        # All ids are under the key "", so that the three indices are kept alike.
        self.ids: dict[str, list[str]] = {}
        self.ids_of_notification: dict[str, list[str]] = {}
        self.ids_of_recipient: dict[str, list[str]] = {}
        self.queue = DueQueue(self.rows.get)
        self.waiting: dict[str, list[Place]] = {}
        self.held_ids: dict[str, set[str]] = {}

        self.notices: dict[str, Notification] = {}
        self.broadcasts: dict[str, Notification] = {}
        self.paused: dict[str, Notification] = {}

        self.attempts_of: dict[str, list[Attempt]] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.youngest: Millis | None = None
        self.arrival_times: dict[str, int] = {}

        self.event_of_seq: dict[int, Event] = {}
        self.seqs: dict[str, list[int]] = {}
        self.seqs_of_delivery: dict[str, list[int]] = {}
        self.seqs_of_notification: dict[str, list[int]] = {}
        self.last_seq = 0

        self.people: dict[str, tuple[int, Recipient]] = {}
        self.key_of_number: dict[int, str] = {}
        self.numbers: dict[str, list[int]] = {}
        self.last_number = 0
        self.owner_of: dict[str, str] = {}
        self.addresses_of: dict[str, tuple[str, ...]] = {}
        self.blocked: dict[str, dict[tuple[str, str], Suppression]] = {}

        self.versions: list[Policy] = []
        self.newest: dict[tuple[str, str], Policy] = {}
        self.answers: dict[str, Remembered] = {}
        self.small_values: dict[str, str] = {}

    def _place(self, row: Delivery) -> None:
        """Give a waiting or leased delivery its place in the queue and in its recipient's line."""
        state = row.state
        if row.paused:
            self.queue.push(row)
        elif state is QUEUED or state is DEFERRED:
            recipient = row.recipient
            place = (row.due_at, row.id)
            line = self.waiting.get(recipient)
            if line is None:
                self.waiting[recipient] = [place]
            elif line[-1] < place:
                line.append(place)
            else:
                at = bisect_left(line, place)
                if line[at] != place:
                    line.insert(at, place)
            if row.held:
                self.held_ids.setdefault(recipient, set()).add(row.id)
            self.queue.push(row)
        elif state is SENDING:
            self.queue.push(row)

    def _leave_line(self, row: Delivery) -> None:
        """Take a delivery out of its recipient's line, if it stands there at its due instant."""
        recipient = row.recipient
        line = self.waiting.get(recipient)
        if line is not None:
            place = (row.due_at, row.id)
            at = bisect_left(line, place)
            if at < len(line) and line[at] == place:
                if len(line) == 1:
                    del self.waiting[recipient]
                else:
                    del line[at]
        if row.held:
            held = self.held_ids.get(recipient)
            if held is not None:
                held.discard(row.id)
                if not held:
                    del self.held_ids[recipient]

    def _restore_rows(self, saved: Sequence[tuple[Delivery, tuple[Any, ...]]]) -> None:
        """Undo changes of deliveries; `saved` holds each with its values before the change."""
        for row, values in reversed(saved):
            self._leave_line(row)
            for name, value in zip(CHANGING, values, strict=True):
                setattr(row, name, value)
            # Also from the old place: the change may have been cut off before it left.
            self._leave_line(row)
            self._place(row)
