"""Reading the tables of a scenario: every key by name, every error with its place.

A `Table` is asked for the keys that it may hold and then for `end`, which refuses the others. What
is wrong raises RequestError with a field such as `traffic[2].rate`, the value, and the bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from tactful.core.errors import RequestError
from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Millis
from tactful.engine.requests import parse_duration

T = TypeVar("T")
Read = Callable[[object, str], T]
_MISSING: Final = object()
_RATE: Final = re.compile(r"\s*([0-9.]+)\s*(?:/|per)\s*(second|minute|hour|day|week)\s*")
_UNITS: Final = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY}


class Table:
    """One table of a scenario, at its place."""

    def __init__(self, data: object, place: str) -> None:
        if not isinstance(data, Mapping):
            raise RequestError(place, data, "must be a table of keys")
        self._data = data
        self._place = place
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def field(self, key: str) -> str:
        """What an error calls this key."""
        return f"{self._place}.{key}" if self._place else key

    def take(self, key: str, read: Read[T], default: Any = _MISSING) -> T:
        """The value of a key as a reader gives it, or the default if it is not there."""
        self._asked.append(key)
        if key in self._data:
            return read(self._data[key], self.field(key))
        if default is _MISSING:
            raise RequestError(self.field(key), None, "is missing")
        value: T = default
        return value

    def table(self, key: str) -> Table:
        """A table within this one, an empty one if it is not there."""
        return self.take(key, Table, Table({}, self.field(key)))

    def tables(self, key: str) -> Iterator[Table]:
        """Each of a list of tables."""
        for number, item in enumerate(self.take(key, several, [])):
            yield Table(item, f"{self.field(key)}[{number}]")

    def named(self, key: str) -> Iterator[tuple[str, Table]]:
        """Each of the tables within a table, with its name."""
        within = self.take(key, Table, Table({}, self.field(key)))
        for name, item in within._data.items():
            yield name, Table(item, within.field(name))

    def plain(self) -> dict[str, Any]:
        """What the table holds, for a reader of its own."""
        self._asked += self._data
        return dict(self._data)

    def end(self) -> None:
        """Refuse whatever was not asked for."""
        for key in self._data:
            if key not in self._asked:
                known = ", ".join(sorted(set(self._asked)))
                raise RequestError(self.field(key), self._data[key], f"is no key: {known}")


# Readers --------------------------------------------------------------------------------------


def ratio(value: object, field: str) -> float:
    """A probability; raises RequestError for anything that is no number from 0 to 1."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= number <= 1:
        raise RequestError(field, value, "must be a number from 0 to 1")
    return float(number)


def number(value: object, field: str) -> float:
    """A finite number of at least 0."""
    found = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= found < math.inf:
        raise RequestError(field, value, "must be a number of at least 0")
    return float(found)


def whole(least: int, most: int = 1_000_000_000) -> Read[int]:
    """A whole number within bounds."""

    def read(value: object, field: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise RequestError(field, value, f"must be a whole number from {least} to {most}")

    return read


def text(value: object, field: str) -> str:
    """A text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    raise RequestError(field, value, "must be a text that is not empty")


def word(*words: str) -> Read[str]:
    """One of some words."""

    def read(value: object, field: str) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise RequestError(field, value, f"must be one of {', '.join(words)}")

    return read


def several(value: object, field: str) -> Sequence[Any]:
    """A list."""
    if isinstance(value, list | tuple):
        return value
    raise RequestError(field, value, "must be a list")


def each(read: Read[T]) -> Read[tuple[T, ...]]:
    """A list whose items another reader reads."""

    def read_all(value: object, field: str) -> tuple[T, ...]:
        items = enumerate(several(value, field))
        return tuple(read(item, f"{field}[{place}]") for place, item in items)

    return read_all


def one_or_more(read: Read[T]) -> Read[tuple[T, ...]]:
    """A value or a list of them."""

    def read_all(value: object, field: str) -> tuple[T, ...]:
        return each(read)(value, field) if isinstance(value, list) else (read(value, field),)

    return read_all


def duration(value: object, field: str) -> Millis:
    """A span such as `30s`, `2h` or `1d`, in milliseconds; 0 is one, too."""
    if value == 0 or (isinstance(value, str) and re.fullmatch(r"0\s*[a-z]*", value.strip())):
        return 0
    return parse_duration(value, field)


def instant(value: object, field: str) -> Millis:
    """A date and time with its offset from UTC, in milliseconds since 1970."""
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise RequestError(field, value, "must be a date and time such as 2026-01-01T09:00:00Z")
    return round(found.timestamp() * 1000)


def rate(value: object, field: str) -> float:
    """How many in a millisecond, from a text such as `5/day` or `0.5 per hour`."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    try:
        assert match is not None
        return float(match[1]) / _UNITS[match[2]]
    except (AssertionError, ValueError):
        raise RequestError(field, value, "must read like '5/day' or '0.5 per hour'") from None
