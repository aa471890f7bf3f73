"""Figures as people read them: counts, parts, spans and instants. All instants are in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Millis

NOTHING: Final = "-"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
# Not strftime's names: those follow the locale of the process, and a page would no longer be the
# same everywhere.
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def short_count(number: float) -> str:
    """A count for the axis of a plot: `12k`, `1.5M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.4g}{unit}"
    return f"{number:.4g}"


def part(ratio: float | None) -> str:
    """`71.8 %`; a little is never nothing and nearly all is never all. A dash for None."""
    if ratio is None:
        return NOTHING
    if 0 < ratio < 0.001:
        return "<0.1 %"
    if 0.999 < ratio < 1:
        return ">99.9 %"
    return f"{100 * ratio:.1f} %"


def span(milliseconds: Millis | None) -> str:
    """`1.5 h`, in the largest unit that it fills; a dash for None."""
    if milliseconds is None:
        return NOTHING
    for size, unit in _UNITS:
        if milliseconds >= size:
            return f"{milliseconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{milliseconds} ms" if milliseconds else "0 s"


def _moment(at: Millis) -> datetime:
    """An instant as date and time."""
    return _EPOCH + timedelta(milliseconds=at)


def day(at: Millis, *, year: bool = False) -> str:
    """`7 Mar`, or `7 Mar 2026`."""
    found = _moment(at)
    return f"{found.day} {_MONTHS[found.month - 1]}" + (f" {found.year}" if year else "")


def clock(at: Millis, *, seconds: bool = False) -> str:
    """`09:30`, or `09:30:00`."""
    return _moment(at).strftime("%H:%M:%S" if seconds else "%H:%M")


def period(start: Millis, end: Millis) -> str:
    """From when to when: two days of the calendar, or two times of one day."""
    first, last = day(start, year=True), day(end, year=True)
    return f"{first} to {last}" if first != last else f"{first}, {clock(start)} to {clock(end)}"


def instant(at: Millis) -> str:
    """`7 Mar 09:30:00`."""
    return f"{day(at)} {clock(at, seconds=True)}"
