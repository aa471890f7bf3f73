"""Scale mode as a whole: figures, chance, what it refuses, and what it needs."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scale_worlds import life_of

from tactful.core.errors import RequestError
from tactful.core.model import DAY, HOUR, MINUTE, Defer
from tactful.core.rules import Rule
from tactful.sim.figures import figures
from tactful.sim.run import simulate
from tactful.sim.scale import run_scale
from tactful.sim.scale.blocks import BLOCK, Worker
from tactful.sim.scale.cover import covered
from tactful.sim.scale.philox import philox
from tactful.sim.scale.room import LINE_MAX
from tactful.sim.scale.sums import delay_bin, longest_of
from tactful.sim.scenario import (
    Behaviour,
    Broadcasts,
    Delay,
    Fatigue,
    Person,
    Policies,
    Population,
    Recipient,
    Recorded,
    Says,
    Scenario,
    Segment,
    Stream,
    Way,
)

pytestmark = pytest.mark.usefixtures("scale_compiled")

CALM = Rule("calm", "1/20min")
NEWS = Broadcasts(Says("news"), tuple(number * 10 * MINUTE for number in range(5)))
CHATTER = Stream(Says("chatter"), 3 / HOUR)


def world(*rules: Rule, people: int = 1_000, **fields: Any) -> Scenario:
    """Five broadcasts and a stream, under these rules."""
    usual: dict[str, Any] = {
        "population": Population(people),
        "traffic": (NEWS, CHATTER),
        "policies": Policies(rules),
        "channels": (Way("inbox", loss=0.1),),
        "behaviour": Behaviour(never=0.02, always=0.3, click=0.5),
    }
    return Scenario(**(usual | fields))


# Figures --------------------------------------------------------------------------------------


def test_the_number_of_threads_changes_no_figure() -> None:
    """Also across the borders of blocks, and people in the last block who fill it in part."""
    scenario = world(CALM, people=2 * BLOCK + 123)

    alone, together = run_scale(scenario, cores=1), run_scale(scenario, cores=2)

    assert alone.to_dict() == together.to_dict()
    assert alone.people == 2 * BLOCK + 123
    assert alone.messages[0]["submitted"] == 2 * BLOCK + 123


def test_another_seed_is_another_world() -> None:
    """And the same seed is the same one."""
    first = run_scale(world(CALM))

    assert run_scale(world(CALM)).to_dict() == first.to_dict()
    assert run_scale(world(CALM, seed=2)).total != first.total


def test_figures_are_those_of_the_faithful_mode_where_nothing_is_drawn() -> None:
    """All of them, but for names of messages and the order of equals among the worst."""
    scenario = world(
        CALM,
        Rule("day", "3/day calendar", on_limit="reject"),
        Rule("night", quiet="00:30-00:45"),
        people=7,
        traffic=(NEWS, Broadcasts(Says("offer", ttl_ms=5 * MINUTE), (MINUTE, 2 * MINUTE))),
        channels=(Way("inbox"),),
        behaviour=Behaviour(open=1.0, click=1.0, open_delay=Delay(MINUTE, MINUTE), unsubscribe=1.0),
    )

    def comparable(found: dict[str, Any]) -> dict[str, Any]:
        for message in found["messages"]:
            del message["id"]
        for hit in found["worst"]:
            del hit["person"]
        del found["delays"]
        return found

    engine, scale = figures(simulate(scenario)), run_scale(scenario)
    assert comparable(scale.to_dict()) == comparable(engine.to_dict())
    for name, delays in engine.delays.items():
        for percentile in ("p50", "p95", "p99", "max"):
            exact, found = getattr(delays, percentile), getattr(scale.delays[name], percentile)
            assert exact <= found <= exact * 1.002


def test_a_bin_of_delays_is_a_fifth_of_a_percent_wide() -> None:
    """The longest delay of a bin is in it, and at most so much longer than any other."""
    for delay in [*range(5_000), *(int(1.37**power) for power in range(20, 120))]:
        place = delay_bin.py_func(delay)
        assert delay <= longest_of(place) <= delay * 1.002
        assert delay_bin.py_func(longest_of(place)) == place


def test_progress_goes_up_to_one() -> None:
    """It is told after every block."""
    told: list[float] = []
    run_scale(world(people=3 * BLOCK), cores=2, progress=told.append)
    assert told == [pytest.approx(share) for share in (1 / 3, 2 / 3, 1.0)]


def test_nobody_and_nothing_are_scenarios_too() -> None:
    """No people, and no traffic."""
    assert run_scale(world(people=0)).total.submitted == 0
    assert run_scale(world(traffic=())).total.submitted == 0


# Chance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_its_published_answers(
    counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    """The known answers of Random123."""
    found = philox.py_func(tuple(map(np.uint64, counter)), tuple(map(np.uint64, key)))
    assert tuple(map(int, found)) == words


def near(part: int, whole: int, chance: float) -> bool:
    """Within five standard deviations."""
    return abs(part - whole * chance) < 5 * math.sqrt(whole * chance * (1 - chance))


def test_people_and_channels_behave_as_they_are_described() -> None:
    """Loss, habits, openings and clicks come to their chances."""
    total = run_scale(world(people=40_000, traffic=(NEWS,))).total

    assert near(total.lost, total.sent, 0.1)
    # Habits make the openings of one person alike: five messages each.
    assert abs(total.opened / total.received - (0.3 + 0.68 * 0.6)) < 0.01
    assert near(total.clicked, total.opened, 0.5)


def test_streams_come_at_their_rate() -> None:
    """For each person, for all together, in bursts, and for a segment."""
    segments = (Segment("many", 3.0), Segment("few", 1.0))
    streams = [
        replace(CHATTER, says=Says("each")),
        Stream(Says("all"), 30_000 / HOUR, per="all"),
        Stream(Says("bursts"), 3 / HOUR, burst=4.0, within_ms=MINUTE),
        Stream(Says("few"), 3 / HOUR, segment="few"),
        Stream(Says("some"), 3_000 / HOUR, per="all", segment="few"),
    ]
    found = run_scale(
        world(people=10_000, traffic=tuple(streams), population=Population(10_000, segments))
    ).types

    for name, mean in (("each", 30_000), ("all", 30_000), ("some", 3_000), ("few", 7_500)):
        assert abs(found[name].submitted - mean) < 5 * math.sqrt(mean) + mean * 0.06, name
    assert abs(found["bursts"].submitted - 30_000) < 5 * math.sqrt(30_000 * 7)


def test_streams_follow_the_local_hour() -> None:
    """Nothing by night, in each person's zone."""
    hours = tuple(float(8 <= hour < 20) for hour in range(24))
    zones = Segment("east", 1.0, "Asia/Kathmandu"), Segment("west", 1.0, "America/New_York")
    scenario = world(
        traffic=(replace(CHATTER, hours=hours),),
        horizon_ms=2 * DAY,
        population=Population(40, zones),
    )
    worker = Worker(covered(scenario))
    total = 0
    for person in range(40):
        lines = worker.lines_of(person)
        offset = 5.75 if worker.room.mine[0]["zone"] == 0 else -5.0
        local = [((line.at / HOUR) + offset) % 24 for line in lines]
        assert all(8 <= hour < 20 for hour in local)
        total += len(lines)
    assert abs(total - 40 * 144) < 5 * math.sqrt(40 * 144)


def test_rules_do_not_change_what_is_lost_or_opened() -> None:
    """Two sets of rules live in the same world: what both send fares alike."""
    free, held = Worker(covered(world())), Worker(covered(world(CALM)))
    for person in range(50):
        before, after = free.lines_of(person), held.lines_of(person)
        assert [one.at for one in before] == [one.at for one in after]
        assert [one.outcome for one in before] == [one.outcome for one in after]


def test_who_got_much_opens_less() -> None:
    """Fatigue, which a limit helps against."""
    tired = Behaviour(open=0.8, fatigue=Fatigue(HOUR, opens=0.3))
    calm, loud = (run_scale(world(*rules, behaviour=tired)).total for rules in ((CALM,), ()))
    assert calm.opened_ratio is not None
    assert loud.opened_ratio is not None
    assert calm.opened_ratio > loud.opened_ratio + 0.05


# What it covers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "scenario"),
    [
        ("population.csv", world(population=Population(1, people=(Person(Recipient("a"), "x"),)))),
        ("unknown_types", world(settings=replace(Scenario().settings, unknown_types="reject"))),
        ("waiting_max", world(settings=replace(Scenario().settings, waiting_max=10))),
        ("channels.inbox.bounce", world(channels=(Way("inbox", bounce=0.1),))),
        ("channels.inbox.latency", world(channels=(Way("inbox", latency=Delay(1, 2)),))),
        ("channels.inbox.outages", world(channels=(Way("inbox", outages=((0, 1),)),))),
        ("channels.inbox.throughput", world(channels=(Way("inbox", throughput="1/s"),))),
        ("rules.all.per", world(Rule("all", "100/second", per="channel"))),
        ("rules.sum.on_limit", world(Rule("sum", "1/day", on_limit="digest"))),
        ("traffic[0].kind", world(traffic=(Recorded(()),))),
        ("traffic[1].template", world(traffic=(NEWS, Broadcasts(Says("a", template="b"), (0,))))),
        (
            "traffic[0].channels",
            world(
                traffic=(Broadcasts(Says("a", channels=("inbox", "push")), (0,)),),
                channels=(Way("inbox"), Way("push")),
            ),
        ),
    ],
)
def test_what_is_not_covered_is_refused_by_name(field: str, scenario: Scenario) -> None:
    """Before anything is simulated."""
    with pytest.raises(RequestError, match="scale mode does not cover") as refusal:
        run_scale(scenario)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "scenario"),
    [
        ("limit", world(Rule("far", "1/60d"))),
        ("traffic[0].channels", world(traffic=(Broadcasts(Says("a", channels=("sms",)), (0,)),))),
    ],
)
def test_what_the_engine_refuses_is_refused_here(field: str, scenario: Scenario) -> None:
    """A rule that looks back further than attempts are kept, a channel that is not there."""
    with pytest.raises(RequestError) as refusal:
        run_scale(scenario)
    assert refusal.value.field == field


@pytest.mark.parametrize("cores", [0, -1, 1.5, True, 5_000])
def test_cores_must_be_a_number_of_them(cores: Any) -> None:
    """At least one."""
    with pytest.raises(RequestError, match="cores"):
        run_scale(world(), cores=cores)


def test_a_line_that_is_too_long_is_refused_and_one_that_is_not_is_planned() -> None:
    """Slots years ahead are found, as the core finds them; one person's line has a bound."""
    weekly = Rule("weekly", "1/week calendar")

    def burst(count: int) -> Scenario:
        traffic = (Broadcasts(Says("news"), (0,) * count),)
        return world(weekly, people=1, traffic=traffic, behaviour=Behaviour(open=0.0))

    scenario = replace(burst(LINE_MAX), channels=(Way("inbox"),), patience_ms=DAY)
    lines = Worker(covered(scenario)).lines_of(0)
    _, items = life_of(scenario, scenario.population.segments[0], lines)
    slots = [item.said.until for item in items if isinstance(item.said, Defer)]
    assert [line.said_slot for line in lines[1:]] == slots

    with pytest.raises(RequestError, match="scale mode does not cover lines of more than"):
        run_scale(burst(LINE_MAX + 2))


# What it needs --------------------------------------------------------------------------------


def test_without_its_extra_it_says_what_to_install() -> None:
    """The package can be imported all the same."""
    program = """
import sys
sys.modules["numba"] = None
from tactful.sim.scale import run_scale
from tactful.sim.scenario import Scenario
try:
    run_scale(Scenario())
except Exception as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert told.stdout == "ConfigError scale mode needs `pip install 'tactful[scale]'`\n"
