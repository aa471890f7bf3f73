"""The decisions about what is due for one person at one instant, as `engine.dispatch` makes them.

Two things follow from how the engine works. Who waits is looked up when it is first needed and not
again, and what has left the line in the same turn is still found there: nothing is written before
its end. And the last word about a delivery counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from tactful.core.decide import Subject
from tactful.core.model import (
    Collapse,
    Defer,
    Digest,
    Entry,
    Kind,
    Millis,
    Reject,
    Send,
    State,
)
from tactful.engine.line import Lines, slots
from tactful.ports import Delivery
from tactful.sim.fates import (
    COLLAPSED,
    DEFERRED,
    DIGESTED,
    EXPIRED,
    FAILED,
    REJECTED,
    SENT,
    SUPPRESSED,
)
from tactful.sim.standing import Standing


class Turn:
    """One look at all that is due."""

    def __init__(self, person: Standing, now: Millis) -> None:
        self._person = person
        self._now = now
        self._lines: Lines | None = None
        self._view = 0
        self._handled: set[str] = set()
        self._gone: list[Delivery] = []
        self._failed: list[Entry] = []
        self._freed = False

    def run(self, rows: Sequence[Delivery]) -> None:
        """Decides all of them."""
        person = self._person
        self._view = max(person.book.checks(row.kind).view for row in rows)
        for unit in self._units(rows):
            if unit[0].id not in self._handled:
                self._decide(unit)
        if self._freed:
            person.wake(self._now)
        for entry in self._failed:
            person.history.remove(entry)
        if self._failed:
            person.wake(self._now)

    def _units(self, rows: Sequence[Delivery]) -> list[list[Delivery]]:
        """What goes or waits together: one delivery, or the members of a digest."""
        person = self._person
        units: list[list[Delivery]] = []
        digests: dict[tuple[str, str], list[Delivery]] = {}
        for row in rows:
            if self._now >= row.expires_at:
                self._end(row, EXPIRED)
                continue
            if row.id in person.unwanted:
                self._end(row, SUPPRESSED)
                continue
            rule = row.group.removeprefix("digest:") if row.group.startswith("digest:") else ""
            if not rule or not person.book.digests(rule):
                units.append([row])
                continue
            key = (row.channel, row.group)
            unit = digests.get(key)
            if unit is None or len(unit) >= person.settings.digest_max:
                unit = digests[key] = []
                units.append(unit)
            unit.append(row)
        return units

    def _decide(self, unit: list[Delivery]) -> None:
        person, now, head = self._person, self._now, unit[0]
        kind = head.kind
        checks = person.book.checks(kind)
        subject = Subject(kind, person.zone)
        planned: list[Entry] = []
        if not head.decided and (checks.bounds or checks.spans):
            planned = self._planned(head, kind, unit)
        history = person.within(checks, now)
        decision = person.decide(subject, history, planned, checks, now)
        if isinstance(decision, Send):
            self._send(unit, kind)
            return
        if isinstance(decision, Reject) and not head.decided:
            for row in unit:
                row.rule = decision.rule
                self._end(row, REJECTED)
            return
        planned = planned or self._planned(head, kind, unit)
        start = max(now, self._known_lines().begins(head.recipient, checks))
        later = person.decide(subject, history, planned, checks, start)
        match decision if isinstance(later, Send) else later:
            case Reject(rule, retry_at):
                self._wait(unit, max(start, retry_at), rule, "")
            case Defer(until, rule):
                self._wait(unit, max(start, until), rule, "")
            case Digest(until, rule):
                self._wait(unit, max(start, until), rule, f"digest:{rule}")
            case Collapse(until, rule):
                self._collapse(head, max(start, until), rule)

    def _known_lines(self) -> Lines:
        if self._lines is None:
            self._lines = self._person.lines(self._view, self._gone)
        return self._lines

    def _planned(self, head: Delivery, kind: Kind, unit: Sequence[Delivery]) -> list[Entry]:
        lines = self._known_lines()
        lines.leave(head.recipient, [row.id for row in unit])
        return lines.planned(
            head.recipient,
            kind,
            self._now,
            skip=self._handled,
            overdue="none" if head.decided else "promised",
            ahead_of=head.id if head.decided else "",
        )

    # Consequences -----------------------------------------------------------------------------

    def _send(self, unit: Sequence[Delivery], kind: Kind) -> None:
        person, now, head = self._person, self._now, unit[0]
        entry = Entry(now, kind)
        person.history.append(entry)
        if all(row.id in person.fails for row in unit):
            self._failed.append(entry)
        for row in unit:
            self._handled.add(row.id)
            if row.id in person.fails:
                person.end(row, FAILED, now)
            elif len(unit) > 1:
                person.end(row, DIGESTED, now, head.id)
            else:
                person.end(row, SENT if row.rule is None else DEFERRED, now, head.id)
        if self._lines is None:
            self._gone += unit
        else:
            self._lines.leave(head.recipient, [row.id for row in unit])

    def _wait(self, unit: Sequence[Delivery], until: Millis, rule: str, group: str) -> None:
        head = unit[0]
        if group.startswith("digest:") and head.group != group:
            waiting = self._known_lines().in_group(head.recipient, head.channel, group)
            until = min((slot for slot in slots(waiting) if slot > self._now), default=until)
        for row in unit:
            self._person.leave(row)
            row.due_at, row.group, row.rule = min(until, row.expires_at), group, rule
            row.state, row.held, row.decided, row.promised = State.DEFERRED, True, True, False
            self._person.place(row)
            self._known_lines().enter(row)

    def _collapse(self, row: Delivery, until: Millis, rule: str) -> None:
        group = row.group if row.group.startswith(f"collapse:{rule}:") else ""
        group = group or f"collapse:{rule}:{row.type}"
        known = self._known_lines().in_group(row.recipient, row.channel, group)
        waiting = [other for other in known if other.id not in self._handled]
        if any(other.id > row.id for other in waiting):
            row.rule = rule
            self._end(row, COLLAPSED)
            return
        for other in waiting:
            other.rule = rule
            self._end(other, COLLAPSED)
        self._known_lines().leave(row.recipient, [other.id for other in waiting])
        self._wait([row], until, rule, group)

    def _end(self, row: Delivery, outcome: str) -> None:
        self._person.end(row, outcome, self._now)
        if self._lines is None:
            self._gone.append(row)
        self._handled.add(row.id)
        self._freed = True
