"""Rules as people wrote them, read once more and on purpose by other code than the engine's.

A field that is not known here is an error and not passed over: it could mean that more is allowed,
or less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tactful.core.errors import InvalidRule

SECOND: Final = 1_000
DAY: Final = 86_400 * SECOND
LEVELS: Final = ("low", "normal", "high", "critical")

_LENGTHS: Final = {
    "ms": 1,
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECOND),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * SECOND),
    **dict.fromkeys(("h", "hour", "hours"), 3_600 * SECOND),
    **dict.fromkeys(("d", "day", "days"), DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * DAY),
}
_CALENDAR: Final = {
    **dict.fromkeys(("m", "min", "minute", "minutes"), "minute"),
    **dict.fromkeys(("h", "hour", "hours"), "hour"),
    **dict.fromkeys(("d", "day", "days"), "day"),
    **dict.fromkeys(("w", "week", "weeks"), "week"),
    **dict.fromkeys(("month", "months"), "month"),
}
# No window of the unit is longer than this, however its clock is put back: how far to look back.
_REACH: Final = {
    "minute": 3_600 * SECOND,
    "hour": 7_200 * SECOND,
    "day": 3 * DAY,
    "week": 9 * DAY,
    "month": 34 * DAY,
}
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SCOPES: Final = (
    "recipient",
    "recipient+type",
    "recipient+category",
    "recipient+channel",
    "channel",
    "domain",
)
_FIELDS: Final = frozenset(
    (
        "name",
        "limit",
        "quiet",
        "window",
        "types",
        "categories",
        "channels",
        "priorities",
        "per",
        "on_limit",
        "exempt",
        "reserve",
        "burst",
    )
)


class Kind(NamedTuple):
    """What a rule can tell apart."""

    type: str
    category: str
    channel: str
    priority: int


class Ceiling(NamedTuple):
    """What has a priority below `below` may together hold `most` places of a window."""

    most: int
    below: int


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes after local midnight, and the weekdays (0 is Monday) on which they begin."""

    start: int
    end: int
    days: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `unit` is the calendar unit of its window, "" for a rolling window of `window_ms`.

    `text` is its limit or its hours as they were written; `hours` is None for a limit, and then
    `quiet` says whether nothing goes within them, or something goes within them only.
    """

    name: str
    text: str
    per: str = "recipient"
    count: int = 0
    window_ms: int = 0
    unit: str = ""
    burst: int = 1
    ceilings: tuple[Ceiling, ...] = ()
    hours: Hours | None = None
    quiet: bool = False
    types: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    levels: frozenset[int] = frozenset(range(len(LEVELS)))

    @property
    def is_flow(self) -> bool:
        """Whether it limits everybody together, as a rate."""
        return self.per in ("channel", "domain")

    @property
    def reach_ms(self) -> int:
        """No window of it is longer."""
        return _REACH[self.unit] if self.unit else self.window_ms

    def speaks_of(self, kind: Kind) -> bool:
        """Whether it limits and counts what is of this kind."""
        return (
            kind.priority in self.levels
            and (self.types is None or kind.type in self.types)
            and (self.categories is None or kind.category in self.categories)
            and (self.channels is None or kind.channel in self.channels)
        )


def read_rule(body: Mapping[str, Any]) -> Rule:
    """Read a rule from plain data; raises InvalidRule naming the field, the value and the bound."""
    for key, value in body.items():
        if key not in _FIELDS:
            raise InvalidRule(key, value, "is no field of a rule that this checker knows")
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRule("name", name, "must be a text")
    given = [key for key in ("limit", "quiet", "window") if body.get(key) is not None]
    if len(given) != 1:
        raise InvalidRule("limit", ", ".join(given), "give exactly one of limit, quiet and window")
    per = "+".join(re.findall(r"[a-z]+", str(body.get("per", "recipient")).lower()))
    if per not in _SCOPES:
        raise InvalidRule("per", body["per"], f"must be one of {', '.join(_SCOPES)}")
    shared: dict[str, Any] = {
        "name": name,
        "text": str(body[given[0]]),
        "per": per,
        "types": _names(body, "types"),
        "categories": _names(body, "categories"),
        "channels": _names(body, "channels"),
        "levels": _levels(body),
    }
    if given[0] != "limit":
        return Rule(hours=_hours(body[given[0]], given[0]), quiet=given[0] == "quiet", **shared)
    count, window_ms, unit = _limit(body["limit"])
    burst = _whole(body.get("burst", 1), "burst", 1)
    if per in ("channel", "domain") and (unit or not count):
        raise InvalidRule("limit", body["limit"], "a throughput limit is rolling and at least 1")
    return Rule(
        count=count,
        window_ms=window_ms,
        unit=unit,
        burst=burst,
        ceilings=tuple(_ceilings(body.get("reserve") or {}, count)),
        **shared,
    )


def _limit(text: object) -> tuple[int, int, str]:
    """Count, length in ms and, if it is a calendar window, the unit: `1 per day calendar`."""
    words = re.findall(r"[0-9]+|[a-z]+|[^\s]", text.lower()) if isinstance(text, str) else []
    calendar = bool(words) and words[-1] == "calendar"
    if words and words[-1] in ("calendar", "rolling"):
        words.pop()
    if len(words) == 3:
        words.insert(2, "1")
    right = len(words) == 4 and words[0].isdigit() and words[2].isdigit()
    if not right or words[1] not in ("/", "per", "in", "every"):
        raise InvalidRule("limit", text, "must read like 2/minute, 20/30min or 1/day calendar")
    count, times, unit = int(words[0]), int(words[2]), words[3]
    if calendar:
        if times != 1 or unit not in _CALENDAR:
            raise InvalidRule("limit", text, "a calendar window is one minute, hour, day, ...")
        return count, 0, _CALENDAR[unit]
    if unit not in _LENGTHS or times < 1:
        raise InvalidRule("limit", text, "a window is one or more ms, s, min, h, days or weeks")
    return count, times * _LENGTHS[unit], ""


def _ceilings(reserve: object, count: int) -> Iterator[Ceiling]:
    """All may hold `count`; what is below a level with a reserve may hold that much less."""
    if not isinstance(reserve, Mapping):
        raise InvalidRule("reserve", reserve, "must map priorities to whole numbers")
    yield Ceiling(count, len(LEVELS))
    kept = 0
    levels = {_level(name, "reserve"): value for name, value in reserve.items()}
    for level in sorted(levels, reverse=True):
        kept += _whole(levels[level], "reserve", 1)
        yield Ceiling(count - kept, level)


def _levels(body: Mapping[str, Any]) -> frozenset[int]:
    wanted = body.get("priorities")
    spoken = range(len(LEVELS)) if wanted is None else [_level(v, "priorities") for v in wanted]
    return frozenset(spoken) - {_level(value, "exempt") for value in body.get("exempt") or ()}


def _level(value: object, field: str) -> int:
    if isinstance(value, str) and value.strip().lower() in LEVELS:
        return LEVELS.index(value.strip().lower())
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(LEVELS):
        return value
    raise InvalidRule(field, value, f"must be one of {', '.join(LEVELS)}")


def _names(body: Mapping[str, Any], field: str) -> frozenset[str] | None:
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidRule(field, value, "must be a list of names")
    return frozenset(item.strip().lower() for item in value)


def _whole(value: object, field: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidRule(field, value, f"must be a whole number of at least {least}")
    return value


def _hours(text: object, field: str) -> Hours:
    found = re.fullmatch(
        r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*(.*?)\s*", str(text), re.DOTALL
    )
    if found is None:
        raise InvalidRule(field, text, "must read like 22:00-08:00 or 09:00-17:00 mon-fri")
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if start == end or start >= 1440 or end > 1440:
        raise InvalidRule(field, text, "must begin and end at two times of day")
    days: set[int] = set()
    for part in found[5].lower().split(",") if found[5] else ["mon-sun"]:
        first, _, last = (piece.strip() for piece in part.partition("-"))
        if first not in _DAYS or (last and last not in _DAYS):
            raise InvalidRule(field, text, f"days must be of {', '.join(_DAYS)}")
        at = _DAYS.index(first)
        days.add(at)
        while last and _DAYS[at] != last:
            at = (at + 1) % 7
            days.add(at)
    return Hours(start, end, frozenset(days))
