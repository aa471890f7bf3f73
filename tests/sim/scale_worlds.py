"""Random small scenarios for scale mode, and each person's life in them by the reference."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from scale_reference import Habits, Item, Life

from tactful.core.checks import compile_checks
from tactful.core.model import HOUR, MINUTE, SECOND, Kind, NotificationType, Priority
from tactful.core.rules import Rule
from tactful.engine.zones import zone_of
from tactful.sim.scale.blocks import Line, Worker
from tactful.sim.scenario import (
    FLAT_DAY,
    START,
    Behaviour,
    Broadcasts,
    Delay,
    Fatigue,
    Policies,
    Population,
    Says,
    Scenario,
    Segment,
    Stream,
    Way,
)

TYPES = ("likes", "news", "offers")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")
# Midnight in UTC, and close to changes of the clocks in Berlin and in New York.
STARTS = (START, START + 17 * HOUR + 61_234, 1_774_744_200_000, 1_793_501_000_000)
WINDOWS = ("1min", "5min", "10min", "30min", "1h", "minute calendar", "hour calendar",
           "day calendar", "week calendar")  # fmt: skip
HOURS = ("00:30-01:15", "22:00-02:00", "00:00-24:00 mon,thu", "01:00-03:30 thu-sun")
MINUTES = (0, 0, 5, 10, 10, 20, 20, 25, 30, 50)
PRIORITIES = ("low", "normal", "high", "critical")
SCOPES = ("recipient", "recipient+type", "recipient+category", "recipient+channel")

some_types = st.none() | st.lists(st.sampled_from(TYPES), min_size=1, max_size=2, unique=True)
chance = st.sampled_from((0.0, 0.0, 1.0))
seldom = st.sampled_from((0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


@st.composite
def rules(draw: Any, number: int, collapse: bool) -> Rule:
    on_limit = draw(
        st.sampled_from(("defer", "defer", "reject", "collapse" if collapse else "defer"))
    )
    fields: dict[str, Any] = {"types": draw(some_types), "on_limit": on_limit}
    if draw(st.integers(0, 4)) == 0:
        fields[draw(st.sampled_from(("quiet", "window")))] = draw(st.sampled_from(HOURS))
    else:
        count = draw(st.sampled_from((*(1, 1, 1, 2, 2, 2, 3, 3), 0)))
        fields["limit"] = f"{count}/{draw(st.sampled_from(WINDOWS))}"
        fields["per"] = draw(st.sampled_from(SCOPES))
        if count == 3 and draw(st.booleans()):
            fields["reserve"] = {"high": 1, "critical": draw(st.integers(1, 2))}
    if draw(st.integers(0, 3)) == 0:
        fields["exempt"] = draw(st.lists(st.sampled_from(PRIORITIES), max_size=2))
    if draw(st.integers(0, 4)) == 0:
        fields["channels"] = [draw(st.sampled_from(("inbox", "push")))]
    return Rule(f"rule{number}", **fields)


@st.composite
def says(draw: Any) -> Says:
    return Says(
        draw(st.sampled_from(TYPES)),
        channels=draw(st.sampled_from(((), (), ("push",)))),
        priority=draw(st.none() | st.sampled_from(PRIORITIES)),
        ttl_ms=draw(st.none() | st.sampled_from((3 * MINUTE, 10 * MINUTE, 2 * HOUR))),
        collapse_key=draw(st.sampled_from(("", "", "key"))),
    )


@st.composite
def flows(draw: Any) -> Broadcasts | Stream:
    segment = draw(st.none() | st.sampled_from(("one", "two")))
    if draw(st.booleans()):
        at = draw(st.lists(st.sampled_from(MINUTES), max_size=6))
        return Broadcasts(draw(says()), tuple(sorted(m * MINUTE for m in at)), segment)
    hours = draw(st.sampled_from((FLAT_DAY, (1.0, 3.0) + 22 * (0.5,))))
    return Stream(
        draw(says()),
        draw(st.sampled_from((2, 5, 8))) / HOUR,
        draw(st.sampled_from(("person", "all"))),
        hours,
        burst=draw(st.sampled_from((1.0, 1.0, 2.5))),
        within_ms=draw(st.sampled_from((0, MINUTE))),
        begins=draw(st.sampled_from((0, 20 * MINUTE))),
        ends=draw(st.none() | st.just(40 * MINUTE)),
        segment=segment,
    )


@st.composite
def scenarios(draw: Any, *, collapse: bool = True) -> Scenario:
    """A few people with some dozen messages; chances are 0 or 1, so what people do is not drawn.

    Whole minutes make much of it meet at one instant. `collapse` says whether rules may.
    """
    delay = draw(st.sampled_from((0, 90 * SECOND)))
    habit = draw(st.sampled_from(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))))
    types = [
        NotificationType(
            name,
            category=draw(st.sampled_from(("default", "social"))),
            priority=draw(st.sampled_from(("normal", "normal", "high"))),
            mandatory=draw(st.integers(0, 4)) == 0,
        )
        for name in draw(st.lists(st.sampled_from(TYPES), unique=True))
    ]
    count = draw(st.integers(0, 4))
    mutes = st.sampled_from(((), (), (), (), ("type:news",), ("category:social",)))
    return Scenario(
        seed=draw(st.integers(0, 2**64 - 1)),
        start=draw(st.sampled_from(STARTS)),
        horizon_ms=draw(st.sampled_from((HOUR, HOUR, 40 * MINUTE))),
        patience_ms=draw(st.sampled_from((30 * 24 * HOUR, 20 * MINUTE))),
        population=Population(
            draw(st.integers(1, 3)),
            (
                Segment("one", 1.0, draw(st.sampled_from(ZONES)), draw(mutes), draw(chance)),
                Segment("two", 1.0, draw(st.sampled_from(ZONES)), draw(mutes)),
            ),
        ),
        traffic=tuple(draw(st.lists(flows(), min_size=1, max_size=4))),
        policies=Policies(
            tuple([draw(rules(number, collapse)) for number in range(count)]), tuple(types)
        ),
        channels=(Way("inbox", loss=draw(chance)), Way("push")),
        behaviour=Behaviour(
            *habit,
            open=draw(chance),
            open_delay=Delay(delay, delay),
            click=draw(chance),
            unsubscribe=draw(seldom),
            fatigue=Fatigue(draw(st.sampled_from((5 * MINUTE, HOUR))), draw(chance), draw(seldom)),
        ),
    )


def kind_of(scenario: Scenario, says: Says) -> tuple[Kind, NotificationType]:
    """The kind of what a stream says, and its type."""
    known = {one.name: one for one in scenario.policies.types}
    type_ = known.get(says.type, NotificationType(says.type))
    priority = Priority[(says.priority or type_.priority).upper()]
    channel = (*says.channels, scenario.channels[0].name)[0]
    return Kind(says.type, type_.category, channel, priority), type_


def life_of(scenario: Scenario, segment: Segment, lines: list[Line]) -> tuple[Life, list[Item]]:
    """The same messages, by the reference."""
    does, rules = scenario.behaviour, sorted(scenario.policies.rules, key=lambda rule: rule.name)
    usual = does.open if segment.open is None else segment.open
    habits = Habits(
        open=bool((usual or does.always) and not does.never),
        click=bool(does.click),
        unsubscribe=bool(does.unsubscribe),
        tires=bool(does.fatigue.opens),
        leaves_tired=bool(does.fatigue.unsubscribes),
        window=does.fatigue.window_ms,
        delay=does.open_delay.median_ms,
    )
    last = scenario.start + scenario.horizon_ms + scenario.patience_ms
    life = Life(zone_of(segment.timezone), last, habits, set(segment.mute))
    losses = {way.name: bool(way.loss) for way in scenario.channels}
    items = []
    for line in lines:
        flow = scenario.traffic[line.flow]
        assert isinstance(flow, Broadcasts | Stream)
        kind, type_ = kind_of(scenario, flow.says)
        items.append(
            Item(
                0,
                line.at,
                kind,
                compile_checks(rules, kind),
                line.at + (flow.says.ttl_ms or scenario.settings.ttl_ms),
                isinstance(flow, Broadcasts) and flow.segment is None,
                flow.says.collapse_key or flow.says.type,
                losses[kind.channel],
                type_.mandatory,
            )
        )
    life.run(items)
    return life, items


def segment_of(worker: Worker) -> int:
    """The segment of the person whom a worker has led last."""
    return int(worker.room.mine[0]["segment"])
