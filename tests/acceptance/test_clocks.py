"""LIM-13: no zone, no summer time and no wrong clock opens or shuts a limit."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from acceptance_world import DAY, HOUR, MINUTE, SECOND, START, YEAR, World, decisions

from tactful import Recipient, Rule

NEW_YORK = ZoneInfo("America/New_York")


def instant(*parts: int, fold: int = 0) -> int:
    """The offset of a reading of New York's clock."""
    return int(datetime(*parts, fold=fold, tzinfo=NEW_YORK).timestamp()) * SECOND - START


@pytest.fixture
def new_york(world: World) -> World:
    world.app.recipients.put(Recipient("ann", timezone="America/New_York"))
    return world


def test_lim_13_the_beginning_of_summer_time_opens_no_window(new_york: World) -> None:
    new_york.app.rules.put(Rule("calm", limit="3/hour", on_limit="reject"))
    before = instant(2026, 3, 8, 1, 59, 30)
    new_york.at(before)
    assert decisions(new_york, "news", "ann", 4) == ["send"] * 3 + ["reject"]
    new_york.at(before + MINUTE)
    assert instant(2026, 3, 8, 3, 0, 30) == before + MINUTE
    assert decisions(new_york, "news", "ann", 3) == ["reject"] * 3
    new_york.at(before + HOUR)
    assert decisions(new_york, "news", "ann", 1) == ["send"]


def test_lim_13_the_end_of_summer_time_keeps_no_window_shut(new_york: World) -> None:
    new_york.app.rules.put(Rule("calm", limit="3/hour", on_limit="reject"))
    first = instant(2026, 11, 1, 1, 30)
    new_york.at(first)
    decisions(new_york, "news", "ann", 3)

    assert new_york.send("news", "ann").retry_at == START + first + HOUR
    new_york.at(first + HOUR)
    assert instant(2026, 11, 1, 1, 30, fold=1) == first + HOUR
    assert decisions(new_york, "news", "ann", 1) == ["send"]


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 8, 23), (11, 1, 25), (6, 1, 24)])
def test_lim_13_a_calendar_day_is_the_recipients_day(
    new_york: World, month: int, day: int, hours: int
) -> None:
    new_york.app.rules.put(Rule("daily", limit="1/day calendar"))
    midnight = instant(2026, month, day)
    new_york.at(midnight)
    assert new_york.send("news", "ann", "today").decision == "send"
    new_york.app.tick()

    receipt = new_york.send("news", "ann", "tomorrow")

    assert receipt.deliver_at == START + midnight + hours * HOUR
    new_york.at(midnight + hours * HOUR - 1)
    assert new_york.texts == ["today"]
    new_york.at(midnight + hours * HOUR)
    assert new_york.texts == ["today", "tomorrow"]


def test_lim_13_a_small_step_back_opens_and_closes_nothing(sample: World) -> None:
    sample.at(HOUR)
    decisions(sample, "marketing", "ann", 3)
    sample.at(HOUR - 2 * SECOND)

    assert decisions(sample, "marketing", "ann", 2) == ["reject"] * 2
    sample.at(2 * HOUR - 1)
    assert decisions(sample, "marketing", "ann", 1) == ["reject"]
    sample.at(2 * HOUR)
    assert decisions(sample, "marketing", "ann", 1) == ["send"]


def test_lim_13_a_clock_that_was_a_year_ahead_blocks_nobody_and_opens_nothing(
    sample: World,
) -> None:
    sample.at(YEAR)
    decisions(sample, "news", "ann", 1)
    sample.at(MINUTE)

    assert decisions(sample, "news", "ann", 1) == ["reject"]
    sample.at(DAY)
    assert decisions(sample, "news", "ann", 1) == ["reject"]
    sample.at(MINUTE + DAY)
    assert decisions(sample, "news", "ann", 1) == ["send"]
    assert [event.data["attempts"] for event in sample.app.events(name="clock.corrected")] == [1]


def test_lim_13_what_waits_finds_its_place_when_a_clock_is_put_right(world: World) -> None:
    world.app.rules.put(Rule("news", types=["news"], limit="1/day"))
    world.at(YEAR)
    for text in "abc":
        world.send("news", "ann", text)
    world.app.tick()
    for hour in range(4 * 24):
        world.at(hour * HOUR)

    assert world.texts == ["a", "b", "c"]
    assert [at for at, _ in world.sent][1:] == [DAY, 2 * DAY]
