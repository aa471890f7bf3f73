"""Calendar windows, against examples and against a clock that is watched.

The oracles below share nothing with the code under test but `datetime.fromtimestamp`: they look at
the wall clock second by second or minute by minute.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zone_cases import (
    APIA,
    LONDON,
    WHOLE_MINUTES_SECOND,
    iso,
    kinds_of_transition,
    ms,
    offset,
    transitions,
    wall,
    zone_names,
    zoned_instants,
)

from tactful.core.model import DAY, HOUR, MINUTE, SECOND
from tactful.core.windows import Unit, calendar_window, local_date_start, longest_ms

LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
ST_JOHNS = ZoneInfo("America/St_Johns")
GAZA = ZoneInfo("Asia/Gaza")
HAVANA = ZoneInfo("America/Havana")
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def iso_window(now: str, unit: Unit, zone: tzinfo) -> tuple[str, str]:
    start, end = calendar_window(ms(now), unit, zone)
    return iso(start), iso(end)


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
    @settings(print_blob=True, deadline=None, max_examples=75)
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
    @settings(print_blob=True, deadline=None, max_examples=75)
    def test_boundaries_are_those_of_a_watched_clock(
        self, case: tuple[ZoneInfo, int], unit: Unit
    ) -> None:
        zone, now = case
        assert calendar_window(now, unit, zone) == watched_window(now, unit, zone)


class TestWindowsPartitionTime:
    @given(zoned_instants(), st.sampled_from(Unit), st.integers(0, 10**9))
    @settings(print_blob=True, deadline=None, max_examples=200)
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
    @settings(print_blob=True, deadline=None, max_examples=100)
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
