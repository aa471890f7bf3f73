"""What the clock on a recipient's wall showed: the names of calendar windows, and hours of the day.

The engine computes where a window begins and ends. Here no boundary is computed at all: an instant
gets a *name*, and two instants are in one window exactly if they have one name.

* The name of a day, week or month comes from the *latest reading* that the wall clock has ever
  shown. When the clock is put back over midnight, that is still the old day, and a date that is
  shown twice is one day.
* Minutes and hours are too short for that. Their name is the reading together with the offset from
  UTC, so that an hour that comes twice is two hours.

A clock is put back by a day at most, and never twice within two days; so a look at the offsets from
two days before finds every latest reading.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from tactful.core.errors import RequestError
from tactful.verify.rules import DAY, SECOND, Hours

Name = tuple[int, int]

_STEP: Final = 6 * 3_600 * SECOND
_MINUTE: Final = 60 * SECOND
_SIZES: Final = {"minute": _MINUTE, "hour": 60 * _MINUTE}
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY: Final = 3  # it was a Thursday
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Stretch(NamedTuple):
    """From `start` on the offset is this; `shown` is the latest reading before."""

    start: int
    offset: int
    shown: int


class WallClock:
    """The wall clock of one zone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = ZoneInfo(name)
        self._known: dict[int, list[_Stretch]] = {}

    def window(self, at: int, unit: str) -> Name:
        """The name of the calendar window that holds this instant."""
        reading, latest, offset = self._read(at)
        if unit in _SIZES:
            return reading // _SIZES[unit], offset
        day = latest // DAY
        if unit == "day":
            return day, 0
        if unit == "week":
            return (day + _EPOCH_WEEKDAY) // 7, 0
        today = date.fromordinal(day + _EPOCH_DAY)
        return today.year, today.month

    def window_end(self, at: int, unit: str, reach_ms: int) -> int:
        """The first instant behind the window that holds `at`; it is at most `reach_ms` long."""
        name = self.window(at, unit)
        low, high = at, at + reach_ms
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.window(middle, unit) == name else (low, middle)
        return high

    def within(self, at: int, hours: Hours) -> bool:
        """Whether this instant lies in these hours; an hour that comes twice counts once."""
        _, latest, _ = self._read(at)
        today = (latest // DAY + _EPOCH_WEEKDAY) % 7
        minute = latest % DAY // _MINUTE
        if hours.end > hours.start:
            return today in hours.days and hours.start <= minute < hours.end
        evening = today in hours.days and minute >= hours.start
        return evening or ((today - 1) % 7 in hours.days and minute < hours.end)

    def show(self, at: int) -> str:
        """The instant as this clock shows it."""
        moment = (_EPOCH + timedelta(milliseconds=at)).astimezone(self._zone)
        return moment.isoformat(sep=" ", timespec="milliseconds")

    def _read(self, at: int) -> tuple[int, int, int]:
        """What the clock shows, the latest that it has shown, and its offset."""
        day = at // DAY
        stretches = self._known.get(day)
        if stretches is None:
            stretches = self._known[day] = self._around(day)
        place = len(stretches) - 1
        while stretches[place].start > at:
            place -= 1
        _, offset, shown = stretches[place]
        reading = at + offset
        return reading, max(reading, shown), offset

    def _around(self, day: int) -> list[_Stretch]:
        """The offsets from two days before a day to its end."""
        at, end = (day - 2) * DAY, (day + 1) * DAY
        offset = self._offset(at)
        found = [_Stretch(at, offset, at + offset)]
        while at < end:
            at += _STEP
            if self._offset(at) != offset:
                start = self._change(at - _STEP, at, offset)
                shown = max(found[-1].shown, start + offset - 1)
                offset = self._offset(at)
                found.append(_Stretch(start, offset, shown))
        return found

    def _change(self, low: int, high: int, offset: int) -> int:
        """The first whole second in (low, high] at which the offset is another one."""
        while high - low > SECOND:
            middle = (low + high) // 2 // SECOND * SECOND
            if self._offset(middle) == offset:
                low = middle
            else:
                high = middle
        return high

    def _offset(self, at: int) -> int:
        moment = datetime.fromtimestamp(at // SECOND, self._zone)
        offset = moment.utcoffset()
        assert offset is not None
        return offset // timedelta(milliseconds=1)


@cache
def wall_clock(zone: str) -> WallClock:
    """The wall clock of a zone by its IANA name; raises RequestError if there is none."""
    try:
        return WallClock(zone)
    except (KeyError, ValueError, OSError):
        bound = "must be an IANA zone such as Europe/Berlin"
        raise RequestError("timezone", zone, bound) from None


def window_name(name: Name, unit: str) -> str:
    """The name of a calendar window as people say it."""
    first, second = name
    if unit == "month":
        return f"{first:04}-{second:02}"
    if unit in _SIZES:
        start = datetime.fromtimestamp(first * _SIZES[unit] // SECOND, UTC)
        return f"{start:%Y-%m-%d %H:%M}"
    day = first if unit == "day" else first * 7 - _EPOCH_WEEKDAY
    shown = date.fromordinal(day + _EPOCH_DAY).isoformat()
    return shown if unit == "day" else f"week of {shown}"
