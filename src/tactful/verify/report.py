"""The verdict on a history, in the words of Jepsen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tactful.verify.limits import Violation

INSIDE_SHOWN: Final = 100


class RuleFigures(NamedTuple):
    """One rule: its limit or hours as last written, and how it was kept.

    `fullest` is the most that one of its windows held, None for hours and rates; `used` the share
    of what it allowed that was used while something waited for it, None if nothing did.
    """

    limit: str
    violations: int
    fullest: int | None
    used: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """Figures and findings.

    `attempts` is how many deliveries were asked for, `ok` how many of them were accepted,
    `waiting`, `ended` and `out` where those are (`out`: handed to their channel), `handovers` how
    often something was handed over, `recovered` what went out although an answer had been lost
    before. The lists hold one text for each finding; of `limit_violations` the first 1,000 are
    kept. `rules` has all rules by name. `arrived` and `spread_ms` are None without a log.
    """

    attempts: int
    ok: int
    waiting: int
    ended: int
    out: int
    handovers: int
    recovered: int
    lost: Sequence[str]
    unexpected: Sequence[str]
    duplicated_explained: Sequence[str]
    duplicated_unexplained: Sequence[str]
    limit_violations: Sequence[Violation]
    rules: Mapping[str, RuleFigures]
    arrived: int | None = None
    spread_ms: int | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing was found that must not be."""
        wrong = self.lost or self.unexpected or self.duplicated_unexplained
        return not wrong and not self.violations

    @property
    def violations(self) -> int:
        """How many hand-overs no rule in force allowed."""
        return sum(figures.violations for figures in self.rules.values())

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data; of each window at most 100 hand-overs, the last ones."""
        return {
            "clean": self.clean,
            "attempts": self.attempts,
            "ok": self.ok,
            "waiting": self.waiting,
            "ended": self.ended,
            "out": self.out,
            "handovers": self.handovers,
            "recovered": self.recovered,
            "lost": list(self.lost),
            "unexpected": list(self.unexpected),
            "duplicated": {
                "explained": list(self.duplicated_explained),
                "unexplained": list(self.duplicated_unexplained),
            },
            "violations": self.violations,
            "limit_violations": [_violation(one) for one in self.limit_violations],
            "rules": {name: figures._asdict() for name, figures in self.rules.items()},
            "arrived": self.arrived,
            "spread_ms": self.spread_ms,
        }


def _violation(one: Violation) -> dict[str, Any]:
    found = one._asdict()
    found["inside"] = [
        {"at": other.at, "delivery": other.name, "type": other.type, "channel": other.channel}
        for other in one.inside[-INSIDE_SHOWN:]
    ]
    return found
