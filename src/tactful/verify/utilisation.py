"""How much of what the rules allowed was used while something waited for it.

A limit that is never exceeded is easy: send nothing. So for each rule and everybody it counts, the
time is taken in which one of its deliveries waited because of it. Over that time the places of the
window that were taken are compared with those that there were. If each that waits goes at the first
instant that the rule allows, no place stands empty, and the share is 1.

An attempt takes a place from its instant to the end of its window. A reserve sets several
ceilings: at each instant those count that hold for who waits then, and of these the one with the
fewest places left; of several that wait, whoever has the most of them left. A place that stands
empty because another rule forbids it, or keeps it for who is older, counts as unused. Throughput
limits and hours are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tactful.verify.evidence import Wait
from tactful.verify.limits import Terms
from tactful.verify.reigns import Handover, Reign
from tactful.verify.rules import Ceiling, Kind, Rule

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
    rooms: dict[tuple[str, str], _Room] = {}
    for wait in waits:
        since, until = max(wait.since, span[0]), min(wait.until, span[1])
        if since < until:
            whom = _whom(rule, wait.delivery)
            rooms.setdefault(whom, _Room(rule.ceilings)).waits(wait.delivery.priority, since, until)
    if not rooms:
        return 0, 0
    for one in counted:
        room = rooms.get(_whom(rule, one))
        if room and rule.speaks_of(Kind(one.type, one.category, one.channel, one.priority)):
            room.takes(one.priority, one.at, _end(rule, one, terms))
    sums = [room.used_of_allowed() for room in rooms.values()]
    return sum(used for used, _ in sums), sum(allowed for _, allowed in sums)


def _whom(rule: Rule, one: object) -> tuple[str, str]:
    part = rule.per.partition("+")[2]
    return getattr(one, "recipient"), getattr(one, part) if part else ""  # noqa: B009


def _end(rule: Rule, one: Handover, terms: Terms) -> int:
    if not rule.unit:
        return one.at + rule.window_ms
    return terms.clock(one.recipient).window_end(one.at, rule.unit, rule.reach_ms)


class _Room:
    """Who took a place of one window, and who waited for one: all changes, to be swept in order."""

    def __init__(self, ceilings: Sequence[Ceiling]) -> None:
        self._ceilings = ceilings
        self._changes: list[tuple[int, str, int, int]] = []

    def waits(self, priority: int, since: int, until: int) -> None:
        self._changes += [(since, "waiting", priority, 1), (until, "waiting", priority, -1)]

    def takes(self, priority: int, since: int, until: int) -> None:
        self._changes += [(since, "taken", priority, 1), (until, "taken", priority, -1)]

    def used_of_allowed(self) -> tuple[int, int]:
        """Places times ms that were taken, and that there were, while anybody waited."""
        counts: dict[str, Counter[int]] = {"waiting": Counter(), "taken": Counter()}
        used = allowed = before = 0
        for at, what, priority, by in sorted(self._changes):
            waiting = [one for one, count in counts["waiting"].items() if count]
            if at > before and waiting:
                left, most = max(self._left(one, counts["taken"]) for one in waiting)
                used += (most - max(0, left)) * (at - before)
                allowed += most * (at - before)
            counts[what][priority] += by
            before = at
        return used, allowed

    def _left(self, priority: int, taken: Counter[int]) -> tuple[int, int]:
        """Places left for who has this priority, and of how many."""
        return min(
            (most - sum(count for one, count in taken.items() if one < below), most)
            for most, below in self._ceilings
            if priority < below
        )
