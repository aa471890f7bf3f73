"""Where one person stands in a replay: what they got, who waits for them, what became of the rest.

It holds what the tables of a store hold of one recipient, in memory and without anything that a
decision does not need.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import lru_cache
from operator import attrgetter
from typing import Final, cast

from tactful.core.checks import Checks, Span
from tactful.core.decide import Subject, decide
from tactful.core.model import MINUTE, Decision, Entry, Kind, Millis, Send, State
from tactful.core.windows import hours_begin, hours_end
from tactful.engine.line import Lines
from tactful.engine.rulebook import Book
from tactful.engine.settings import Settings
from tactful.ports import Delivery, Line, Record
from tactful.sim.fates import Fate

_TRIM: Final = 64
_SHORT: Final = 16
_QUARTER: Final = 15 * MINUTE


class Standing:
    """One person under the rules of a book.

    `history` are counted attempts, ascending; `reach_ms` is how far back any decision looks. Those
    in `fails` fail when they are handed over, those in `unwanted` are not wanted by then.
    """

    def __init__(
        self, book: Book, settings: Settings, zone: tzinfo, history: Sequence[Entry]
    ) -> None:
        self.book = book
        self.settings = settings
        self.zone = zone
        self.history = list(history)
        self.reach_ms: Millis = 0
        self.fates: dict[str, Fate] = {}
        self.fails: set[str] = set()
        self.unwanted: set[str] = set()
        self._rows: dict[str, Delivery] = {}
        self._line: list[tuple[Millis, str]] = []

    # Who waits --------------------------------------------------------------------------------

    def next_due(self) -> Millis | None:
        """The earliest instant at which anything waits to be looked at."""
        return self._line[0][0] if self._line else None

    def due(self, now: Millis) -> list[Delivery]:
        """What is due, in the order in which a store gives it."""
        end = bisect_left(self._line, (now + 1,))
        due = [self._rows[id_] for _, id_ in self._line[:end]]
        return sorted(due, key=lambda row: (-row.priority, row.due_at, row.id))

    def waiting(self, delivery_id: str) -> Delivery | None:
        """The delivery with this id, if it waits."""
        return self._rows.get(delivery_id)

    def lines(self, view: int, gone: Sequence[Delivery] = ()) -> Lines:
        """Who waits, as the engine finds them in a transaction; with those who are gone since."""
        waiting = [self._rows[id_] for _, id_ in self._line[-view:]]
        if gone:
            waiting = sorted([*waiting, *gone], key=attrgetter("due_at", "id"))[-view:]
        if not waiting:
            return Lines({})
        return Lines({waiting[0].recipient: Line(waiting, len(self._line) + len(gone))})

    def place(self, row: Delivery) -> None:
        """Gives a row its place by its due instant."""
        self._rows[row.id] = row
        insort(self._line, (row.due_at, row.id))

    def leave(self, row: Delivery) -> None:
        """Takes a row out of the line; before its due instant changes."""
        del self._line[bisect_left(self._line, (row.due_at, row.id))]
        del self._rows[row.id]

    def end(self, row: Delivery, outcome: str, now: Millis, message: str | None = None) -> None:
        """A row that waits has come to its end."""
        self.leave(row)
        self.fates[row.id] = Fate(outcome, row.rule, now, message)

    def wake(self, now: Millis) -> None:
        """A place may have become free: what a rule holds is due for a new decision."""
        for row in [row for row in self._rows.values() if row.held]:
            self.leave(row)
            row.due_at = max(now, row.not_before)
            self.place(row)

    # What they got ----------------------------------------------------------------------------

    def decide(
        self,
        subject: Subject,
        history: Sequence[Entry],
        planned: Sequence[Entry],
        checks: Checks,
        at: Millis,
    ) -> Decision:
        """What the core decides; hours are not asked again where they are known to agree."""
        if checks.spans and not planned and _agree(checks.spans, self.zone, at // _QUARTER):
            decision = decide(subject, history, planned, _without_hours(checks), at)
            if isinstance(decision, Send):
                return decision
        return decide(subject, history, planned, checks, at)

    def within(self, checks: Checks, now: Millis) -> list[Entry]:
        """The attempts that can still matter to these checks."""
        if len(self.history) < _SHORT:
            return self.history
        # A tuple of one sorts before every entry of its instant.
        edge = cast("Entry", (now - checks.reach_ms + 1,))
        return self.history[bisect_left(self.history, edge) :]

    def trim(self, now: Millis) -> None:
        """Forgets attempts that no window reaches any more, now and then."""
        history = self.history
        if len(history) > _TRIM and history[_TRIM // 2].at <= now - self.reach_ms:
            del history[: _TRIM // 2]


@lru_cache(maxsize=100_000)
def _agree(spans: Sequence[Span], zone: tzinfo, quarter: int) -> bool:
    """Whether all hours let deliveries go throughout a quarter of an hour."""
    first, last = quarter * _QUARTER, (quarter + 1) * _QUARTER - 1
    for span in spans:
        end = hours_end(first, span.hours, zone)
        if span.quiet:
            if end is not None or hours_begin(first, span.hours, zone) <= last:
                return False
        elif end is None or end <= last:
            return False
    return True


@lru_cache(maxsize=10_000)
def _without_hours(checks: Checks) -> Checks:
    return replace(checks, spans=())


class _Waiting(Delivery):
    """A delivery whose kind is asked for again and again."""

    __slots__ = ("kind",)
    kind: Kind


def waiting_row(record: Record) -> Delivery:
    """A record as something that waits."""
    kind = record.kind
    row = _Waiting(
        record.id,
        record.notification_id,
        record.recipient,
        kind.channel,
        "",
        kind.type,
        kind.category,
        kind.priority,
        record.created_at,
        State.QUEUED,
        not_before=record.not_before,
        expires_at=record.expires_at,
    )
    row.kind = kind
    return row
