"""Faithful runs: the production engine in a simulated world, and the figures of what it did."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import pytest

from tactful.core.model import DAY, HOUR, MINUTE, SECOND, NotificationType, State
from tactful.core.rules import Rule
from tactful.sim.exercise import EXERCISE, adjusted
from tactful.sim.figures import Tally, figures
from tactful.sim.run import Run, simulate
from tactful.sim.scenario import (
    START,
    Behaviour,
    Broadcasts,
    Delay,
    Fatigue,
    Policies,
    Population,
    Recorded,
    Says,
    Scenario,
    Segment,
    Stream,
    Way,
)
from tactful.sim.trace import write_trace

NEWS = Says("news")
TEN = Population(10)


def scenario(*traffic: Broadcasts | Stream | Recorded, **fields: object) -> Scenario:
    base = Scenario(population=TEN, traffic=traffic, horizon_ms=DAY)
    return replace(base, **fields)  # type: ignore[arg-type]


def rules(*given: Rule) -> Policies:
    return Policies(rules=given)


def traced(run: Run) -> str:
    lines = io.StringIO()
    write_trace(run, lines)
    return lines.getvalue()


def adds_up(tally: Tally) -> bool:
    ends = ("collapsed", "rejected", "suppressed", "expired", "failed", "cancelled", "waiting")
    return tally.submitted == tally.sent + sum(getattr(tally, name) for name in ends)


MIXED = scenario(
    Broadcasts(NEWS, (0, HOUR, 2 * HOUR)),
    Stream(Says("chat"), rate=20 / DAY, burst=3, within_ms=MINUTE),
    Stream(Says("offer", collapse_key="o", ttl_ms=6 * HOUR), rate=5 / DAY),
    Stream(Says("alert", priority="critical"), rate=1 / DAY),
    population=Population(
        30, (Segment("a", 2, "Asia/Tokyo"), Segment("b", 1, mute=("type:offer",)))
    ),
    policies=Policies(
        rules=(
            Rule("chat", "2/h", types=["chat"], on_limit="digest"),
            Rule("offer", "1/h", types=["offer"], on_limit="collapse"),
            Rule("news", "1/2h", types=["news"], on_limit="reject"),
            Rule("all", "30/day calendar", exempt=["critical"]),
            Rule("night", quiet="23:00-06:00", exempt=["critical"]),
        ),
        types=(NotificationType("alert", category="ops", mandatory=True),),
    ),
    channels=(
        Way(
            "mail",
            loss=0.05,
            bounce=0.02,
            latency=Delay(2 * SECOND, MINUTE),
            outages=((3 * HOUR, 4 * HOUR),),
            throughput="20/second",
        ),
    ),
    behaviour=Behaviour(
        0.1, 0.1, 0.5, Delay(10 * MINUTE, 5 * HOUR), 0.2, 0.01, Fatigue(DAY, 0.02, 0.001)
    ),
)


def test_the_same_scenario_gives_the_same_bytes_and_another_seed_others() -> None:
    first, second = traced(simulate(MIXED)), traced(simulate(MIXED))
    assert first == second
    assert first != traced(simulate(replace(MIXED, seed=2)))


def test_all_that_was_submitted_is_somewhere() -> None:
    found = figures(simulate(MIXED))

    assert found.total.submitted > 700
    for tally in (found.total, *found.types.values()):
        assert adds_up(tally)
        assert tally.sent == tally.received + tally.lost + tally.bounced
        assert tally.clicked <= tally.opened <= tally.received
    assert found.total.waiting == 0
    shown = {name for name, value in found.total.to_dict().items() if value}
    assert shown >= {"deferred", "digested", "collapsed", "rejected", "suppressed", "lost"}
    assert sum(found.per_day.values()) >= 30


def test_a_limit_holds_in_the_simulated_world() -> None:
    """Each recipient's hand-overs, against the rule, by brute force."""
    run = simulate(
        scenario(
            Stream(NEWS, rate=48 / DAY), policies=rules(Rule("two", "2/h")), horizon_ms=2 * DAY
        )
    )
    by_person: dict[str, list[int]] = {}
    for at, person in run.sent.values():
        by_person.setdefault(person, []).append(at)
    assert len(run.sent) == len(run.deliveries) > 800
    for instants in by_person.values():
        instants.sort()
        assert all(later - at >= HOUR for at, later in zip(instants, instants[2:], strict=False))


def test_what_waits_goes_at_its_exact_slot_and_the_delay_says_so() -> None:
    found = figures(
        simulate(
            scenario(
                Broadcasts(NEWS, (0, 0, 0)), policies=rules(Rule("one", "1/h", on_limit="defer"))
            )
        )
    )
    assert found.total.deferred == 20
    assert (found.delays["all"].p50, found.delays["all"].max) == (HOUR, 2 * HOUR)
    assert found.per_day == {3: 10}
    assert found.rules == {"one": 20}


def test_a_digest_is_one_message_and_counts_all_that_is_in_it() -> None:
    run = simulate(
        scenario(
            Broadcasts(NEWS, (0, 1, 2, 3)), policies=rules(Rule("d", "1/h", on_limit="digest"))
        )
    )
    found = figures(run)
    assert len(run.sent) == 20
    assert (found.total.sent, found.total.received, found.total.digested) == (40, 40, 20)


def test_an_outage_puts_off_and_loses_nothing() -> None:
    found = figures(
        simulate(
            scenario(Broadcasts(NEWS, (HOUR,)), channels=(Way("x", outages=((0, 3 * HOUR),)),))
        )
    )
    assert found.total.received == 10
    slowest = found.delays["all"].max
    assert slowest is not None
    assert slowest >= 2 * HOUR


def test_whoever_has_no_address_bounces_each_time() -> None:
    found = figures(
        simulate(scenario(Broadcasts(NEWS, (0, HOUR)), channels=(Way("email", bounce=1.0),)))
    )
    assert (found.total.sent, found.total.bounced, found.total.received) == (20, 20, 0)


def test_latency_delays_what_people_do_and_loss_prevents_it() -> None:
    slow = simulate(
        scenario(
            Broadcasts(NEWS, (0,)),
            channels=(Way("x", loss=0.5, latency=Delay(5 * MINUTE, 5 * MINUTE)),),
            behaviour=Behaviour(open=1.0),
        )
    )
    opened = [d for d in slow.deliveries if d.opened_at is not None]
    assert 0 < len(opened) < 10
    assert {d.opened_at for d in opened} == {START + 5 * MINUTE}
    assert Counter(d.state for d in slow.deliveries)[State.DELIVERED] == len(opened)


def test_who_gets_too_much_opens_less_and_leaves() -> None:
    def run(fatigue: Fatigue) -> Tally:
        return figures(
            simulate(
                scenario(
                    Broadcasts(NEWS, tuple(range(0, DAY, HOUR))),
                    population=Population(100),
                    behaviour=Behaviour(open=0.8, fatigue=fatigue),
                )
            )
        ).total

    fresh, tired = run(Fatigue()), run(Fatigue(DAY, opens=0.1, unsubscribes=0.01))
    assert fresh.received == 2_400
    assert (fresh.unsubscribed, fresh.suppressed) == (0, 0)
    assert abs((fresh.opened_ratio or 0) - 0.8) < 0.03
    assert (tired.opened_ratio or 1) < 0.5
    assert tired.unsubscribed > 50
    assert tired.suppressed > 500


def test_recorded_traffic_goes_in_as_it_was() -> None:
    items = (
        (5_000, {"type": "a", "to": "user-1", "text": "x"}),
        (HOUR, {"type": "b", "text": "to all"}),
    )
    run = simulate(scenario(Recorded(items)))
    assert Counter((d.type, d.created_at - START) for d in run.deliveries) == {
        ("a", 5_000): 1,
        ("b", HOUR): 10,
    }


def test_what_happens_after_the_patience_has_ended_is_still_waiting() -> None:
    found = figures(
        simulate(
            scenario(
                Broadcasts(NEWS, (0, 0)),
                policies=rules(Rule("one", "1/30d")),
                patience_ms=DAY,
            )
        )
    )
    assert (found.total.sent, found.total.waiting) == (10, 10)


def test_the_people_of_a_world_are_the_same_under_any_rules() -> None:
    """What is lost and who opens does not depend on what the rules do."""
    calm = replace(MIXED.policies, rules=(Rule("calm", "100/day", types=["chat"]),))
    free, held = simulate(MIXED), simulate(replace(MIXED, policies=calm))

    def lost(run: Run) -> set[tuple[str, str]]:
        names = {one.receipt.notification_id: one.arrival.name for one in run.submitted}
        return {
            (names[d.notification_id], d.recipient)
            for d in run.deliveries
            if d.state is State.LOST and d.type == "alert"
        }

    assert lost(free) == lost(held)


@pytest.mark.parametrize("users", [0, 1, 300])
@pytest.mark.parametrize("messages", [0, 1, 7])
def test_the_exercise_takes_any_numbers(users: int, messages: int) -> None:
    found = figures(simulate(adjusted(EXERCISE, users=users, messages=messages)))
    assert found.total.submitted == users * messages
    assert len(found.messages) == messages
    assert found.people == users


def test_a_run_tells_how_far_it_is() -> None:
    told: list[float] = []
    simulate(replace(MIXED, horizon_ms=2 * DAY), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
