"""Comparisons and sweeps: the same world, other rules, and what that does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tactful.core.errors import RequestError
from tactful.core.model import DAY, HOUR
from tactful.core.rules import Rule
from tactful.sim.compare import compare, knee, sweep
from tactful.sim.scenario import (
    Behaviour,
    Broadcasts,
    Fatigue,
    Policies,
    Population,
    Says,
    Scenario,
    Stream,
    Way,
)

OFFERS = Scenario(
    population=Population(20),
    traffic=(
        Stream(Says("offer"), rate=8 / DAY),
        Broadcasts(Says("news"), (0, DAY)),
    ),
    horizon_ms=3 * DAY,
    policies=Policies(rules=(Rule("offers", "4/day", types=["offer"], on_limit="reject"),)),
    channels=(Way("mail", loss=0.05),),
    behaviour=Behaviour(open=0.7, fatigue=Fatigue(2 * DAY, opens=0.05, unsubscribes=0.001)),
)


def test_equal_rules_make_no_difference() -> None:
    found = compare(OFFERS, OFFERS.policies, 3)
    assert [one.change for one in found.differences if one.change] == []
    assert not any(one.clear for one in found.differences)


def test_a_stricter_rule_sends_less_and_the_interval_knows() -> None:
    stricter = Policies(rules=(Rule("offers", "1/day", types=["offer"], on_limit="reject"),))
    found = compare(OFFERS, stricter, 5)
    by_name = {one.name: one for one in found.differences}

    sent = by_name["offer.sent"]
    assert sent.change == pytest.approx(sent.after - sent.before)
    assert sent.low is not None
    assert sent.high is not None
    assert sent.low <= sent.change <= sent.high < 0
    assert sent.clear
    assert by_name["news.submitted"].change == 0
    assert by_name["offer.opened_ratio"].change > 0
    assert found.seeds == (1, 2, 3, 4, 5)


def test_one_seed_has_no_interval() -> None:
    found = compare(OFFERS, Policies(), 1)
    assert all(one.low is None and not one.clear for one in found.differences)


def test_a_sweep_has_a_point_for_each_value() -> None:
    told: list[str] = []
    found = sweep(OFFERS, "rules.offers.limit=1/day, 2/day,6/day", told.append)

    assert told == ["1/day", "2/day", "6/day"] == [value for value, _ in found.points]
    sent = [point.types["offer"].sent for _, point in found.points]
    assert sent == sorted(sent)
    assert len(set(sent)) == 3
    gone = [point.total.unsubscribed for _, point in found.points]
    assert gone == sorted(gone)


def test_another_field_can_be_swept() -> None:
    found = sweep(OFFERS, "rules.offers.on_limit=reject,defer,digest")
    rejected = [point.total.rejected for _, point in found.points]
    assert rejected[0] > 0
    assert rejected[1:] == [0, 0]


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ("limit=1", "sweep"),
        ("rules.offers=1", "sweep"),
        ("rules.offers.limit=", "sweep"),
        ("rules.other.limit=1/day", "rules.other"),
        ("rules.offers.colour=red", "rules.offers.colour"),
        ("rules.offers.limit=much", "rules.offers.limit"),
    ],
)
def test_what_cannot_be_swept_is_named(what: str, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        sweep(replace(OFFERS, horizon_ms=HOUR), what)
    assert refused.value.field == field


def test_the_knee_is_where_the_curve_bends_most() -> None:
    values = ["1", "2", "3", "4", "5"]
    curve = [(0.0, 0.0), (1.0, 60.0), (2.0, 90.0), (6.0, 97.0), (10.0, 100.0)]
    assert knee(curve, values) == "3"
    assert knee([(float(n), float(n)) for n in range(5)], values) is None
    assert knee(curve[:2], values[:2]) is None
    assert knee([(1.0, 1.0)] * 5, values) is None
