"""Rules made ready for one kind of delivery.

A rule is what people write; a check is what a decision needs. Rules are compiled once per kind of
delivery into `Checks`: the few bounds, hours and gates that matter to it, each bound with a memo
of which kinds of attempt it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tactful.core.model import Kind, Millis, Priority
from tactful.core.rules import Limit, Rule
from tactful.core.throughput import Cell
from tactful.core.windows import Hours, Unit

WHOLE: Final = 1_000_000
"""A view of a line that holds all of it."""


class _Counted(dict[Kind, bool]):
    """Which kinds of attempt a bound counts, worked out once per kind."""

    def __init__(self, test: Callable[[Kind], bool]) -> None:
        super().__init__()
        self._test = test

    def __missing__(self, kind: Kind) -> bool:
        answer = self[kind] = self._test(kind)
        return answer


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """At most `count` of the counted attempts per window, for one kind of delivery.

    `reach_ms` is how far back a decision may have to look.
    """

    rule: Rule
    count: int
    window_ms: Millis
    unit: Unit | None
    reach_ms: Millis
    counted: _Counted


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Hours in which deliveries of a kind must wait (`quiet`), or in which alone they may go."""

    rule: Rule
    hours: Hours
    quiet: bool


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A throughput limit for everybody together."""

    rule: Rule
    cell: Cell

    def key(self, channel: str, address: str) -> str:
        """The name of the one thing it limits: the channel, or the address's domain in it."""
        if self.rule.per == "channel":
            return f"{self.rule.name}\n{channel}"
        return f"{self.rule.name}\n{channel}\n{address.rpartition('@')[2].lower()}"


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """All that the rules say about one kind of delivery.

    `reach_ms` is how far back the history must be known (0: no limit matches), `view` how many of
    the slots planned last are enough to plan behind them: all, where a rule collapses, since whom
    the newest replaces may stand anywhere in the line.
    """

    bounds: tuple[Bound, ...]
    spans: tuple[Span, ...]
    gates: tuple[Gate, ...]
    reach_ms: Millis
    view: int


def compile_checks(rules: Sequence[Rule], kind: Kind) -> Checks:
    """What the rules say about deliveries of this kind."""
    bounds: list[Bound] = []
    spans: list[Span] = []
    gates: list[Gate] = []
    for rule in rules:
        if not rule.matches(kind):
            continue
        if isinstance(rule.quiet, Hours):
            spans.append(Span(rule, rule.quiet, quiet=True))
        elif isinstance(rule.window, Hours):
            spans.append(Span(rule, rule.window, quiet=False))
        elif isinstance(rule.limit, Limit) and rule.is_throughput:
            cell = Cell.of(rule.limit.count, rule.limit.window_ms, rule.burst)
            gates.append(Gate(rule, cell))
        else:
            bounds += _bounds(rule, kind)
    return Checks(
        tuple(bounds),
        tuple(spans),
        tuple(gates),
        reach_ms=max((bound.reach_ms for bound in bounds), default=0),
        view=_view(rules, kind, bounds),
    )


def _view(rules: Sequence[Rule], kind: Kind, bounds: Sequence[Bound]) -> int:
    if any(rule.on_limit == "collapse" and rule.matches(kind) for rule in rules):
        return WHOLE
    return max(256, 1 + max((bound.count for bound in bounds), default=0))


def _bounds(rule: Rule, kind: Kind) -> list[Bound]:
    """The limit itself, and one tighter bound for each reserve above this kind's priority.

    A reserve of r for priority q says: what is below q may together hold at most `count - r`
    slots. With that, r slots are always left for q and above, and none stays empty once those
    have used their share.
    """
    limit = rule.limit
    assert isinstance(limit, Limit)
    same = rule.per.partition("+")[2]

    def bound(count: int, below: int) -> Bound:
        def test(other: Kind) -> bool:
            return (
                other.priority < below
                and rule.matches(other)
                and (not same or getattr(other, same) == getattr(kind, same))
            )

        return Bound(rule, count, limit.window_ms, limit.unit, limit.reach_ms, _Counted(test))

    found = [bound(limit.count, len(Priority))]
    kept = 0
    for priority in sorted(Priority, reverse=True):
        here = rule.reserve.get(priority.name.lower(), 0)
        kept += here
        if here and kind.priority < priority:
            found.append(bound(limit.count - kept, priority))
    return found
