"""Scale mode decides as the core does: one decision after the other, on random small scenarios."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from scale_worlds import Item, life_of, scenarios, segment_of

from tactful.core.model import Collapse, Decision, Defer, Reject, Send, Suppress
from tactful.sim.scale.blocks import Line, Worker
from tactful.sim.scale.cover import covered
from tactful.sim.scale.limits import COLLAPSE, DEFER, REJECT, SEND, SUPPRESS
from tactful.sim.scenario import Scenario

pytestmark = pytest.mark.usefixtures("scale_compiled")

CHECKED = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def decision_of(line: Line) -> Decision:
    """What scale mode decided first, as the core says it."""
    rule = line.said_rule or ""
    found: dict[int, Decision] = {
        SEND: Send(),
        DEFER: Defer(line.said_slot, rule),
        COLLAPSE: Collapse(line.said_slot, rule),
        REJECT: Reject(rule, line.said_slot),
        SUPPRESS: Suppress("muted"),
    }
    return found[line.said]


def seen(one: Line | Item) -> tuple[Any, ...]:
    """All that can be compared of a delivery."""
    said = decision_of(one) if isinstance(one, Line) else one.said
    return one.at, said, one.outcome, one.rule, one.sent, one.opened, one.clicked


def compare(scenario: Scenario) -> None:
    """Each person's life, by the reference and by scale mode."""
    worker = Worker(covered(scenario))
    for person in range(scenario.population.count):
        lines = worker.lines_of(person)
        segment = scenario.population.segments[segment_of(worker)]
        life, items = life_of(scenario, segment, lines)
        order = sorted(range(len(items)), key=lambda place: items[place].place)
        note(f"{person=} {segment=}")
        assert [seen(line) for line in lines] == [seen(items[place]) for place in order]
        assert sum(worker.room.mutes) == len(life.unsubscribed)


@settings(CHECKED, max_examples=150)
@given(scenario=scenarios())
def test_every_decision_is_that_of_the_core(scenario: Scenario) -> None:
    """The decision, the rule that it names, its slot, and what becomes of the delivery."""
    compare(scenario)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@settings(CHECKED, max_examples=10_000)
@given(scenario=scenarios())
def test_ten_thousand_scenarios_are_decided_as_the_core_does(scenario: Scenario) -> None:
    """The same, often."""
    compare(scenario)
