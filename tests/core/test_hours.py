"""Daily hours, as text and against a clock that is watched.

The oracle below shares nothing with the code under test but `datetime.fromtimestamp`: it looks at
the wall clock minute by minute and remembers what it has shown.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from zone_cases import (
    APIA,
    LONDON,
    WHOLE_MINUTES_SECOND,
    iso,
    ms,
    transitions,
    wall,
    zone_names,
    zoned_instants,
)

from often import CHECKED, often
from tactful.core.errors import InvalidRule
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND
from tactful.core.windows import Hours, hours_begin, hours_end, parse_hours

EVERY_DAY = frozenset(range(7))


@st.composite
def any_hours(draw: st.DrawFn) -> Hours:
    """Hours, often with times at which clocks change."""
    usual = st.sampled_from((0, 1, 30, 60, 90, 120, 150, 180, 480, 1320, 1380, 1410, 1439))
    start = draw(usual | st.integers(0, 1439))
    end = draw(usual | st.just(1440) | st.integers(0, 1440))
    assume(start != end)
    every_day = st.just(EVERY_DAY)
    return Hours(start, end, draw(every_day | st.frozensets(st.integers(0, 6), min_size=1)))


# Oracle ---------------------------------------------------------------------------------------


def weekday(day: int) -> int:
    return (day + 3) % 7  # 1970-01-01 was a Thursday


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
    @settings(print_blob=True, deadline=None, max_examples=40)
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

    any_hours_at_any_time = given(zoned_instants(), any_hours())

    @settings(CHECKED, max_examples=50)
    @any_hours_at_any_time
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

    test_answers_are_strict_and_tight_often = often(
        test_answers_are_strict_and_tight, any_hours_at_any_time, 1_000
    )

    @given(zoned_instants(WHOLE_MINUTES_SECOND + 86400 * 10), any_hours())
    @settings(print_blob=True, deadline=None, max_examples=80)
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
