"""Rules: what people write about how many notifications are too many.

A rule has a name, filters that say what it speaks of (types, categories, channels, priorities) and
exactly one of

* `limit`: at most so many per window, such as `"2/minute"`, `"3 per hour"`, `"20/30min"` (rolling,
  half open: at exactly the first one's instant plus the window there is room again) or
  `"1/day calendar"` (the calendar unit in the recipient's time zone);
* `quiet`: hours in which nothing goes, such as `"22:00-08:00"`;
* `window`: hours in which alone something goes, such as `"09:00-17:00 mon-fri"`.

`per` says whom a limit counts: `recipient`, or each type, category or channel of a recipient apart
(`recipient+type`, ...), or everybody together over a `channel` or a mail `domain`: the last two are
throughput limits, smooth and with a `burst`.

`on_limit` says what happens to what is over: it waits (`defer`), goes out as one message with the
others that wait (`digest`), replaces those (`collapse`), or is refused (`reject`). Priorities in
`exempt` are outside the rule: neither limited nor counted. `reserve` keeps part of the limit for a
priority and those above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from tactful.core.errors import InvalidRule, RequestError
from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Kind, Millis, Priority
from tactful.core.names import name_key
from tactful.core.windows import Hours, Unit, longest_ms, parse_hours

COUNT_MAX: Final = 1_000_000
WINDOW_MAX_MS: Final = 366 * DAY

_UNITS: Final[dict[str, tuple[Millis, Unit | None]]] = {
    "ms": (1, None),
    **dict.fromkeys(("s", "sec", "second", "seconds"), (SECOND, None)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), (MINUTE, Unit.MINUTE)),
    **dict.fromkeys(("h", "hour", "hours"), (HOUR, Unit.HOUR)),
    **dict.fromkeys(("d", "day", "days"), (DAY, Unit.DAY)),
    **dict.fromkeys(("w", "week", "weeks"), (7 * DAY, Unit.WEEK)),
    **dict.fromkeys(("month", "months"), (31 * DAY, Unit.MONTH)),
}
_SIZES: Final = {"day": DAY, "hour": HOUR, "minute": MINUTE, "second": SECOND, "ms": 1}
_LIMIT = re.compile(
    r"\s*(?P<count>\d{1,12})\s*(?:/|per\s|in\s|every\s)\s*(?P<times>\d{1,9})?\s*"
    r"(?P<unit>[a-z]+)(?:\s+(?P<mode>calendar|rolling))?\s*",
    re.IGNORECASE,
)
_SCOPES: Final = (
    "recipient",
    "recipient+type",
    "recipient+category",
    "recipient+channel",
    "channel",
    "domain",
)
_ON_LIMIT: Final = ("defer", "digest", "collapse", "reject")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` per window: rolling over `window_ms`, or per calendar `unit` if given."""

    count: int
    window_ms: Millis
    unit: Unit | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.count) or not 0 <= self.count <= COUNT_MAX:
            raise InvalidRule(
                "limit", self.count, f"count must be a whole number, 0 to {COUNT_MAX}"
            )
        if not _is_whole(self.window_ms) or not 0 < self.window_ms <= WINDOW_MAX_MS:
            raise InvalidRule(
                "limit", self.window_ms, "window must be above 0 and at most 366 days"
            )

    def __str__(self) -> str:
        if self.unit is not None:
            return f"{self.count}/{self.unit} calendar"
        size, name = next((s, n) for n, s in _SIZES.items() if self.window_ms % s == 0)
        times = self.window_ms // size
        return f"{self.count}/{'' if times == 1 else times}{name}"

    @property
    def reach_ms(self) -> Millis:
        """How far back a decision under this limit may have to look."""
        return self.window_ms if self.unit is None else longest_ms(self.unit)


def parse_limit(text: object, field: str = "limit") -> Limit:
    """Read a limit such as `2/minute`, `3 per hour`, `20/30min` or `1/day calendar`.

    Raises InvalidRule naming the field, the value and the bound.
    """
    if isinstance(text, Limit):
        return text
    match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidRule(field, text, "must read like '2/minute', '20/30min' or '1/day calendar'")
    unit = _UNITS.get(match["unit"].lower())
    if unit is None:
        raise InvalidRule(field, text, "unit must be ms, second, minute, hour, day, week or month")
    count, times = int(match["count"]), int(match["times"] or 1)
    if count > COUNT_MAX:
        raise InvalidRule(field, text, f"count must be a whole number, 0 to {COUNT_MAX}")
    size_ms, calendar = unit
    if (match["mode"] or "").lower() == "calendar":
        if calendar is None or times != 1:
            raise InvalidRule(
                field, text, "a calendar window is one minute, hour, day, week or month"
            )
        return Limit(count, size_ms, calendar)
    if calendar is Unit.MONTH:
        raise InvalidRule(field, text, "a month is a calendar window: write '1/month calendar'")
    if not 0 < times * size_ms <= WINDOW_MAX_MS:
        raise InvalidRule(field, text, "window must be longer than 0 and at most 366 days")
    return Limit(count, times * size_ms)


def parse_priority(value: object, field: str) -> Priority:
    """Read a priority by name or number; raises RequestError."""
    if isinstance(value, str):
        try:
            return Priority[value.strip().upper()]
        except KeyError:
            pass
    elif isinstance(value, int) and not isinstance(value, bool) and value in tuple(Priority):
        return Priority(value)
    raise RequestError(field, value, "must be low, normal, high or critical")


def _priority(value: object, field: str) -> Priority:
    try:
        return parse_priority(value, field)
    except RequestError as error:
        raise InvalidRule(error.field, error.value, error.bound) from None


def _names(value: object, field: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidRule(field, value, "must be a list of names")
    try:
        names = tuple(sorted({name_key(item, field) for item in value}))
    except RequestError as error:
        raise InvalidRule(error.field, error.value, error.bound) from None
    if not names:
        raise InvalidRule(field, value, "must name at least one, or be left out for all")
    return names


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _priorities(value: object, field: str) -> tuple[Priority, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidRule(field, value, "must be a list of priorities")
    return tuple(sorted({_priority(item, field) for item in value}))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked and in normal form; see the module for what each field means.

    Raises InvalidRule naming the field, the value and the bound.
    """

    name: str
    limit: Limit | str | None = None
    types: Iterable[str] | None = None
    categories: Iterable[str] | None = None
    channels: Iterable[str] | None = None
    priorities: Iterable[str | int] | None = None
    per: str = "recipient"
    on_limit: str = "defer"
    exempt: Iterable[str | int] = ()
    reserve: Mapping[str, int] = field(default_factory=dict)
    quiet: Hours | str | None = None
    window: Hours | str | None = None
    burst: int = 1

    def __post_init__(self) -> None:
        put = object.__setattr__
        try:
            put(self, "name", name_key(self.name, "name"))
        except RequestError as error:
            raise InvalidRule(error.field, error.value, error.bound) from None
        for name in ("types", "categories", "channels"):
            put(self, name, _names(getattr(self, name), name))
        if self.priorities is not None:
            put(self, "priorities", _priorities(self.priorities, "priorities"))
            if not self.priorities:
                raise InvalidRule(
                    "priorities", [], "must name at least one, or be left out for all"
                )
        put(self, "exempt", _priorities(self.exempt, "exempt"))
        self._check_what()
        self._check_scope()
        self._check_reserve()

    def _check_what(self) -> None:
        given = [name for name in ("limit", "quiet", "window") if getattr(self, name) is not None]
        if len(given) != 1:
            shown = ", ".join(given) or "none"
            raise InvalidRule("limit", shown, "give exactly one of limit, quiet and window")
        put = object.__setattr__
        if self.limit is not None:
            put(self, "limit", parse_limit(self.limit))
        for name in ("quiet", "window"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Hours):
                put(self, name, parse_hours(value, name))

    def _check_scope(self) -> None:
        per = self.per
        if not isinstance(per, str):
            raise InvalidRule("per", per, f"must be one of {', '.join(_SCOPES)}")
        per = "+".join(part for part in re.split(r"[\s,+]+", per.lower()) if part)
        if per not in _SCOPES:
            raise InvalidRule("per", self.per, f"must be one of {', '.join(_SCOPES)}")
        object.__setattr__(self, "per", per)
        if self.on_limit not in _ON_LIMIT:
            raise InvalidRule("on_limit", self.on_limit, f"must be one of {', '.join(_ON_LIMIT)}")
        if not _is_whole(self.burst) or self.burst < 1:
            raise InvalidRule("burst", self.burst, "must be a whole number of at least 1")
        if not self.is_throughput:
            if self.burst != 1:
                raise InvalidRule("burst", self.burst, "goes with per = channel or domain only")
            return
        if not isinstance(self.limit, Limit) or self.limit.unit or not self.limit.count:
            raise InvalidRule("limit", self.limit, "a throughput limit is rolling and at least 1")
        if self.on_limit != "defer":
            raise InvalidRule("on_limit", self.on_limit, "a throughput limit can only defer")
        if self.reserve:
            raise InvalidRule(
                "reserve",
                self.reserve,
                "does not go with a throughput limit (per = channel or domain)",
            )

    def _check_reserve(self) -> None:
        if not isinstance(self.reserve, Mapping):
            raise InvalidRule("reserve", self.reserve, "must map priorities to whole numbers")
        reserve: dict[str, int] = {}
        for name, count in self.reserve.items():
            priority = _priority(name, "reserve")
            if not _is_whole(count) or count < 1:
                raise InvalidRule(f"reserve.{name}", count, "must be a whole number of at least 1")
            if priority.name.lower() in reserve:
                raise InvalidRule("reserve", dict(self.reserve), "names a priority twice")
            if priority == Priority.LOW:
                raise InvalidRule("reserve", name, "the lowest priority has nobody to reserve from")
            reserve[priority.name.lower()] = count
        if reserve:
            room = self.limit.count if isinstance(self.limit, Limit) else 0
            if sum(reserve.values()) > room:
                raise InvalidRule("reserve", dict(self.reserve), f"must add up to at most {room}")
        object.__setattr__(self, "reserve", reserve)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def is_throughput(self) -> bool:
        """Whether it limits everybody together instead of each recipient."""
        return self.per in ("channel", "domain")

    def matches(self, kind: Kind) -> bool:
        """Whether the rule speaks of a delivery or attempt of this kind."""
        return (
            (self.types is None or kind.type in self.types)
            and (self.categories is None or kind.category in self.categories)
            and (self.channels is None or kind.channel in self.channels)
            and (self.priorities is None or kind.priority in self.priorities)
            and kind.priority not in self.exempt
        )

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain data, without what is at its default; `rule_from` reads it back."""
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value in (item.default, (), {}, None) and item.name != "name":
                continue
            if item.name in ("limit", "quiet", "window"):
                value = str(value)
            elif item.name in ("priorities", "exempt"):
                value = [priority.name.lower() for priority in value]
            elif isinstance(value, tuple):
                value = list(value)
            found[item.name] = dict(value) if isinstance(value, Mapping) else value
        return found


def rule_from(data: Mapping[str, Any], name: str | None = None) -> Rule:
    """Make a rule from plain data (TOML, JSON); unknown keys raise InvalidRule."""
    if not isinstance(data, Mapping):
        raise InvalidRule("rule", data, "must be a table of fields")
    known = {item.name for item in fields(Rule)}
    for key in data:
        if key not in known:
            raise InvalidRule(
                str(key), data[key], f"is no field of a rule: {', '.join(sorted(known))}"
            )
    body = dict(data) if name is None else {**data, "name": name}
    if "name" not in body:
        raise InvalidRule("name", None, "is missing")
    return Rule(**body)
