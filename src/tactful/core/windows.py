"""Calendar windows and daily hours on a recipient's local clock, as UTC instants.

A time zone maps an instant to what the clock on the wall shows. That clock jumps: over a *gap*
(summer time begins, a date line moves) it skips readings, at a *fold* (summer time ends) it shows
some readings twice. Two ideas keep every answer exact whatever it does:

*The onward clock* shows the latest reading that the wall clock has ever shown. It equals the wall
clock, except that it stands still while the wall clock repeats readings after a fold. Days, weeks,
months and daily hours are spans of the onward clock: a reading W turns into the first instant at
which it has reached W. In a fold that is the first occurrence, and only that one; in a gap it is
the transition itself, the first instant after the gap. The onward clock never goes back, so such
instants never go back either: windows adjoin and never overlap. A date that the zone skipped has
no length (Pacific/Apia, 2011-12-30), a date that the zone repeated has up to 48 hours.

*Steady stretches.* Minutes and hours are too short for that: a repeated hour would be one window
of two hours. They are cut instead wherever the wall clock shows a whole unit and wherever the UTC
offset changes, so an hour window is one hour or, at an odd transition, a part of one.

Two facts about zones are taken for granted: offsets and transitions are whole seconds, and two
transitions are more than an hour apart (a test asks the whole tz database). Instants must lie
within the years 1 to 9999 with some room; others raise ValueError or OverflowError, as `datetime`
does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Final

from tactful.core.errors import InvalidRule
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND, Millis

_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MINUTES: Final = 24 * 60
_DAY_SECONDS: Final = 24 * 60 * 60

_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALL_DAYS: Final = frozenset(range(7))
_HOURS: Final = re.compile(
    r"\s*([0-9]{1,2}):([0-5][0-9])\s*-\s*([0-9]{1,2}):([0-5][0-9])(?:\s+(\S.*?))?\s*"
)
_SHAPE: Final = 'must look like "22:00-08:00" or "09:00-17:00 mon-fri"'
_DAY_SHAPE: Final = 'days must be mon, tue, wed, thu, fri, sat, sun or ranges, as in "mon-wed,sat"'


class Unit(StrEnum):
    """A calendar unit that a limit can count in; a week begins on Monday."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_LONGEST: Final[dict[Unit, Millis]] = {
    Unit.MINUTE: 2 * MINUTE,
    Unit.HOUR: 2 * HOUR,
    Unit.DAY: 48 * HOUR,
    Unit.WEEK: 8 * DAY,
    Unit.MONTH: 33 * DAY,
}


def longest_ms(unit: Unit) -> Millis:
    """Give a length in ms that no window of `unit` exceeds, in any zone at any time.

    It is a bound for how much history to keep, not the length of a usual window.
    """
    return _LONGEST[unit]


def calendar_window(now: Millis, unit: Unit, zone: tzinfo) -> tuple[Millis, Millis]:
    """Give the window [start, end) of `unit` in `zone` that holds `now`, in ms UTC.

    Windows of one unit partition time: `start <= now < end`, and the next one starts at `end`.
    Days, weeks and months begin when the onward clock reaches the first midnight of their date;
    minutes and hours at whole units of the wall clock and at changes of the UTC offset.
    """
    if unit is Unit.MINUTE:
        return _clock_window(now, MINUTE, zone)
    if unit is Unit.HOUR:
        return _clock_window(now, HOUR, zone)
    if zone is UTC:
        day = now // DAY + _EPOCH
        if unit is Unit.DAY:
            start = now - now % DAY
            return start, start + DAY
    else:
        day, tomorrow = _onward_day(now, zone)
        if unit is Unit.DAY:
            return _reached(day, 0, zone), tomorrow
    first, following = _week_of(day) if unit is Unit.WEEK else _month_of(day)
    return _reached(first, 0, zone), _reached(following, 0, zone)


def local_date_start(day: date, zone: tzinfo) -> Millis:
    """Give the first instant (ms UTC) at which the clock in `zone` has reached `day`.

    Midnight in a gap gives the transition, a repeated midnight its first occurrence. It never
    decreases with `day`; a date that the zone skipped starts together with the date after it.
    """
    return _reached(day.toordinal(), 0, zone)


# Daily hours ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily span of local wall time, such as quiet hours or a send window.

    `start_min` (0 to 1439) and `end_min` (0 to 1440) are minutes after local midnight; an end
    that is not after the start lies on the next day. `days` are the weekdays on which the span
    starts, 0 is Monday. Raises InvalidRule if one is out of bounds, if start and end are equal,
    or if there is no day. `str(hours)` is a text that `parse_hours` turns back into `hours`.
    """

    start_min: int
    end_min: int
    days: frozenset[int] = _ALL_DAYS

    def __post_init__(self) -> None:
        if not 0 <= self.start_min < _DAY_MINUTES:
            raise InvalidRule("start_min", self.start_min, "start must be from 00:00 to 23:59")
        if not 0 <= self.end_min <= _DAY_MINUTES:
            raise InvalidRule("end_min", self.end_min, "end must be from 00:00 to 24:00")
        if self.start_min == self.end_min:
            bound = "start and end must differ; a whole day is 00:00-24:00"
            raise InvalidRule("end_min", self.end_min, bound)
        if not self.days or not self.days <= _ALL_DAYS:
            bound = "days must be one or more of 0 (Monday) to 6 (Sunday)"
            raise InvalidRule("days", sorted(self.days), bound)

    def __str__(self) -> str:
        text = f"{_clock_text(self.start_min)}-{_clock_text(self.end_min)}"
        return text if self.days == _ALL_DAYS else f"{text} {_days_text(self.days)}"


def parse_hours(text: str, field: str) -> Hours:
    """Read hours from text: two times of day and, unless it is every day, the days they start on.

    `"22:00-08:00"`, `"09:00-17:00 mon-fri"`, `"22:00-07:30 sat,sun"`, `"00:00-24:00 sat,sun"`.
    Blanks around the parts and the case of the names do not matter; a range of days may run over
    Sunday (`fri-mon`). Raises InvalidRule with `field`, the text and what it must look like.
    """
    found = _HOURS.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidRule(field, text, _SHAPE)
    days = _ALL_DAYS if found[5] is None else _parse_days(found[5])
    if days is None:
        raise InvalidRule(field, text, _DAY_SHAPE)
    try:
        return Hours(int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4]), days)
    except InvalidRule as error:
        # The caller knows the text and where it stands, not the minutes that were made of it.
        raise InvalidRule(field, text, error.bound) from None


def hours_end(now: Millis, hours: Hours, zone: tzinfo) -> Millis | None:
    """Give the first instant (ms UTC) after `now` that is outside `hours`; None if `now` is.

    Spans that adjoin count as one. NEVER if the hours are all day, every day.
    """
    # Only this one covers the week: any other span leaves a piece of every day or a whole day
    # free. That piece may fall into a gap, but not day after day.
    if hours.days == _ALL_DAYS and hours.end_min - hours.start_min == _DAY_MINUTES:
        return NEVER
    at = now
    while True:
        day, _ = _onward_day(at, zone)
        end = _span_end(at, day, hours, zone)
        if end is None:
            return None if at == now else at
        at = end


def hours_begin(now: Millis, hours: Hours, zone: tzinfo) -> Millis:
    """Give the first instant (ms UTC) from `now` on that is inside `hours`: often `now` itself."""
    day, _ = _onward_day(now, zone)
    if _span_end(now, day, hours, zone) is not None:
        return now
    while True:
        if _weekday(day) in hours.days:
            start = _reached(day, hours.start_min, zone)
            # A span that a gap swallowed whole has no instant to begin at.
            if now < start < _reached(day, _last_minute(hours), zone):
                return start
        day += 1


def _last_minute(hours: Hours) -> int:
    """Give the end in minutes after the midnight before the start."""
    return hours.end_min + (_DAY_MINUTES if hours.end_min <= hours.start_min else 0)


def _span_end(now: Millis, today: int, hours: Hours, zone: tzinfo) -> Millis | None:
    """Give the end of the one span that holds `now`, or None. `today` is the onward date of `now`.

    A span lasts at most a day of the onward clock, so it began today or yesterday.
    """
    last = _last_minute(hours)
    if _weekday(today) in hours.days and _reached(today, hours.start_min, zone) <= now:
        end = _reached(today, last, zone)
        if now < end:
            return end
    if last > _DAY_MINUTES and _weekday(today - 1) in hours.days:
        end = _reached(today, last - _DAY_MINUTES, zone)
        if now < end:
            return end
    return None


def _clock_text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _days_text(days: frozenset[int]) -> str:
    """Name days in the order of the week, three or more in a row as a range."""
    rows: list[list[int]] = []
    for day in sorted(days):
        if rows and rows[-1][-1] == day - 1:
            rows[-1].append(day)
        else:
            rows.append([day])
    parts: list[str] = []
    for row in rows:
        names = [_NAMES[day] for day in row]
        parts += [f"{names[0]}-{names[-1]}"] if len(names) > 2 else names
    return ",".join(parts)


def _parse_days(text: str) -> frozenset[int] | None:
    """Read names and ranges of days between commas; None if it is anything else."""
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if first not in _NAMES or (dash and last not in _NAMES):
            return None
        begin = _NAMES.index(first)
        length = (_NAMES.index(last) - begin) % 7 if dash else 0
        days.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(days)


# The onward clock -----------------------------------------------------------------------------
#
# Dates are proleptic Gregorian ordinals here (day 1 is a Monday): plain integers to count with.


def _weekday(day: int) -> int:
    return (day - 1) % 7


def _week_of(day: int) -> tuple[int, int]:
    monday = day - _weekday(day)
    return monday, monday + 7


def _month_of(day: int) -> tuple[int, int]:
    today = date.fromordinal(day)
    first = today.replace(day=1)
    # 31 days after a first is always a day of the next month.
    following = date.fromordinal(first.toordinal() + 31).replace(day=1)
    return first.toordinal(), following.toordinal()


def _onward_day(now: Millis, zone: tzinfo) -> tuple[int, Millis]:
    """Give the date that the onward clock shows at `now`, and when it reaches the next one.

    That is the last date that the clock has reached, and not far from the one in Greenwich.
    """
    day = now // DAY + _EPOCH
    tomorrow = _reached(day + 1, 0, zone)
    while tomorrow <= now:
        day, tomorrow = day + 1, _reached(day + 2, 0, zone)
    while (today := _reached(day, 0, zone)) > now:
        day, tomorrow = day - 1, today
    return day, tomorrow


@lru_cache(maxsize=65_536)
def _reached(day: int, minute: int, zone: tzinfo) -> Millis:
    """Give the first instant at which the clock has reached `minute` minutes after 00:00 of `day`.

    `minute` may go on into the next day. Remembered: decisions of one day ask for the same few.
    """
    if minute >= _DAY_MINUTES:
        day, minute = day + 1, minute - _DAY_MINUTES
    today, hour, minute = date.fromordinal(day), minute // 60, minute % 60
    wall = (day - _EPOCH) * _DAY_SECONDS + hour * 3600 + minute * 60
    # fold=0 asks for the offset before a transition that makes the reading doubtful, 1 for the
    # one after it. They are equal if there is none; if the clock goes back, 0 is the first time.
    before = _seconds(datetime.combine(today, time(hour, minute), zone))
    after = _seconds(datetime.combine(today, time(hour, minute, fold=1), zone))
    if before >= after:
        return (wall - before) * SECOND

    # A gap: the clock jumps over the reading somewhere between the two readings of it.
    def reached(second: int) -> bool:
        return second + _seconds(datetime.fromtimestamp(second, zone)) >= wall

    return _first(wall - after, wall - before, reached) * SECOND


# Steady stretches -----------------------------------------------------------------------------


def _clock_window(now: Millis, size: Millis, zone: tzinfo) -> tuple[Millis, Millis]:
    """Give the window of `size` ms on the wall clock around `now`, cut at offset changes."""
    if zone is UTC:
        start = now - now % size
        return start, start + size
    offset = _offset(now, zone)
    start = now - (now + offset) % size
    end = start + size
    if _offset(start, zone) != offset:
        start = _transition(start, now, zone)
    if _offset(end - 1, zone) != offset:
        end = _transition(now, end - 1, zone)
    return start, end


def _transition(low: Millis, high: Millis, zone: tzinfo) -> Millis:
    """Give the instant in (low, high] at which the offset changes; there must be exactly one."""
    old = _offset(low, zone)
    found = _first(low // SECOND, high // SECOND, lambda at: _offset(at * SECOND, zone) != old)
    return found * SECOND


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Bisect (low, high] for the first number that holds; `high` does and `low` does not."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _offset(now: Millis, zone: tzinfo) -> Millis:
    return _seconds(datetime.fromtimestamp(now // SECOND, zone)) * SECOND


def _seconds(moment: datetime) -> int:
    """Give the UTC offset of `moment` in seconds."""
    offset = moment.utcoffset()
    assert offset is not None, "a time zone always has an offset"
    return offset.days * _DAY_SECONDS + offset.seconds
