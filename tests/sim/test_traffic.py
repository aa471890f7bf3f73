"""Traffic and chance: as much as was asked for, at the hours that were asked for, in order."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from tactful.core.model import DAY, HOUR, MINUTE, Recipient
from tactful.sim.draws import Draws, exponential, lognormal
from tactful.sim.scenario import START, Broadcasts, Delay, Says, Scenario, Segment, Stream
from tactful.sim.traffic import Arrival, Everyone, arrivals

SAYS = Says("news")
CROWD = Everyone(
    [Recipient(f"p{n}", timezone="Asia/Tokyo" if n % 2 else "UTC") for n in range(200)],
    {"east": range(1, 200, 2)},
)


def made(*traffic: Stream | Broadcasts, seed: int = 1, days: int = 20) -> list[Arrival]:
    scenario = Scenario(seed=seed, horizon_ms=days * DAY, traffic=traffic)
    return list(arrivals(scenario, CROWD, Draws(seed)))


def test_draws_are_even_and_depend_on_nothing_but_seed_and_subject() -> None:
    draws = Draws(4)
    found = [number for n in range(4_000) for number in draws.about("any", str(n))]

    assert draws.about("any", "7") == Draws(4).about("any", "7") != Draws(5).about("any", "7")
    assert draws.about("a", "bc") != draws.about("ab", "c")
    assert all(0 <= number < 1 for number in found)
    assert abs(statistics.fmean(found) - 0.5) < 0.01
    assert abs(statistics.pstdev(found) - math.sqrt(1 / 12)) < 0.01


def test_a_delay_has_its_median_and_its_99th_percentile() -> None:
    delay = Delay(2_000, 30_000)
    found = sorted(lognormal(delay, (n + 0.5) / 10_000) for n in range(10_000))

    assert abs(found[5_000] - 2_000) < 20
    assert abs(found[9_900] - 30_000) < 600
    assert lognormal(Delay(), 0.3) == 0
    assert lognormal(Delay(500, 500), 0.9) == 500
    assert abs(statistics.fmean(exponential((n + 0.5) / 9_999) for n in range(9_999)) - 1) < 0.01


@pytest.mark.parametrize("burst", [1.0, 2.5])
def test_a_stream_has_its_rate_and_its_order(burst: float) -> None:
    stream = Stream(SAYS, rate=2 / DAY, burst=burst, within_ms=10 * MINUTE)
    found = made(stream)

    expected = 200 * 2 * 20
    assert abs(len(found) - expected) < 5 * math.sqrt(expected * burst * 2)
    instants = [arrival.at for arrival in found]
    assert instants == sorted(instants)
    assert len({arrival.name for arrival in found}) == len(found)
    assert made(stream) == found != made(stream, seed=2)


def test_a_poisson_stream_is_as_uneven_as_chance_is() -> None:
    """Counts in equal spans have a variance that is their mean."""
    found = made(Stream(SAYS, rate=240 / DAY, per="all"), days=100)
    counts = [0] * 2_400
    for arrival in found:
        counts[(arrival.at - START) // HOUR] += 1

    mean = statistics.fmean(counts)
    assert abs(mean - 10) < 0.4
    assert 0.9 < statistics.pvariance(counts) / mean < 1.1


def test_hours_are_those_of_the_persons_own_clock() -> None:
    morning = tuple(1.0 if hour == 9 else 0.0 for hour in range(24))
    found = made(Stream(SAYS, rate=3 / DAY, hours=morning))

    zone = {person.id: person.timezone for person in CROWD.people}
    assert len(found) > 5_000
    for arrival in found:
        hour = (arrival.at // HOUR) % 24
        assert hour == (0 if zone[arrival.to or ""] == "Asia/Tokyo" else 9)


def test_days_of_the_week_have_their_share() -> None:
    found = made(Stream(SAYS, rate=4 / DAY, days=(0, 0, 0, 0, 0, 1, 1)), days=28)
    weekend = [(arrival.at // DAY + 3) % 7 for arrival in found if arrival.to == "p0"]
    assert weekend
    assert set(weekend) <= {5, 6}


def test_a_stream_keeps_to_its_time_and_its_segment() -> None:
    stream = Stream(SAYS, rate=24 / DAY, begins=DAY, ends=2 * DAY, segment="east")
    found = made(stream)
    assert found
    assert all(DAY <= arrival.at - START < 2 * DAY for arrival in found)
    assert all(int((arrival.to or "p0")[1:]) % 2 for arrival in found)


def test_broadcasts_go_to_all_or_to_each_of_a_segment() -> None:
    (everybody,) = made(Broadcasts(SAYS, (HOUR,)))
    assert (everybody.to, everybody.at) == (None, START + HOUR)
    assert len(made(Broadcasts(SAYS, (HOUR, 2 * HOUR), "east"))) == 200
    assert made(Broadcasts(SAYS, (21 * DAY,))) == []


def test_nobody_gets_nothing() -> None:
    scenario = Scenario(traffic=(Stream(SAYS, rate=1.0),), horizon_ms=DAY)
    assert list(arrivals(scenario, Everyone([], {}), Draws(1))) == []
    quiet = replace(scenario, traffic=(Stream(SAYS, rate=0.0),))
    assert list(arrivals(quiet, CROWD, Draws(1))) == []
    assert Segment().share == 1
