"""Two rule sets in the same world, and one rule at several settings.

Both sides of a comparison get the same traffic, the same people and the same chances, seed by seed
(common random numbers), so that what differs is the rules' doing. The difference of each figure is
given with a confidence interval of 95 % over the seeds, by Student's t for pairs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.core.rules import rule_from
from tactful.sim.figures import Figures, figures
from tactful.sim.run import simulate
from tactful.sim.scenario import Policies, Scenario

RATIOS: Final = ("received_ratio", "opened_ratio")
# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; 1.96 + 2.4 / n after that.
_T: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure under both rule sets, averaged over the seeds, and how far it moved.

    `low` and `high` bound the mean difference with a confidence of 95 %; None with one seed.
    """

    name: str
    before: float
    after: float
    change: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves no doubt about the direction."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two rule sets do in the same world; the figures are those of the first seed."""

    seeds: tuple[int, ...]
    before: Figures
    after: Figures
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        return {
            "seeds": list(self.seeds),
            "differences": [{**asdict(one), "clear": one.clear} for one in self.differences],
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """One field of a rule at several values, and the value at the knee of the curve, if it bends.

    The knee is where the curve of opened messages against unsubscribed people (against the 95th
    percentile of the delay, if nobody unsubscribes) is farthest above the line between its ends
    (Satopaa et al. 2011, "Finding a kneedle in a haystack").
    """

    rule: str
    field: str
    points: tuple[tuple[str, Figures], ...]
    knee: str | None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        points = [{"value": value, **found.to_dict()} for value, found in self.points]
        return {"rule": self.rule, "field": self.field, "knee": self.knee, "points": points}


def compare(scenario: Scenario, other: Policies, runs: int) -> Comparison:
    """The scenario under its own and under other rules, with so many seeds from its own on.

    Types and templates are the scenario's own where the other policies say nothing of them.
    """
    seeds = tuple(scenario.seed + step for step in range(runs))
    own = scenario.policies
    mixed = Policies(other.rules, other.types or own.types, other.templates or own.templates)
    changed = replace(scenario, policies=mixed)
    pairs = [
        (
            figures(simulate(replace(scenario, seed=seed))),
            figures(simulate(replace(changed, seed=seed))),
        )
        for seed in seeds
    ]
    names = _flat(pairs[0][0]).keys() | _flat(pairs[0][1]).keys()
    order = [name for name in (*_flat(pairs[0][0]), *_flat(pairs[0][1])) if name in names]
    found = [
        _difference(name, [(_flat(a).get(name, 0), _flat(b).get(name, 0)) for a, b in pairs])
        for name in dict.fromkeys(order)
    ]
    return Comparison(seeds, pairs[0][0], pairs[0][1], tuple(found))


def sweep(scenario: Scenario, what: str, told: Callable[[str], None] | None = None) -> Sweep:
    """The scenario at each value of `rules.NAME.FIELD=VALUE,VALUE,...`; raises RequestError."""
    path, _, listed = what.partition("=")
    parts = path.strip().split(".")
    values = [value.strip() for value in listed.split(",") if value.strip()]
    if len(parts) < 3 or parts[0] != "rules" or not values:
        raise RequestError("sweep", what, "must read like rules.marketing.limit=1/day,2/day,3/day")
    name, field = ".".join(parts[1:-1]), parts[-1]
    points = []
    for value in values:
        changed = replace(scenario, policies=_with(scenario.policies, name, field, value))
        if told is not None:
            told(value)
        points.append((value, figures(simulate(changed))))
    return Sweep(name, field, tuple(points), knee([_gain(found) for _, found in points], values))


def knee(points: Sequence[tuple[float, float]], values: Sequence[str]) -> str | None:
    """The value whose (cost, gain) is farthest above the line from the first point to the last."""
    if len(points) < 3:
        return None
    (left, low), (right, high) = min(points), max(points)
    if right <= left or high <= low:
        return None
    above = [(y - low) / (high - low) - (x - left) / (right - left) for x, y in points]
    best = max(range(len(points)), key=above.__getitem__)
    return values[best] if above[best] > 0.01 else None


def _with(policies: Policies, name: str, field: str, value: str) -> Policies:
    rules = {rule.name: rule for rule in policies.rules}
    if name not in rules:
        known = ", ".join(rules) or "none"
        raise RequestError(f"rules.{name}", value, f"is no rule here: {known}")
    known_fields = [one.name for one in fields(rules[name])]
    if field not in known_fields:
        raise RequestError(f"rules.{name}.{field}", value, f"is none of {', '.join(known_fields)}")
    body: dict[str, Any] = {
        **rules[name].to_dict(),
        field: int(value) if value.isdigit() else value,
    }
    try:
        rules[name] = rule_from(body)
    except RequestError as error:
        raise RequestError(f"rules.{name}.{error.field}", error.value, error.bound) from None
    return replace(policies, rules=tuple(rules.values()))


def _gain(found: Figures) -> tuple[float, float]:
    cost = found.total.unsubscribed or found.delays["all"].p95 or 0
    return float(cost), float(found.total.opened)


def _flat(found: Figures) -> dict[str, float]:
    """The figures that a comparison shows, of all types together and of each."""
    flat: dict[str, float] = {}
    for name, tally in (("", found.total), *found.types.items()):
        prefix = f"{name}." if name else ""
        delays = found.delays.get(name or "all")
        for key, value in tally.to_dict().items():
            flat[prefix + key] = value or 0
        if delays is not None:
            for key, value in asdict(delays).items():
                flat[f"{prefix}{key}_delay"] = value or 0
    flat["most_in_a_day"] = max(found.per_day, default=0)
    return flat


def _difference(name: str, pairs: Sequence[tuple[float, float]]) -> Difference:
    before = statistics.fmean(a for a, _ in pairs)
    after = statistics.fmean(b for _, b in pairs)
    changes = [b - a for a, b in pairs]
    low = high = None
    if len(changes) > 1:
        free = len(changes) - 1
        quantile = _T[free - 1] if free <= len(_T) else 1.96 + 2.4 / free
        half = quantile * statistics.stdev(changes) / math.sqrt(len(changes))
        low, high = after - before - half, after - before + half
    return Difference(name, before, after, after - before, low, high)
