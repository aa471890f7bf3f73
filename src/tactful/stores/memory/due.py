"""When the queue looks at which delivery next: one heap per priority.

Entries are `(due_at, delivery id)` and are never searched for: a delivery that moves gets a new
entry, and its old one is recognised as stale when it comes to the top. A peek takes entries off
the heap and keeps them aside; most of them are leased right after and never go back, so a
delivery costs about one push and one pop for each time it is looked at.

Nothing here is undone when a transaction fails. The rows are, and each of them is pushed again:
an entry too many is stale or a twin, and both are dropped on sight.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from tactful.core.model import Millis, State
from tactful.ports import EVERYTHING, Ages, Delivery

Place: TypeAlias = tuple[Millis, str]

_QUEUED, _DEFERRED, _SENDING = State.QUEUED, State.DEFERRED, State.SENDING

_SPARE = 10_000
"""Stale entries that are not worth a rebuild."""


class DueQueue:
    """The deliveries that still need the engine; `find` gives the row of an id, if it exists."""

    def __init__(self, find: Callable[[str], Delivery | None]) -> None:
        self._find = find
        self._heaps: dict[int, list[Place]] = {}
        self._aside: dict[int, list[Place]] = {}
        self._most: dict[int, int] = {}

    def push(self, row: Delivery) -> None:
        """The delivery waits at its due instant, and nowhere else."""
        priority = row.priority
        heap = self._heaps.get(priority)
        if heap is None:
            heap = self._heaps[priority] = []
            self._aside[priority] = []
            self._most[priority] = _SPARE
        heappush(heap, (row.due_at, row.id))
        if len(heap) > self._most[priority]:
            heap[:] = {place for place in heap if self._row(place) is not None}
            heapify(heap)
            # Twice what is left: rebuilding costs a constant for each push, however many wait.
            self._most[priority] = 2 * len(heap) + _SPARE

    def peek(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        """The rows due at `now`, higher priorities first; nothing changes for them.

        What goes through a `busy` channel or is not of these `ages` is passed over.

        Each priority is first given a tenth of the places, as far as it has anything due; the
        highest take what is left.
        """
        self._return_aside()
        order = sorted(self._heaps.keys() & ages, reverse=True)
        taken: dict[int, list[Delivery]] = {priority: [] for priority in order}
        left = limit
        for share in (max(1, limit // 10), limit):
            for priority in order:
                more = self._take(priority, now - ages[priority], min(share, left), busy)
                taken[priority] += more
                left -= len(more)
        return [row for priority in order for row in taken[priority]]

    def first(self, busy: Collection[str] = (), ages: Ages = EVERYTHING) -> Millis | None:
        """When the first is of these `ages` that does not go through a `busy` channel."""
        self._return_aside()
        found = {priority: self._first(priority, busy) for priority in self._heaps.keys() & ages}
        instants = (at + ages[priority] for priority, at in found.items() if at is not None)
        return min(instants, default=None)

    def _first(self, priority: int, busy: Collection[str]) -> Millis | None:
        heap = self._heaps[priority]
        if busy:
            rows = (self._row(place) for place in heap)
            instants = (row.due_at for row in rows if row is not None and row.channel not in busy)
            return min(instants, default=None)
        while heap and self._row(heap[0]) is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def _row(self, place: Place) -> Delivery | None:
        """The row that waits at this place, or None for a stale entry."""
        row = self._find(place[1])
        if row is None or row.due_at != place[0]:
            return None
        state = row.state
        if state is _QUEUED or state is _DEFERRED or state is _SENDING:
            return row
        return None

    def _take(self, priority: int, now: Millis, most: int, busy: Collection[str]) -> list[Delivery]:
        heap, aside, is_at = self._heaps[priority], self._aside[priority], self._row
        rows: list[Delivery] = []
        before = aside[-1] if aside else None
        while most > 0 and heap and heap[0][0] <= now:
            place = heappop(heap)
            row = is_at(place)
            # Twins are equal, so they come one after the other.
            if row is not None and place != before:
                before = place
                aside.append(place)
                if row.channel not in busy:
                    rows.append(row)
                    most -= 1
        return rows

    def _return_aside(self) -> None:
        for priority, aside in self._aside.items():
            heap = self._heaps[priority]
            for place in aside:
                if self._row(place) is not None:
                    heappush(heap, place)
            aside.clear()
