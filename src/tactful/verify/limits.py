"""Limits: no window of any rule in force ever held more than the rule allowed.

Every hand-over is looked at as the last one of its window, together with all that counted before
it, also before the rule was in force. A rolling window is half open: at exactly the first one's
instant plus the window there is room again. A calendar window is named by the recipient's clock
(`verify.clocks`). Each ceiling of a rule (the limit, and less for what leaves a reserve alone) is
a window of its own.

One pass over the hand-overs in order of time is enough, since a window only ever moves forward: the
work is that of sorting.

A throughput limit of n per W with a burst b holds if any k hand-overs take at least the time of
k - b periods, to the millisecond of the clock: (k - b) W <= (T + 1 ms) n. For all pairs at once,
that is one running minimum: the j-th hand-over at t_j has a *height* of j W - t_j n, and none may
stand more than (b - 1) W + n above any before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tactful.verify.clocks import WallClock, wall_clock, window_name
from tactful.verify.reigns import Handover, Reign
from tactful.verify.rules import Kind, Rule

SHOWN_MAX: Final = 1_000
"""So many violations are kept in full; all are counted."""


class Violation(NamedTuple):
    """One hand-over that its rule did not allow.

    `held` of `most` stood in the `window`, which is put into words; `inside` are those, the
    offending one last. `whom` is whom the rule counted.
    """

    rule: str
    limit: str
    whom: str
    at: int
    held: int
    most: int
    window: str
    inside: Sequence[Handover]


class _Breach(NamedTuple):
    """A violation as it is found: from `first` to `end` of the places, in a list that is shared."""

    rule: Rule
    whom: str
    places: Sequence[int]
    first: int
    end: int
    most: int


@dataclass(slots=True)
class Verdict:
    """What all rules say: `broken` in the order of time, the first of them, and `counts` of all.

    `fullest` has, for each rule, the most that one of its windows held with a hand-over that was
    judged by it.
    """

    broken: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    fullest: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """How to judge.

    `zones` are the recipients' where they are not UTC. `skew_ms` is how far the clocks of two
    processes may differ. `restamped` are instants at which a clock was put right: what is stamped
    so counts and is not judged. With `slack_ms` only rolling windows longer than that are judged,
    shorter by as much: for instants at the other end of a channel.
    """

    zones: Mapping[str, str] = field(default_factory=dict)
    skew_ms: int = 0
    restamped: Collection[int] = ()
    slack_ms: int | None = None

    def clock(self, recipient: str) -> WallClock:
        """The clock on the wall of this recipient."""
        return wall_clock(self.zones.get(recipient, "UTC"))


def judge_limits(handovers: Iterable[Handover], reigns: Sequence[Reign], terms: Terms) -> Verdict:
    """Judge every hand-over by the rules that were in force; raises RequestError for a zone."""
    ordered = sorted(handovers)
    verdict = Verdict()
    found: list[tuple[int, _Breach]] = []
    for reign in reigns:
        over = [
            _Pass(reign, place, terms, verdict.fullest).run(ordered)
            for place in range(len(reign.versions))
        ]
        for place in set().union(*over):
            candidates = reign.candidates(ordered[place], terms.skew_ms)
            if all(place in over[version] for version in candidates):
                found.append((place, over[candidates[-1]][place]))
    found.sort(key=lambda pair: pair[0])
    verdict.counts.update(breach.rule.name for _, breach in found)
    verdict.broken = [_violation(breach, ordered, terms) for _, breach in found[:SHOWN_MAX]]
    return verdict


def _violation(breach: _Breach, ordered: Sequence[Handover], terms: Terms) -> Violation:
    """A breach in words."""
    rule = breach.rule
    inside = [ordered[place] for place in breach.places[breach.first : breach.end]]
    last = inside[-1]
    clock = terms.clock(last.recipient)
    if rule.hours is not None:
        what = "quiet hours" if rule.quiet else "out of the window"
        window = f"{what} {rule.text} in {clock.name}"
    elif rule.is_flow:
        window = f"{last.at - inside[0].at} ms"
    elif rule.unit:
        window = f"{window_name(clock.window(last.at, rule.unit), rule.unit)} in {clock.name}"
    else:
        clock = wall_clock("UTC")
        since = last.at - rule.window_ms + (terms.slack_ms or 0)
        window = f"after {clock.show(since)} until {clock.show(last.at)}"
    held = len(inside)
    return Violation(rule.name, rule.text, breach.whom, last.at, held, breach.most, window, inside)


class _Pass:
    """One version of a rule and all hand-overs that it may have to judge or to count."""

    def __init__(self, reign: Reign, version: int, terms: Terms, fullest: dict[str, int]) -> None:
        self._reign = reign
        self._version = version
        self._terms = terms
        self._fullest = fullest
        self._over: dict[int, _Breach] = {}
        self._span = (
            reign.versions[version].at - terms.skew_ms,
            reign.until(version) + terms.skew_ms,
        )

    def run(self, ordered: Sequence[Handover]) -> Mapping[int, _Breach]:
        """The places of hand-overs that this version does not allow, and why."""
        version = self._reign.versions[self._version]
        rule, slack_ms = version.rule, self._terms.slack_ms
        if rule is None:
            return {}
        if slack_ms is not None and (rule.window_ms <= slack_ms or rule.is_flow):
            return {}
        since, until = self._span
        start = bisect_left(ordered, since - rule.reach_ms, key=lambda one: one.at)
        end = bisect_right(ordered, until, key=lambda one: one.at)
        for whom, places in self._groups(rule, ordered, range(start, end)).items():
            if rule.hours is not None:
                self._hours(rule, ordered, places)
            elif rule.is_flow:
                self._flow(rule, " in ".join(whom), ordered, places)
            else:
                self._windows(rule, ", ".join(whom), ordered, places)
        return self._over

    def _groups(
        self, rule: Rule, ordered: Sequence[Handover], places: Iterable[int]
    ) -> dict[tuple[str, ...], list[int]]:
        """The places of what the rule speaks of, by whom it counts."""
        spoken: dict[Kind, bool] = {}
        part = rule.per.partition("+")[2]
        groups: dict[tuple[str, ...], list[int]] = {}
        for place in places:
            one = ordered[place]
            # What failed has used up its part of a rate; it holds no place in a window.
            if not one.counts and not rule.is_flow:
                continue
            kind = Kind(one.type, one.category, one.channel, one.priority)
            speaks = spoken.get(kind)
            if speaks is None:  # few kinds, many hand-overs
                speaks = spoken[kind] = rule.speaks_of(kind)
            if not speaks:
                continue
            if rule.per == "domain" and not one.domain:
                continue  # its delivery is not stored any more
            if rule.per == "channel":
                whom: tuple[str, ...] = (one.channel,)
            elif rule.per == "domain":
                whom = (one.domain, one.channel)
            else:
                whom = (one.recipient, getattr(one, part)) if part else (one.recipient,)
            groups.setdefault(whom, []).append(place)
        return groups

    def _is_judged(self, one: Handover) -> bool:
        """Whether this version may have been in force; what only counts is told apart quickly."""
        return self._span[0] <= one.at <= self._span[1] and self._version in self._candidates(one)

    def _is_surely_judged(self, one: Handover) -> bool:
        return self._candidates(one) == [self._version]

    def _candidates(self, one: Handover) -> list[int]:
        if one.at in self._terms.restamped:
            return []
        return self._reign.candidates(one, self._terms.skew_ms)

    # Of several ceilings the first one that objects is kept: the limit itself comes first.

    def _windows(
        self, rule: Rule, whom: str, ordered: Sequence[Handover], places: Sequence[int]
    ) -> None:
        """Slide over one recipient's hand-overs, once for each ceiling."""
        clock = self._terms.clock(ordered[places[0]].recipient)
        window_ms = rule.window_ms - (self._terms.slack_ms or 0)
        fullest = self._fullest.get(rule.name, 0)
        for most, below in rule.ceilings:
            first = 0
            inside: list[int] = []
            name: object = None
            for place in places:
                one = ordered[place]
                if one.priority >= below:
                    continue
                if rule.unit:
                    here = clock.window(one.at, rule.unit)
                    first, name = (first, name) if here == name else (len(inside), here)
                inside.append(place)
                if not rule.unit:
                    while ordered[inside[first]].at <= one.at - window_ms:
                        first += 1
                held = len(inside) - first
                if (held > most or held > fullest) and self._is_judged(one):
                    fullest = max(fullest, held)
                    if held > most:
                        breach = _Breach(rule, whom, inside, first, len(inside), most)
                        self._over.setdefault(place, breach)
        self._fullest[rule.name] = fullest

    def _hours(self, rule: Rule, ordered: Sequence[Handover], places: Sequence[int]) -> None:
        """Nothing goes in quiet hours, and nothing outside of a window."""
        assert rule.hours is not None
        for number, place in enumerate(places):
            one = ordered[place]
            within = self._terms.clock(one.recipient).within(one.at, rule.hours)
            if within == rule.quiet and self._is_judged(one):
                breach = _Breach(rule, one.recipient, places, number, number + 1, 0)
                self._over.setdefault(place, breach)

    def _flow(
        self, rule: Rule, whom: str, ordered: Sequence[Handover], places: Sequence[int]
    ) -> None:
        """See the module; only what surely belongs to this version is judged."""
        room = (rule.burst - 1) * rule.window_ms + rule.count
        corrected = sorted(self._terms.restamped)
        judged = [place for place in places if self._is_surely_judged(ordered[place])]
        since = first = lowest = 0
        for number, place in enumerate(judged):
            one = ordered[place]
            height = number * rule.window_ms - one.at * rule.count
            before, since = since, bisect_right(corrected, one.at)
            # With a clock that is put right, the rate is moved back and begins anew.
            if number == 0 or since > before or height <= lowest:
                first, lowest = number, height
            elif height - lowest > room:
                passed = one.at - ordered[judged[first]].at
                most = rule.burst + (passed + 1) * rule.count // rule.window_ms
                self._over[place] = _Breach(rule, whom, judged, first, number + 1, most)
