"""What the rules say about each kind of ask, in the form that the script reads.

The bounds are those of `core.checks`, so that the script decides what the core would. A calendar
window has to be named in the plan, as the script knows no zones: it is the one that holds the
latest instant the server is known to have had. If the server finds itself in another one, it says
what time it is and decides nothing, and is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from tactful.core.checks import Bound, Checks, compile_checks
from tactful.core.errors import InvalidRule, RequestError
from tactful.core.model import NEVER, Kind, Millis, Priority
from tactful.core.names import name_key
from tactful.core.rules import Limit, Rule, parse_priority
from tactful.core.windows import calendar_window

COUNT_MAX: Final = 10_000
"""The largest limit: a history is read whole, and this many stamps take the server about 1 ms."""

KINDS_KEPT: Final = 4_096

_SEVERITY: Final = {"defer": 0, "digest": 1, "collapse": 2, "reject": 3}


@dataclass(slots=True, eq=False)
class Check:
    """What the rules say about one kind in one zone.

    `text` gives it as JSON; what it gave last holds from `_since` until `_until`.
    """

    kind: Kind
    zone: tzinfo
    _checks: Checks
    _bounds: list[tuple[Bound, dict[str, Any]]]
    _made: tuple[Millis, Millis, bytes] = field(default=(0, 0, b""))

    def text(self, instant: Millis) -> bytes:
        """The check as JSON, with the calendar windows that hold `instant`."""
        since, until, text = self._made
        if since <= instant < until:
            return text
        since, until, shown = 0, NEVER, []
        for bound, told in self._bounds:
            if bound.unit is None:
                shown.append(told)
                continue
            start, stop = calendar_window(instant, bound.unit, self.zone)
            since, until = max(since, start), min(until, stop)
            shown.append({**told, "start": start, "stop": stop})
        text = orjson.dumps(
            {
                "kind": _kind_text(self.kind),
                "reach": self._checks.reach_ms,
                "most": max((bound.count for bound in self._checks.bounds), default=0),
                "bounds": shown,
            }
        )
        self._made = since, until, text
        return text


class Plan:
    """All checks of a set of rules; raises InvalidRule for rules that a limiter cannot hold."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._numbers: dict[str, int] = {}
        for number, rule in enumerate(self.rules):
            _require(rule)
            if self._numbers.setdefault(rule.name, number) != number:
                raise InvalidRule("name", rule.name, "must be of one rule only")
        reaches = [rule.limit.reach_ms for rule in self.rules if isinstance(rule.limit, Limit)]
        self.longest_ms = max(reaches, default=1)
        self.check = lru_cache(maxsize=KINDS_KEPT, typed=True)(self._check)

    def _check(
        self,
        what: str,
        priority: str | int = Priority.NORMAL,
        channel: str | None = None,
        category: str = "default",
        zone: str = "UTC",
    ) -> Check:
        """The check of a kind, given as people write it; raises RequestError."""
        kind = Kind(
            type=name_key(what, "type"),
            category=name_key(category, "category"),
            channel="" if channel is None else name_key(channel, "channel"),
            priority=parse_priority(priority, "priority"),
        )
        checks = compile_checks(self.rules, kind)
        bounds = [(bound, self._told(bound, kind)) for bound in checks.bounds]
        return Check(kind, _zone(zone), checks, bounds)

    def _told(self, bound: Bound, kind: Kind) -> dict[str, Any]:
        rule = bound.rule
        told: dict[str, Any] = {
            "count": bound.count,
            "rule": self._numbers[rule.name],
            "severity": _SEVERITY[rule.on_limit],
            # What a bound counts is a product: these priorities, of these types, and so on.
            "priorities": "".join(
                str(int(p)) for p in Priority if bound.counted[kind._replace(priority=p)]
            ),
        }
        if bound.unit is None:
            told["window"] = bound.window_ms
        same = rule.per.partition("+")[2]
        for one, several in (
            ("type", "types"),
            ("channel", "channels"),
            ("category", "categories"),
        ):
            names = [getattr(kind, one)] if one == same else getattr(rule, several)
            if names is not None:
                told[several] = names
        return told


def _require(rule: object) -> None:
    if not isinstance(rule, Rule):
        raise InvalidRule("rules", rule, "must be rules: tactful.Rule(...)")
    if not isinstance(rule.limit, Limit):
        raise InvalidRule(rule.name, rule.quiet or rule.window, "a limiter knows no hours")
    if rule.is_throughput:
        raise InvalidRule("per", rule.per, "a limiter counts for each recipient apart")
    if rule.limit.count > COUNT_MAX:
        raise InvalidRule("limit", rule.limit, f"a limiter counts to {COUNT_MAX} at most")


def _kind_text(kind: Kind) -> str:
    """The kind as histories have it: names cannot hold a line break."""
    category = "" if kind.category == "default" else kind.category
    return f"{kind.priority:d}{kind.type}\n{kind.channel}\n{category}".rstrip("\n")


def _zone(name: object) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)  # type: ignore[arg-type]  # what is no text is refused here, too
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        bound = "must be an IANA zone such as Europe/Berlin"
        raise RequestError("zone", name, bound) from None
