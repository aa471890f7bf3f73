"""What many askers were told by a limiter, judged: was any of it too much, was room left empty?

Each answer says under which version of the rules its asker was, so it does not matter that a change
reaches them at different moments: whatever was granted must have had room under the rules that it
was asked under, given all that was granted before it, by whomever and under whatever rules. The
instants are the server's. In one millisecond nobody knows the order; there whoever had the least
room is taken to have come first, so that what is found is too much in every order. Versions of one
rule may differ in its limit only. Rules are read by `tactful.verify`, which shares no code with the
limiter.

What was used is what `tactful.verify.utilisation` means: whoever is refused because of a rule waits
from then on until the next answer to the same wish. Time counts only while it is known who held
which place under which rule: while all askers were under the same version, and not while the server
was dead, frozen or cut off, nor after that until `settle_ms` and then a whole window have passed,
since what was granted unheard holds a place in it, too. Calendar windows are left out: one that
refuses is full until its end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import NamedTuple

from tactful import Rule
from tactful.verify.clocks import wall_clock
from tactful.verify.evidence import Wait
from tactful.verify.history import Delivery
from tactful.verify.limits import Terms
from tactful.verify.reigns import ALWAYS, Handover, Reign, Version
from tactful.verify.rules import Ceiling, Kind, read_rule
from tactful.verify.rules import Rule as Read
from tactful.verify.utilisation import utilisation

UTC = wall_clock("UTC")
Span = tuple[int, int]


class Answered(NamedTuple):
    """What an asker was told about one wish; `granted` is None where there was no answer.

    `wish` is the same each time that it is asked for. `at` is the instant on the server's clock and
    `rule` the one that refused.
    """

    version: int
    wish: str
    recipient: str
    type: str
    channel: str
    priority: int
    granted: bool | None = None
    at: int = 0
    rule: str | None = None


class Blow(NamedTuple):
    """The server was away from one instant to another, and if it died, `died` was right after."""

    since: int
    until: int
    died: int | None = None


class Versions:
    """All versions of some rules by their numbers; after the last comes the first again."""

    def __init__(self, versions: Iterable[Iterable[Rule]]) -> None:
        self._read = [
            {rule.name: read_rule(rule.to_dict()) for rule in rules} for rules in versions
        ]
        self.names = list(self._read[0])
        for name in self.names:
            if len({_but_for_its_limit(rules[name]) for rules in self._read}) > 1:
                raise ValueError(f"{name}: versions of a rule may differ in its limit only")

    def rule(self, name: str, version: int) -> Read:
        return self._read[version % len(self._read)][name]


def _but_for_its_limit(rule: Read) -> Read:
    ceilings = tuple(Ceiling(0, ceiling.below) for ceiling in rule.ceilings)
    return replace(rule, text="", count=0, window_ms=0, ceilings=ceilings)


def windows_over(
    granted: Sequence[Answered], versions: Versions, deaths: Sequence[int] = ()
) -> list[str]:
    """Each grant that a window had no room for, in words.

    With the instants of `deaths` the server forgot all at each of them: what was granted before
    does not count behind it.
    """
    found: dict[tuple[str, str], str] = {}
    for name in versions.names:
        for (recipient, part, _), group in _groups(name, granted, versions, deaths).items():
            whom = f"{recipient} {part}".strip()
            for level, ceiling in enumerate(versions.rule(name, 0).ceilings):
                counted = [one for one in group if one.priority < ceiling.below]
                for one, most, held in _too_many(counted, name, level, versions):
                    text = f"{name} for {whom} at {one.at}: {held} of {most}"
                    found.setdefault((name, one.wish), text)
    return list(found.values())


def _groups(
    name: str, granted: Iterable[Answered], versions: Versions, deaths: Sequence[int]
) -> Mapping[tuple[str, str, int], list[Answered]]:
    """What a rule counts, by whom it counts it for and by the life of the server, in order."""
    rule = versions.rule(name, 0)
    part = rule.per.partition("+")[2]
    groups: dict[tuple[str, str, int], list[Answered]] = {}
    for one in sorted(granted, key=lambda one: one.at):
        if rule.speaks_of(Kind(one.type, "default", one.channel, one.priority)):
            # What has the very instant of a death was granted before it: a start takes longer.
            life = bisect_left(deaths, one.at)
            whom = (one.recipient, getattr(one, part) if part else "", life)
            groups.setdefault(whom, []).append(one)
    return groups


def _too_many(
    counted: Sequence[Answered], name: str, level: int, versions: Versions
) -> Iterator[tuple[Answered, int, int]]:
    """Each that stands above its ceiling of that level, how many may stand there, and do."""
    instants = [one.at for one in counted]
    for at, together in groupby(counted, key=lambda one: one.at):
        tied = []
        for one in together:
            rule = versions.rule(name, one.version)
            most = rule.ceilings[level].most
            tied.append((most - _before(rule, at, instants), one.wish, most, one))
        for place, (room, _, most, one) in enumerate(sorted(tied)):
            if place >= room:
                yield one, most, most - room + place + 1


def _before(rule: Read, at: int, instants: Sequence[int]) -> int:
    """How many of the ascending instants are in the window that ends right before `at`."""
    end = bisect_left(instants, at)
    if not rule.unit:
        return end - bisect_right(instants, at - rule.window_ms)
    unit = rule.unit
    here = UTC.window(at, unit)
    return end - bisect_left(instants, here, key=lambda instant: UTC.window(instant, unit))


def used(
    by_asker: Sequence[Sequence[Answered]],
    versions: Versions,
    blows: Sequence[Blow],
    settle_ms: int,
) -> dict[str, float]:
    """For each rolling rule that refused something: the share of its places that was used, 0 to 1.

    The answers of each asker are in their order. What was carried out later than `settle_ms` after
    a blow, and heard by nobody, makes the share too small.
    """
    heard = [[one for one in answers if one.granted is not None] for answers in by_asker]
    spans = list(agreed(heard))
    reigns = []
    for name in versions.names:
        if versions.rule(name, 0).unit:
            continue
        reign = [Version(None, ALWAYS, None)]
        for version, span in spans:
            rule = versions.rule(name, version)
            left_out = [(b.since, b.until + settle_ms + rule.window_ms) for b in blows]
            for since, until in _without(span, left_out):
                reign += [Version(rule, since, None), Version(None, until, None)]
        reigns.append(Reign(name, reign))
    everything = list(chain.from_iterable(heard))
    handovers = [
        Handover(
            at=one.at,
            after=0,
            before=0,
            recipient=one.recipient,
            name=one.wish,
            type=one.type,
            category="default",
            channel=one.channel,
            priority=one.priority,
        )
        for one in everything
        if one.granted
    ]
    return utilisation(handovers, list(_waits(everything)), reigns, Terms())


def agreed(by_asker: Sequence[Sequence[Answered]]) -> Iterator[tuple[int, Span]]:
    """Each version, and from when until when all askers were surely under it."""
    spans: dict[int, list[Span]] = {}
    for answers in by_asker:
        begun: Mapping[int, int] = {one.version: one.at for one in reversed(answers)}
        numbers = sorted(begun)
        ends = [*(begun[number] for number in numbers[1:]), answers[-1].at if answers else 0]
        for number, end in zip(numbers, ends, strict=False):
            spans.setdefault(number, []).append((begun[number], end))
    for number, own in sorted(spans.items()):
        since, until = max(span[0] for span in own), min(span[1] for span in own)
        if len(own) == len(by_asker) and since < until:
            yield number, (since, until)


def _without(span: Span, holes: Iterable[Span]) -> Iterator[Span]:
    """What is left of a span; the holes are in order."""
    since, until = span
    for start, end in holes:
        if since < min(start, until):
            yield since, min(start, until)
        since = max(since, end)
    if since < until:
        yield since, until


def _waits(answers: Iterable[Answered]) -> Iterator[Wait]:
    waiting: dict[str, Answered] = {}
    for one in answers:
        before = waiting.pop(one.wish, None)
        if before and before.rule:
            delivery = Delivery(
                one.wish,
                one.recipient,
                before.at,
                channel=one.channel,
                type=one.type,
                priority=one.priority,
            )
            yield Wait(before.rule, before.at, one.at, delivery)
        if not one.granted:
            waiting[one.wish] = one
