"""Calendar windows and daily hours, against examples and against a clock that is watched.

The oracles below share nothing with the code under test but `datetime.fromtimestamp`: they look at
the wall clock second by second or minute by minute and remember what it has shown.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tactful.core.errors import InvalidRule
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND
from tactful.core.windows import (
    Hours,
    Unit,
    calendar_window,
    hours_begin,
    hours_end,
    local_date_start,
    longest_ms,
    parse_hours,
)

LONDON = ZoneInfo("Europe/London")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
ST_JOHNS = ZoneInfo("America/St_Johns")
GAZA = ZoneInfo("Asia/Gaza")
HAVANA = ZoneInfo("America/Havana")
KATHMANDU = ZoneInfo("Asia/Kathmandu")

EVERY_DAY = frozenset(range(7))
FIRST_SECOND = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp())
LAST_SECOND = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
WHOLE_MINUTES_SECOND = int(datetime(1973, 1, 1, tzinfo=UTC).timestamp())
"""From then on every offset and every transition is a whole minute; a test below says so."""


def ms(text: str) -> int:
    """The instant that an ISO text with an offset names."""
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


def iso(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_window(now: str, unit: Unit, zone: tzinfo) -> tuple[str, str]:
    start, end = calendar_window(ms(now), unit, zone)
    return iso(start), iso(end)


def offset(second: int, zone: tzinfo) -> int:
    found = datetime.fromtimestamp(second, zone).utcoffset()
    assert found is not None
    return found.days * 86400 + found.seconds


def wall(second: int, zone: tzinfo) -> int:
    """What the wall clock shows, as seconds since it showed 1970-01-01 00:00."""
    return second + offset(second, zone)


def weekday(day: int) -> int:
    return (day + 3) % 7  # 1970-01-01 was a Thursday


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


@st.composite
def any_hours(draw: st.DrawFn) -> Hours:
    """Hours, often with times at which clocks change."""
    usual = st.sampled_from((0, 1, 30, 60, 90, 120, 150, 180, 480, 1320, 1380, 1410, 1439))
    start = draw(usual | st.integers(0, 1439))
    end = draw(usual | st.just(1440) | st.integers(0, 1440))
    assume(start != end)
    every_day = st.just(EVERY_DAY)
    return Hours(start, end, draw(every_day | st.frozensets(st.integers(0, 6), min_size=1)))


# Oracles --------------------------------------------------------------------------------------


def watched_date_start(day: date, zone: tzinfo) -> int:
    """Watch the clock from long before `day` until it first shows `day` or later."""
    wanted = (day - date(1970, 1, 1)).days * 86400
    # No place is ahead of UTC by more than 16 hours.
    second = wanted - 16 * 3600
    assert wall(second, zone) < wanted
    while wall(second, zone) < wanted:
        second += 60
    while wall(second - 1, zone) >= wanted:
        second -= 1
    return second * SECOND


def watched_window(now: int, unit: Unit, zone: tzinfo) -> tuple[int, int]:
    """Watch the clock for the last and the next boundary of a minute or an hour."""
    size = 60 if unit is Unit.MINUTE else 3600

    def boundary(second: int) -> bool:
        return wall(second, zone) % size == 0 or offset(second, zone) != offset(second - 1, zone)

    start = now // SECOND
    while not boundary(start):
        start -= 1
    end = now // SECOND + 1
    while not boundary(end):
        end += 1
    return start * SECOND, end * SECOND


def onward_minutes(start: int, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """Each minute from `start` on: the instant in ms and the latest minute the clock has shown."""
    latest = max(wall(start // SECOND - back * 60, zone) // 60 for back in range(26 * 60))
    for second in itertools.count(start // SECOND, 60):
        latest = max(latest, wall(second, zone) // 60)
        yield second * SECOND, latest


def shows(hours: Hours, latest: int) -> bool:
    """Whether a clock that shows `latest` is inside the hours."""
    day, minute = divmod(latest, 1440)
    today, yesterday = weekday(day) in hours.days, weekday(day - 1) in hours.days
    if hours.start_min < hours.end_min:
        return today and hours.start_min <= minute < hours.end_min
    return (today and minute >= hours.start_min) or (yesterday and minute < hours.end_min)


# Tests ----------------------------------------------------------------------------------------


class TestTheTzDatabaseIsAsAssumed:
    def test_transitions_are_more_than_an_hour_apart(self) -> None:
        for name in zone_names():
            assert all(b - a > 3600 for a, b in itertools.pairwise(transitions(name))), name

    def test_offsets_and_transitions_are_whole_minutes_since_1973(self) -> None:
        for name in zone_names():
            turns = [turn for turn in transitions(name) if turn >= WHOLE_MINUTES_SECOND]
            zone = ZoneInfo(name)
            assert all(turn % 60 == 0 for turn in turns), name
            assert all(offset(at, zone) % 60 == 0 for at in (WHOLE_MINUTES_SECOND, *turns)), name

    def test_there_are_many_zones_and_kinds_of_transition(self) -> None:
        assert len(zone_names()) > 250
        assert len(kinds_of_transition()) > 150


class TestADayIsTheLocalDate:
    @pytest.mark.parametrize(
        ("zone", "now", "start", "end"),
        [
            # London: an ordinary day, 23 hours, 25 hours.
            (LONDON, "2024-07-10T12:00Z", "2024-07-09T23:00:00Z", "2024-07-10T23:00:00Z"),
            (LONDON, "2024-03-31T12:00Z", "2024-03-31T00:00:00Z", "2024-03-31T23:00:00Z"),
            (LONDON, "2024-10-27T12:00Z", "2024-10-26T23:00:00Z", "2024-10-28T00:00:00Z"),
            # Lord Howe moves by half an hour: 23.5 and 24.5 hours.
            (LORD_HOWE, "2024-10-06T00:00Z", "2024-10-05T13:30:00Z", "2024-10-06T13:00:00Z"),
            (LORD_HOWE, "2024-04-07T00:00Z", "2024-04-06T13:00:00Z", "2024-04-07T13:30:00Z"),
            # Sao Paulo skipped 00:00 to 01:00, and went back from 00:00 to 23:00.
            (SAO_PAULO, "2018-11-04T12:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
            (SAO_PAULO, "2018-02-17T12:00Z", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"),
            # Gaza skipped 00:01 to 01:01 and repeated it too.
            (GAZA, "2010-03-27T12:00Z", "2010-03-26T22:00:00Z", "2010-03-27T21:00:00Z"),
            # Havana repeats 00:00 to 01:00: the first midnight counts.
            (HAVANA, "2024-11-03T12:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
            # Offsets need not be whole hours.
            (KATHMANDU, "2024-01-01T18:15Z", "2024-01-01T18:15:00Z", "2024-01-02T18:15:00Z"),
            (UTC, "2024-01-01T18:15Z", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"),
        ],
    )
    def test_of_any_length(self, zone: tzinfo, now: str, start: str, end: str) -> None:
        assert iso_window(now, Unit.DAY, zone) == (start, end)

    def test_that_began_stays_begun_when_the_clock_goes_back_over_midnight(self) -> None:
        # 2010-11-07 00:01 in St. John's became 2010-11-06 23:01.
        assert iso(local_date_start(date(2010, 11, 7), ST_JOHNS)) == "2010-11-07T02:30:00Z"
        repeated = "2010-11-07T03:00Z"
        assert datetime.fromtimestamp(ms(repeated) // SECOND, ST_JOHNS).day == 6
        expected = ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z")
        assert iso_window(repeated, Unit.DAY, ST_JOHNS) == expected
        assert iso_window("2010-11-07T02:29:59Z", Unit.DAY, ST_JOHNS)[1] == expected[0]

    def test_begins_at_the_transition_when_the_gap_starts_before_midnight(self) -> None:
        # Toronto skipped 1919-03-30 23:30 to 00:30.
        toronto = ZoneInfo("America/Toronto")
        turn = local_date_start(date(1919, 3, 31), toronto)
        assert iso(turn) == "1919-03-31T04:30:00Z"
        assert wall(turn // SECOND, toronto) % 86400 == 30 * 60

    def test_that_the_zone_skipped_has_no_length(self) -> None:
        skipped = local_date_start(date(2011, 12, 30), APIA)
        assert skipped == local_date_start(date(2011, 12, 31), APIA) == ms("2011-12-30T10:00Z")
        assert calendar_window(skipped - 1, Unit.DAY, APIA) == (skipped - DAY, skipped)
        assert calendar_window(skipped, Unit.DAY, APIA) == (skipped, skipped + DAY)

    def test_that_the_zone_repeated_is_one_window(self) -> None:
        # Juneau took the American date on 1867-10-19 at 15:33:32 and had the 18th again.
        juneau = ZoneInfo("America/Juneau")
        start, end = calendar_window(ms("1867-10-19T12:00Z"), Unit.DAY, juneau)
        assert end - start == 48 * HOUR

    def test_is_found_for_every_transition_of_every_zone(self) -> None:
        """The exhaustive part: windows hold their instant and adjoin the next one."""
        for name in zone_names():
            zone = ZoneInfo(name)
            for turn in transitions(name):
                for now in (turn * SECOND - 1, turn * SECOND, turn * SECOND + 30 * MINUTE):
                    start, end = calendar_window(now, Unit.DAY, zone)
                    assert start <= now < end, (name, now)
                    assert calendar_window(end, Unit.DAY, zone)[0] == end, (name, now)
                    assert calendar_window(start, Unit.DAY, zone) == (start, end), (name, now)


class TestALongerUnitIsMadeOfDays:
    @pytest.mark.parametrize(
        ("unit", "now", "start", "end"),
        [
            (Unit.WEEK, "2024-03-31T12:00Z", "2024-03-25T00:00:00Z", "2024-03-31T23:00:00Z"),
            (Unit.WEEK, "2024-03-31T23:00Z", "2024-03-31T23:00:00Z", "2024-04-07T23:00:00Z"),
            (Unit.MONTH, "2024-02-29T12:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            (Unit.MONTH, "2024-03-31T22:59Z", "2024-03-01T00:00:00Z", "2024-03-31T23:00:00Z"),
            (Unit.MONTH, "2024-12-31T23:59Z", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ],
    )
    def test_in_london(self, unit: Unit, now: str, start: str, end: str) -> None:
        assert iso_window(now, unit, LONDON) == (start, end)

    @given(zoned_instants())
    @settings(print_blob=True, deadline=None, max_examples=150)
    def test_week_from_monday_and_month_from_the_first(self, case: tuple[ZoneInfo, int]) -> None:
        zone, now = case
        day, _ = calendar_window(now, Unit.DAY, zone)
        # The date of the day: the last one that has begun by then.
        shown = datetime.fromtimestamp(day // SECOND, zone).date()
        monday = shown - timedelta(days=shown.weekday())
        first = shown.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        assert calendar_window(now, Unit.WEEK, zone) == (
            watched_date_start(monday, zone),
            watched_date_start(monday + timedelta(days=7), zone),
        )
        assert calendar_window(now, Unit.MONTH, zone) == (
            watched_date_start(first, zone),
            watched_date_start(following, zone),
        )


class TestMinutesAndHoursAreCutAtOffsetChanges:
    @pytest.mark.parametrize(
        ("zone", "now", "start", "end"),
        [
            (LONDON, "2024-07-10T12:59:59Z", "2024-07-10T12:00:00Z", "2024-07-10T13:00:00Z"),
            # Both passes of a repeated hour are hours.
            (LONDON, "2024-10-27T00:30Z", "2024-10-27T00:00:00Z", "2024-10-27T01:00:00Z"),
            (LONDON, "2024-10-27T01:30Z", "2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z"),
            (KATHMANDU, "2024-01-01T00:00Z", "2023-12-31T23:15:00Z", "2024-01-01T00:15:00Z"),
            # Lord Howe: 02:00 became 02:30, and half a year later 02:00 became 01:30.
            (LORD_HOWE, "2024-10-05T15:40Z", "2024-10-05T15:30:00Z", "2024-10-05T16:00:00Z"),
            (LORD_HOWE, "2024-10-05T16:00Z", "2024-10-05T16:00:00Z", "2024-10-05T17:00:00Z"),
            (LORD_HOWE, "2024-04-06T14:59Z", "2024-04-06T14:00:00Z", "2024-04-06T15:00:00Z"),
            (LORD_HOWE, "2024-04-06T15:10Z", "2024-04-06T15:00:00Z", "2024-04-06T15:30:00Z"),
            # St. John's: one minute after midnight the hour is cut off.
            (ST_JOHNS, "2010-11-07T02:30Z", "2010-11-07T02:30:00Z", "2010-11-07T02:31:00Z"),
            (ST_JOHNS, "2010-11-07T02:31Z", "2010-11-07T02:31:00Z", "2010-11-07T03:30:00Z"),
        ],
    )
    def test_hour(self, zone: tzinfo, now: str, start: str, end: str) -> None:
        assert iso_window(now, Unit.HOUR, zone) == (start, end)

    def test_minute_of_an_offset_with_seconds(self) -> None:
        # Monrovia was 44 min 30 s behind UTC until 1972-01-07.
        monrovia = ZoneInfo("Africa/Monrovia")
        expected = ("1971-05-01T12:00:30Z", "1971-05-01T12:01:30Z")
        assert iso_window("1971-05-01T12:01:00Z", Unit.MINUTE, monrovia) == expected

    @given(zoned_instants(), st.sampled_from((Unit.MINUTE, Unit.HOUR)))
    @settings(print_blob=True, deadline=None, max_examples=150)
    def test_boundaries_are_those_of_a_watched_clock(
        self, case: tuple[ZoneInfo, int], unit: Unit
    ) -> None:
        zone, now = case
        assert calendar_window(now, unit, zone) == watched_window(now, unit, zone)


class TestWindowsPartitionTime:
    @given(zoned_instants(), st.sampled_from(Unit), st.integers(0, 10**9))
    @settings(print_blob=True, deadline=None, max_examples=400)
    def test_every_instant_is_in_exactly_one(
        self, case: tuple[ZoneInfo, int], unit: Unit, part: int
    ) -> None:
        zone, now = case
        start, end = window = calendar_window(now, unit, zone)
        assert start <= now < end
        assert end - start <= longest_ms(unit)
        assert calendar_window(start, unit, zone) == window
        assert calendar_window(start + part % (end - start), unit, zone) == window
        assert calendar_window(end - 1, unit, zone) == window
        assert calendar_window(end, unit, zone)[0] == end
        assert calendar_window(start - 1, unit, zone)[1] == start

    @given(zoned_instants())
    @settings(print_blob=True, deadline=None, max_examples=200)
    def test_a_date_starts_when_the_clock_first_shows_it(self, case: tuple[ZoneInfo, int]) -> None:
        zone, now = case
        day = datetime.fromtimestamp(now // SECOND, zone).date()
        for near in (day, day + timedelta(days=1)):
            assert local_date_start(near, zone) == watched_date_start(near, zone)

    @given(st.integers(-(10**12), 4 * 10**12), st.sampled_from(Unit))
    @settings(print_blob=True, deadline=None)
    def test_the_short_way_for_utc_is_the_long_way(self, now: int, unit: Unit) -> None:
        assert calendar_window(now, unit, UTC) == calendar_window(now, unit, ZoneInfo("UTC"))

    def test_in_a_fixed_offset_too(self) -> None:
        ahead = timezone(timedelta(hours=5, minutes=30))
        expected = ("2023-12-31T18:30:00Z", "2024-01-01T18:30:00Z")
        assert iso_window("2024-01-01T00:00Z", Unit.DAY, ahead) == expected

    def test_a_unit_says_its_name(self) -> None:
        assert [str(unit) for unit in Unit] == ["minute", "hour", "day", "week", "month"]
        assert Unit("day") is Unit.DAY


class TestHoursAsText:
    @pytest.mark.parametrize(
        ("text", "hours", "canonical"),
        [
            ("22:00-08:00", Hours(1320, 480), "22:00-08:00"),
            (" 9:00 - 17:30  MON-Fri ", Hours(540, 1050, frozenset(range(5))), None),
            ("22:00-07:30 sat,sun", Hours(1320, 450, frozenset({5, 6})), "22:00-07:30 sat,sun"),
            ("00:00-24:00 sat, sun", Hours(0, 1440, frozenset({5, 6})), "00:00-24:00 sat,sun"),
            ("22:00-00:00", Hours(1320, 0), "22:00-00:00"),
            ("10:00-11:00 fri-mon", Hours(600, 660, frozenset({4, 5, 6, 0})), None),
            ("10:00-11:00 mon-sun", Hours(600, 660), "10:00-11:00"),
            ("10:00-11:00 wed-tue", Hours(600, 660), "10:00-11:00"),
            ("10:00-11:00 sun,mon-wed,mon", Hours(600, 660, frozenset({0, 1, 2, 6})), None),
        ],
    )
    def test_says_what_it_means(self, text: str, hours: Hours, canonical: str | None) -> None:
        assert parse_hours(text, "quiet_hours") == hours
        if canonical is not None:
            assert str(hours) == canonical

    def test_is_canonical(self) -> None:
        assert str(parse_hours("9:00-17:30 FRI-mon", "send")) == "09:00-17:30 mon,fri-sun"

    @given(any_hours())
    @settings(print_blob=True, deadline=None)
    def test_parses_back_to_an_equal_value(self, hours: Hours) -> None:
        assert parse_hours(str(hours), "quiet_hours") == hours
        assert hash(parse_hours(str(hours), "quiet_hours")) == hash(hours)

    @pytest.mark.parametrize(
        ("text", "bound"),
        [
            ("", "must look like"),
            ("22:00", "must look like"),
            ("22-08", "must look like"),
            ("22:00-08:60", "must look like"),
            ("22:00-08:00mon", "must look like"),
            ("٢٢:00-08:00", "must look like"),
            ("-1:00-08:00", "must look like"),
            ("24:00-08:00", "start must be from 00:00 to 23:59"),
            ("22:00-24:01", "end must be from 00:00 to 24:00"),
            ("22:00-99:00", "end must be from 00:00 to 24:00"),
            ("08:00-08:00", "start and end must differ"),
            ("00:00-00:00", "start and end must differ"),
            ("22:00-08:00 monday", "days must be"),
            ("22:00-08:00 mon,", "days must be"),
            ("22:00-08:00 mon-", "days must be"),
            ("22:00-08:00 mon-wed-fri", "days must be"),
            ("22:00-08:00 mon tue", "days must be"),
        ],
    )
    def test_that_is_wrong_names_field_value_and_bound(self, text: str, bound: str) -> None:
        with pytest.raises(InvalidRule) as caught:
            parse_hours(text, "rules.night.hours")
        assert caught.value.field == "rules.night.hours"
        assert caught.value.value == text
        assert caught.value.bound.startswith(bound)

    def test_that_is_no_text_is_refused_alike(self) -> None:
        with pytest.raises(InvalidRule, match=r"^hours: must look like .* \(got 2200\)$"):
            parse_hours(2200, "hours")  # type: ignore[arg-type]

    @given(st.text(max_size=30) | st.from_regex(r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2} [a-z,-]*"))
    @settings(print_blob=True, deadline=None, max_examples=100)
    def test_is_read_or_refused_and_nothing_else(self, text: str) -> None:
        with suppress(InvalidRule):
            hours = parse_hours(text, "hours")
            assert parse_hours(str(hours), "hours") == hours

    @pytest.mark.parametrize(
        ("start", "end", "days", "field"),
        [
            (-1, 480, EVERY_DAY, "start_min"),
            (1440, 480, EVERY_DAY, "start_min"),
            (1320, -1, EVERY_DAY, "end_min"),
            (1320, 1441, EVERY_DAY, "end_min"),
            (480, 480, EVERY_DAY, "end_min"),
            (1320, 480, frozenset(), "days"),
            (1320, 480, frozenset({7}), "days"),
        ],
    )
    def test_or_as_numbers_out_of_bounds_is_refused(
        self, start: int, end: int, days: frozenset[int], field: str
    ) -> None:
        with pytest.raises(InvalidRule) as caught:
            Hours(start, end, days)
        assert caught.value.field == field


class TestHoursOnTheClock:
    @pytest.mark.parametrize(
        ("zone", "text", "now", "end"),
        [
            (LONDON, "22:00-08:00", "2024-07-10T20:59:59Z", None),
            (LONDON, "22:00-08:00", "2024-07-10T21:00:00Z", "2024-07-11T07:00:00Z"),
            (LONDON, "22:00-08:00", "2024-07-11T06:59:59Z", "2024-07-11T07:00:00Z"),
            (LONDON, "22:00-08:00", "2024-07-11T07:00:00Z", None),
            (LONDON, "22:00-08:00", "2024-03-30T22:00:00Z", "2024-03-31T07:00:00Z"),
            # The end lies in a gap (01:00 to 02:00), in a fold (01:00 to 02:00, once).
            (LONDON, "22:00-01:30", "2024-03-30T23:00:00Z", "2024-03-31T01:00:00Z"),
            (LONDON, "22:00-01:30", "2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"),
            (LONDON, "22:00-01:30", "2024-10-27T01:15:00Z", None),
            # The whole span lies in the gap.
            (LONDON, "01:10-01:40", "2024-03-31T01:00:00Z", None),
            # The days are those on which it starts.
            (LONDON, "22:00-08:00 fri", "2024-07-13T00:00:00Z", "2024-07-13T07:00:00Z"),
            (LONDON, "22:00-08:00 sat", "2024-07-13T00:00:00Z", None),
            # Adjoining spans are one.
            (LONDON, "00:00-24:00 sat,sun", "2024-07-13T12:00:00Z", "2024-07-14T23:00:00Z"),
            (LONDON, "00:00-24:00 sun,mon", "2024-07-14T12:00:00Z", "2024-07-15T23:00:00Z"),
            # The night over a skipped date is one night.
            (APIA, "22:00-08:00", "2011-12-30T08:00:00Z", "2011-12-30T18:00:00Z"),
        ],
    )
    def test_end(self, zone: tzinfo, text: str, now: str, end: str | None) -> None:
        found = hours_end(ms(now), parse_hours(text, "hours"), zone)
        assert (found if found is None else iso(found)) == end

    @pytest.mark.parametrize(
        ("zone", "text", "now", "begin"),
        [
            (LONDON, "09:00-17:00 mon-fri", "2024-07-12T12:00:00Z", "2024-07-12T12:00:00Z"),
            (LONDON, "09:00-17:00 mon-fri", "2024-07-12T07:00:00Z", "2024-07-12T08:00:00Z"),
            (LONDON, "09:00-17:00 mon-fri", "2024-07-12T16:00:00Z", "2024-07-15T08:00:00Z"),
            # The start lies in a gap; the span lies in it; it comes once in a fold.
            (LONDON, "01:30-03:00", "2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"),
            (LONDON, "01:10-01:40", "2024-03-31T00:00:00Z", "2024-04-01T00:10:00Z"),
            (LONDON, "01:10-01:40", "2024-10-27T00:50:00Z", "2024-10-28T01:10:00Z"),
            # Apia had no Friday that week.
            (APIA, "09:00-17:00 fri", "2011-12-29T12:00:00Z", "2012-01-05T19:00:00Z"),
        ],
    )
    def test_begin(self, zone: tzinfo, text: str, now: str, begin: str) -> None:
        assert iso(hours_begin(ms(now), parse_hours(text, "hours"), zone)) == begin

    @pytest.mark.parametrize("zone", [UTC, LONDON, APIA])
    def test_all_week_never_ends(self, zone: tzinfo) -> None:
        now, always = ms("2011-12-30T09:59:59Z"), parse_hours("00:00-24:00", "hours")
        assert hours_end(now, always, zone) == NEVER
        assert hours_begin(now, always, zone) == now

    @given(zoned_instants(), any_hours())
    @settings(print_blob=True, deadline=None, max_examples=400)
    def test_answers_are_strict_and_tight(self, case: tuple[ZoneInfo, int], hours: Hours) -> None:
        zone, now = case
        end, begin = hours_end(now, hours, zone), hours_begin(now, hours, zone)
        if end is None:
            assert begin > now
            assert hours_end(begin - 1, hours, zone) is None
            assert hours_end(begin, hours, zone) is not None
        else:
            assert begin == now < end
        if end is not None and end != NEVER:
            assert hours_end(end, hours, zone) is None
            assert hours_end(end - 1, hours, zone) == end

    @given(zoned_instants(WHOLE_MINUTES_SECOND + 86400 * 10), any_hours())
    @settings(print_blob=True, deadline=None, max_examples=200)
    def test_answers_are_those_of_a_watched_clock(
        self, case: tuple[ZoneInfo, int], hours: Hours
    ) -> None:
        zone, now = case
        now -= now % MINUTE
        minutes = onward_minutes(now, zone)
        at, latest = next(minutes)
        inside = shows(hours, latest)
        for at, latest in minutes:
            if shows(hours, latest) != inside or at > now + 9 * DAY:
                break
        if inside:
            end = hours_end(now, hours, zone)
            assert (NEVER if at > now + 9 * DAY else at) == end
        else:
            assert hours_end(now, hours, zone) is None
            begin = hours_begin(now, hours, zone)
            assert begin > now + 9 * DAY if at > now + 9 * DAY else begin == at

    def test_no_night_is_lost_or_doubled_at_any_transition(self) -> None:
        """The exhaustive part: over every transition, quiet hours end and begin in turn."""
        night = parse_hours("22:00-08:00", "hours")
        for name in zone_names():
            zone, turns = ZoneInfo(name), transitions(name)
            for turn in turns[bisect_left(turns, WHOLE_MINUTES_SECOND) :: 3]:
                now = begin = hours_begin(turn * SECOND - 36 * HOUR, night, zone)
                for _ in range(3):
                    end = hours_end(begin, night, zone)
                    assert end is not None, (name, turn)
                    assert end > begin, (name, turn)
                    assert wall(end // SECOND, zone) % 86400 >= 8 * 3600, (name, turn)
                    begin = hours_begin(end, night, zone)
                    assert begin > end, (name, turn)
                assert now < begin
