"""Rules at random: small limits of every kind, so that much of a little traffic is over them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Any, Final

from tactful.core.rules import Rule

KINDS: Final = ("rolling", "calendar", "quiet hours", "windows", "throughput")
MANNERS: Final = ("scopes", "exempt", "reserve", "digest", "collapse", "reject")

_ROLLING: Final = ("10s", "min", "10min", "hour", "6h", "day", "700ms")
_CALENDAR: Final = ("minute", "hour", "day", "week", "month")
_QUIET: Final = ("22:00-07:00", "02:15-02:45", "00:00-24:00 sat,sun", "12:00-13:00")
# All of them leave some time in common: hours that exclude each other are for tests of their own.
_WINDOWS: Final = ("09:00-17:00", "08:30-20:00 mon-fri", "10:00-01:00")
_FLOWS: Final = ("5/s", "30/min", "1/10s", "100/hour")
_SCOPES: Final = ("recipient+type", "recipient+category", "recipient+channel")


def draw_rules(
    dice: Random,
    features: Collection[str],
    types: Sequence[str],
    categories: Sequence[str],
    channels: Sequence[str],
) -> tuple[Rule, ...]:
    """Up to five rules of the kinds among `features`; their names return from set to set."""
    kinds = [kind for kind in KINDS if kind in features]
    if not kinds:
        return ()
    rules = []
    for number in range(dice.randint(1, 5)):
        body = _limit(dice, dice.choice(kinds), channels)
        filters = (("types", types), ("categories", categories), ("channels", channels))
        for field, names in filters:
            if field not in body and dice.random() < 0.4:
                body[field] = dice.sample(names, dice.randint(1, len(names)))
        if body.get("per") not in ("channel", "domain"):
            body |= _manners(dice, body, [name for name in MANNERS if name in features])
        rules.append(Rule(f"rule{number}", **body))
    return tuple(rules)


def _limit(dice: Random, kind: str, channels: Sequence[str]) -> dict[str, Any]:
    if kind == "rolling":
        return {"limit": f"{dice.choice((0, 1, 1, 1, 2, 2, 3, 5))}/{dice.choice(_ROLLING)}"}
    if kind == "calendar":
        return {"limit": f"{dice.randint(1, 4)}/{dice.choice(_CALENDAR)} calendar"}
    if kind == "quiet hours":
        return {"quiet": dice.choice(_QUIET)}
    if kind == "windows":
        return {"window": dice.choice(_WINDOWS)}
    flow = {"limit": dice.choice(_FLOWS), "per": dice.choice(("channel", "domain"))}
    return {**flow, "burst": dice.choice((1, 1, 3, 10)), "channels": [dice.choice(channels)]}


def _manners(dice: Random, body: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """How a rule treats what is over it, and whom it leaves alone."""
    found: dict[str, Any] = {}
    ways = ["defer", *(name for name in ("digest", "collapse", "reject") if name in names)]
    found["on_limit"] = dice.choice(ways)
    if "scopes" in names and "limit" in body and dice.random() < 0.5:
        found["per"] = dice.choice(_SCOPES)
    if "exempt" in names and dice.random() < 0.3:
        found["exempt"] = [dice.choice(("critical", "high"))]
    room = int(str(body.get("limit", "0")).partition("/")[0])
    if "reserve" in names and room > 1 and dice.random() < 0.6:
        found["reserve"] = {dice.choice(("high", "critical")): dice.randint(1, room - 1)}
    return found
