"""Scale mode beside the engine itself: the same submissions through `sim.run.simulate`.

Rules do not collapse here: where a delivery goes or ends at the very instant at which another one
collapses into its group, the engine decides once more than it would have to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from scale_worlds import scenarios, segment_of

from tactful.core.model import MINUTE, Recipient
from tactful.sim.figures import outcome_of
from tactful.sim.run import simulate
from tactful.sim.scale.blocks import Line, Worker
from tactful.sim.scale.cover import covered
from tactful.sim.scenario import Broadcasts, Person, Population, Recorded, Scenario, Stream
from tactful.sim.traffic import submission

pytestmark = pytest.mark.usefixtures("scale_compiled")

CHECKED = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
Seen = tuple[Any, ...]


def lives(scenario: Scenario) -> tuple[list[list[Line]], list[Person]]:
    """Each person's deliveries in scale mode, and who they are."""
    worker, found, people = Worker(covered(scenario)), [], []
    for place in range(scenario.population.count):
        found.append(worker.lines_of(place))
        segment = scenario.population.segments[segment_of(worker)]
        person = Recipient(f"user-{place + 1}", timezone=segment.timezone, mute=segment.mute)
        people.append(Person(person, segment.name))
    return found, people


def recorded(scenario: Scenario, lines: list[list[Line]]) -> Recorded:
    """The same submissions as a recording."""
    items: list[tuple[int, int, dict[str, Any]]] = []
    for place, one in enumerate(scenario.traffic):
        if isinstance(one, Broadcasts) and one.segment is None:
            fields = submission(one.says, 1)
            items += [(at, place, fields) for at in one.at if at < scenario.horizon_ms]
    for person, theirs in enumerate(lines, start=1):
        for line in theirs:
            one = scenario.traffic[line.flow]
            assert isinstance(one, Broadcasts | Stream)
            if isinstance(one, Stream) or one.segment is not None:
                fields = {**submission(one.says, 1), "to": f"user-{person}"}
                items.append((line.at - scenario.start, line.flow, fields))
    items.sort(key=lambda item: item[:2])
    return Recorded(tuple((at, fields) for at, _, fields in items))


def compare(scenario: Scenario) -> None:
    """Each person's deliveries, in scale mode and in the engine's store."""
    lines, people = lives(scenario)
    population = Population(len(people), scenario.population.segments, tuple(people))
    # A recording ends with its horizon, a burst may go on for a minute.
    longer = replace(
        scenario,
        population=population,
        traffic=(recorded(scenario, lines),),
        horizon_ms=scenario.horizon_ms + MINUTE,
        patience_ms=scenario.patience_ms - MINUTE,
    )
    run = simulate(longer)
    states = {delivery.id: delivery.state for delivery in run.deliveries}
    engine: dict[str, list[Seen]] = {one.recipient.id: [] for one in people}
    for one in run.deliveries:
        sent = run.sent[one.id][0] if one.id in run.sent else None
        fate = outcome_of(one, states), one.rule, sent, one.opened_at, one.clicked_at is not None
        engine[one.recipient].append((one.created_at, one.type, *fate))
    for person, theirs in enumerate(lines, start=1):
        mine = [
            (one.at, one.type, one.outcome, one.rule, one.sent, one.opened, one.clicked)
            for one in theirs
        ]
        assert mine == engine[f"user-{person}"]


@settings(CHECKED, max_examples=150)
@given(scenario=scenarios(collapse=False))
def test_people_fare_as_under_the_engine(scenario: Scenario) -> None:
    """What becomes of each delivery, over which rule, and when it was handed over and opened."""
    compare(scenario)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@settings(CHECKED, max_examples=3_000)
@given(scenario=scenarios(collapse=False))
def test_people_fare_as_under_the_engine_in_many_scenarios(scenario: Scenario) -> None:
    """The same, often."""
    compare(scenario)
