"""How much of what the rules allowed was used while something waited for it.

A limit that is never exceeded is easy: send nothing. So for each rule and everybody it counts, the
time is taken in which one of its deliveries waited because of it. Over that time the places of the
window that were taken are compared with those that there were. If each that waits goes at the first
instant that the rule allows, no place stands empty, and the share is 1.

An attempt takes a place from its instant to the end of its window. Of a rule with a reserve the
ceiling counts that was used most. Throughput limits and hours are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from tactful.verify.evidence import Wait
from tactful.verify.limits import Terms
from tactful.verify.reigns import Handover, Reign
from tactful.verify.rules import Kind, Rule

Spell = tuple[int, int]


def utilisation(
    handovers: Iterable[Handover], waits: Iterable[Wait], reigns: Sequence[Reign], terms: Terms
) -> dict[str, float]:
    """For each rule that held something up: the share that was used, 0 to 1."""
    by_rule: dict[str, list[Wait]] = {}
    for wait in waits:
        by_rule.setdefault(wait.rule, []).append(wait)
    counted = [one for one in handovers if one.counts]
    found: dict[str, float] = {}
    for reign in reigns:
        used = allowed = 0
        for place, version in enumerate(reign.versions):
            rule = version.rule
            if rule is None or rule.is_flow or rule.hours is not None:
                continue
            span = (version.at, reign.until(place))
            taken, there = _of_version(rule, span, by_rule.get(reign.name, ()), counted, terms)
            used, allowed = used + taken, allowed + there
        if allowed:
            found[reign.name] = round(used / allowed, 4)
    return found


def _of_version(
    rule: Rule, span: Spell, waits: Iterable[Wait], counted: Iterable[Handover], terms: Terms
) -> tuple[int, int]:
    """Places times ms that were taken, and that there were, while something waited."""
    spells: dict[tuple[str, str], list[Spell]] = {}
    for wait in waits:
        since, until = max(wait.since, span[0]), min(wait.until, span[1])
        if since < until:
            spells.setdefault(_whom(rule, wait.delivery), []).append((since, until))
    if not spells:
        return 0, 0
    stood: dict[tuple[str, str], list[Handover]] = {}
    for one in counted:
        whom = _whom(rule, one)
        kind = Kind(one.type, one.category, one.channel, one.priority)
        if whom in spells and rule.speaks_of(kind):
            stood.setdefault(whom, []).append(one)
    used = allowed = 0
    for whom, times in spells.items():
        waited = _Waited(times)
        ends = [(one, _end(rule, one, terms)) for one in stood.get(whom, ())]
        best = (0, 0)
        for most, below in rule.ceilings:
            there = most * waited.total
            taken = sum(waited.between(one.at, end) for one, end in ends if one.priority < below)
            if there and (not best[1] or taken * best[1] > best[0] * there):
                best = (min(taken, there), there)
        used, allowed = used + best[0], allowed + best[1]
    return used, allowed


def _whom(rule: Rule, one: object) -> tuple[str, str]:
    part = rule.per.partition("+")[2]
    return getattr(one, "recipient"), getattr(one, part) if part else ""  # noqa: B009


def _end(rule: Rule, one: Handover, terms: Terms) -> int:
    if not rule.unit:
        return one.at + rule.window_ms
    return terms.clock(one.recipient).window_end(one.at, rule.unit, rule.reach_ms)


class _Waited:
    """The union of some stretches of time."""

    def __init__(self, spells: Iterable[Spell]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._before: list[int] = []
        self.total = 0
        for since, until in sorted(spells):
            if self._ends and since <= self._ends[-1]:
                self.total += max(0, until - self._ends[-1])
                self._ends[-1] = max(self._ends[-1], until)
            else:
                self._starts.append(since)
                self._ends.append(until)
                self._before.append(self.total)
                self.total += until - since

    def between(self, start: int, end: int) -> int:
        """How much of it lies in [start, end)."""
        return self._until(end) - self._until(start)

    def _until(self, at: int) -> int:
        place = bisect_right(self._starts, at) - 1
        if place < 0:
            return 0
        return self._before[place] + min(at, self._ends[place]) - self._starts[place]
