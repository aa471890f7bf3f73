"""What rules would have made of the traffic of one person, decided anew.

Limits are judged for each recipient alone, so each one's traffic can be replayed alone: the same
decisions of the core over the same lines of those who wait, in the order in which the engine asks
for them, but without a store, content and channels. A hand-over takes no time and succeeds, unless
all attempts had failed for good: then it fails again, and gives its place back. Throughput limits,
which are everybody's together, are not kept.

What is submitted at one instant is taken as one batch, in the order of the ids; broadcasts reach a
person behind it. A test holds all this equal to the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from tactful.core.checks import Checks
from tactful.core.decide import Subject
from tactful.core.model import (
    NEVER,
    Collapse,
    Decision,
    Defer,
    Digest,
    Entry,
    Expire,
    Millis,
    Reject,
    Send,
    State,
)
from tactful.engine.admission import FULL
from tactful.engine.line import Lines, slots
from tactful.engine.rulebook import Book
from tactful.engine.settings import Settings
from tactful.ports import Delivery, Record
from tactful.sim.fates import (
    CANCELLED,
    COLLAPSED,
    EXPIRED,
    FAILED,
    REJECTED,
    SENT,
    SUPPRESSED,
    Fate,
)
from tactful.sim.standing import Standing, waiting_row
from tactful.sim.turns import Turn


def replay(
    records: Sequence[Record],
    book: Book,
    settings: Settings,
    *,
    zone: tzinfo,
    history: Sequence[Entry],
    since: Millis,
) -> dict[str, Fate]:
    """What becomes of each of one recipient's records that was accepted from `since` on, by id.

    `history` are the counted attempts before `since`, ascending. What was accepted before it keeps
    the instant at which it was really sent. Time goes on until nobody waits any more; what would
    wait for ever has no fate.
    """
    return _Replay(Standing(book, settings, zone, history), since).run(records)


_Step: TypeAlias = tuple[Millis, int, int, Record]
"""Something that happens: when, what, and the place of its record; so that steps can be sorted."""

_BEFORE, _SINGLE, _CANCELS, _CAST = range(4)


class _Replay:
    """Submissions, as `engine.admission` takes them, and the course of time."""

    def __init__(self, person: Standing, since: Millis) -> None:
        self._person = person
        self._since = since

    def run(self, records: Sequence[Record]) -> dict[str, Fate]:
        """From the first submission until nobody waits."""
        person = self._person
        kinds = {record.kind for record in records}
        person.reach_ms = max((person.book.checks(kind).reach_ms for kind in kinds), default=0)
        steps = sorted(self._steps(records))
        place, count = 0, len(steps)
        while True:
            now = steps[place][0] if place < count else NEVER
            due = person.next_due()
            if due is not None and due < now:
                now = due
            if now >= NEVER:
                return person.fates
            first = place
            while place < count and steps[place][0] == now:
                place += 1
            alone = place - first == 1 and (due is None or due > now)
            if alone and steps[first][1] == _SINGLE:
                self._single(steps[first][3], now)
            else:
                self._instant(now, steps[first:place])

    def _steps(self, records: Sequence[Record]) -> Iterator[_Step]:
        person = self._person
        for place, record in enumerate(records):
            if record.created_at < self._since:
                sent_at = None if record.digest_id else record.sent_at
                if sent_at is not None and sent_at >= self._since:
                    yield sent_at, _BEFORE, place, record
                continue
            if record.state is State.SUPPRESSED:
                if not record.broadcast:
                    person.fates[record.id] = Fate(SUPPRESSED, None, record.updated_at)
                    continue
                person.unwanted.add(record.id)
            elif record.state is State.FAILED and record.sent_at is None:
                person.fails.add(record.id)
            yield record.created_at, _CAST if record.broadcast else _SINGLE, place, record
            if record.state is State.CANCELLED:
                yield record.updated_at, _CANCELS, place, record

    def _single(self, record: Record, now: Millis) -> None:
        """One submission at an instant at which nothing else happens: what may go goes at once."""
        person = self._person
        checks = person.book.checks(record.kind)
        lines = None if person.next_due() is None else person.lines(checks.view)
        decision = self._decided(record, checks, lines, now)
        if not isinstance(decision, Send):
            self._enter(record, decision, lines or Lines({}), now)
        elif record.id in person.fails:
            person.fates[record.id] = Fate(FAILED, None, now)
            person.wake(now)
        else:
            person.history.append(Entry(now, record.kind))
            person.fates[record.id] = Fate(SENT, None, now, record.id)

    def _instant(self, now: Millis, steps: Sequence[_Step]) -> None:
        """Everything that happens at an instant, in order."""
        person = self._person
        meant: dict[int, list[Record]] = {}
        for _, what, _, record in steps:
            meant.setdefault(what, []).append(record)
        person.history += [Entry(now, record.kind) for record in meant.get(_BEFORE, ())]
        singles = meant.get(_SINGLE, ())
        if singles:
            lines = person.lines(max(person.book.checks(record.kind).view for record in singles))
            for record in singles:
                checks = person.book.checks(record.kind)
                self._enter(record, self._decided(record, checks, lines, now), lines, now)
        for record in meant.get(_CANCELS, ()):
            row = person.waiting(record.id)
            if row is not None:
                person.end(row, CANCELLED, now)
                person.wake(now)
        casts = meant.get(_CAST, ())
        audience = [list(rows) for _, rows in groupby(casts, attrgetter("notification_id"))]
        while True:
            reached = audience.pop(0) if audience else []
            for record in reached:
                row = waiting_row(record)
                row.due_at = max(now, row.not_before)
                person.place(row)
            due = person.due(now)
            if due:
                Turn(person, now).run(due)
            elif not reached:
                return

    def _decided(
        self, record: Record, checks: Checks, lines: Lines | None, now: Millis
    ) -> Decision:
        """What a submission is told; there are no lines if nobody waits."""
        person, kind, recipient = self._person, record.kind, record.recipient
        person.trim(now)
        start = max(now, record.not_before)
        planned: Sequence[Entry] = ()
        total = 0
        if lines is not None:
            total = lines.total(recipient)
            start = max(start, lines.begins(recipient, checks))
            planned = lines.planned(recipient, kind, now)
        subject = Subject(kind, person.zone, record.expires_at)
        decision = person.decide(subject, person.within(checks, now), planned, checks, start)
        if isinstance(decision, Send) and start > now:
            decision = Defer(start, "")
        if total < person.settings.waiting_max:
            return decision
        longer = isinstance(decision, Defer | Digest)
        if isinstance(decision, Collapse) and lines is not None:
            group = f"collapse:{decision.rule}:{record.kind.type}"
            longer = not lines.in_group(recipient, record.kind.channel, group)
        return Reject(FULL, NEVER) if longer else decision

    def _enter(self, record: Record, decision: Decision, lines: Lines, now: Millis) -> None:
        """A submission takes its place in the line, or ends at once."""
        fates = self._person.fates
        row = waiting_row(record)
        row.decided = True
        match decision:
            case Reject(rule):
                fates[record.id] = Fate(REJECTED, rule, now)
                return
            case Expire():
                fates[record.id] = Fate(EXPIRED, None, now)
                return
            case Defer(until, rule):
                _hold(row, until, rule)
            case Digest(until, rule):
                row.group = f"digest:{rule}"
                waiting = lines.in_group(row.recipient, row.channel, row.group)
                earliest = max(now, row.not_before)
                taken = (slot for slot in slots(waiting) if slot >= earliest)
                _hold(row, min(taken, default=until), rule)
            case Collapse(until, rule):
                row.group = f"collapse:{rule}:{row.type}"
                _hold(row, self._supersede(row, until, lines, now), rule)
            case _:
                row.promised, row.due_at = True, now
        self._person.place(row)
        lines.enter(row)

    def _supersede(self, row: Delivery, until: Millis, lines: Lines, now: Millis) -> Millis:
        older = lines.in_group(row.recipient, row.channel, row.group)
        if not older:
            return until
        for other in older:
            self._person.end(other, COLLAPSED, now)
        lines.leave(row.recipient, [other.id for other in older])
        alike = slots(other for other in older if other.kind == row.kind)
        return max(min(alike), row.not_before, now) if alike else until


def _hold(row: Delivery, until: Millis, rule: str) -> None:
    row.state, row.rule, row.held = State.DEFERRED, rule or None, bool(rule)
    row.due_at = min(until, row.expires_at)
