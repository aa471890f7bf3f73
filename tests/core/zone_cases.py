"""What the tests of windows and hours share: zones, their transitions, a look at the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from tactful.core.model import DAY, HOUR, SECOND

LONDON = ZoneInfo("Europe/London")
APIA = ZoneInfo("Pacific/Apia")

FIRST_SECOND = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp())
LAST_SECOND = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
WHOLE_MINUTES_SECOND = int(datetime(1973, 1, 1, tzinfo=UTC).timestamp())
"""From then on every offset and every transition is a whole minute; test_windows.py tests it."""


def ms(text: str) -> int:
    """The instant that an ISO text with an offset names."""
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


def iso(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def offset(second: int, zone: tzinfo) -> int:
    found = datetime.fromtimestamp(second, zone).utcoffset()
    assert found is not None
    return found.days * 86400 + found.seconds


def wall(second: int, zone: tzinfo) -> int:
    """What the wall clock shows, as seconds since it showed 1970-01-01 00:00."""
    return second + offset(second, zone)


# The zones and their transitions --------------------------------------------------------------


@cache
def transitions(name: str) -> tuple[int, ...]:
    """The seconds from 1970 to 2037 at which the offset of a zone changes."""
    zone, found = ZoneInfo(name), []
    low, old = FIRST_SECOND, offset(FIRST_SECOND, ZoneInfo(name))
    for high in range(FIRST_SECOND, LAST_SECOND, 4 * 86400):
        new = offset(high, zone)
        if new != old:
            left, right = low, high
            while right - left > 1:
                middle = (left + right) // 2
                if offset(middle, zone) == old:
                    left = middle
                else:
                    right = middle
            found.append(right)
        low, old = high, new
    return tuple(found)


@cache
def zone_names() -> tuple[str, ...]:
    """One name for each set of zones that have always agreed."""
    distinct: dict[object, str] = {}
    for name in sorted(available_timezones() - {"localtime", "Factory"}):
        turns, zone = transitions(name), ZoneInfo(name)
        shown = tuple(offset(turn, zone) for turn in turns)
        distinct.setdefault((offset(FIRST_SECOND, zone), turns, shown), name)
    return tuple(distinct.values())


@cache
def kinds_of_transition(since: int = FIRST_SECOND) -> tuple[tuple[str, int], ...]:
    """One transition for each pair of (offset before, offset after, time of the wall clock)."""
    kinds: dict[tuple[int, int, int], tuple[str, int]] = {}
    for name in zone_names():
        zone = ZoneInfo(name)
        for turn in transitions(name):
            before, after = offset(turn - 1, zone), offset(turn, zone)
            if turn >= since:
                kinds.setdefault((before, after, (turn + before) % 86400), (name, turn))
    return tuple(kinds.values())


@st.composite
def zoned_instants(draw: st.DrawFn, since: int = FIRST_SECOND) -> tuple[ZoneInfo, int]:
    """A zone and an instant in ms, mostly within days or moments of a transition."""
    if draw(st.booleans()):
        name, turn = draw(st.sampled_from(kinds_of_transition(since)))
    else:
        name = draw(st.sampled_from(zone_names()))
        turns = [turn for turn in transitions(name) if turn >= since] or [since]
        turn = draw(st.sampled_from(turns) | st.integers(since, LAST_SECOND))
    near = st.sampled_from((-SECOND, -1, 0, 1, SECOND)) | st.integers(-3 * HOUR, 3 * HOUR)
    return ZoneInfo(name), turn * SECOND + draw(near | st.integers(-8 * DAY, 3 * DAY))
