"""Deciding anew: all that rules hold, some at a time, whatever happens in between."""

from __future__ import annotations

from engine_bench import START, Bench, Meanwhile, asked

from tactful.core.model import Priority
from tactful.engine.replanning import STEP, ask, carry_on, replanning

KEYS = ["ada", "bob", "cy", "dee"]


def hold(bench: Bench, *, each: int = 1) -> None:
    """Everybody has had what the rule allows; so much more of low and of high priority waits."""
    bench.rule("one", "1/day")
    bench.send_all([asked("news", key, "w") for key in KEYS])
    bench.run()
    for urgency in ("low", "high"):
        bench.send_all(
            [asked("news", key, urgency, priority=urgency) for key in KEYS for _ in range(each)]
        )
    assert due(bench) == []


def due(bench: Bench) -> list[tuple[str, str]]:
    """Whose is due of what priority."""
    rows = bench.deliveries(limit=10_000)
    found = [row for row in rows if row.held and row.due_at <= START]
    return [(row.recipient, Priority(row.priority).name) for row in found]


def step(bench: Bench, limit: int) -> int:
    return carry_on(bench.store, bench.context.timekeeper.now, limit)


def wanted(bench: Bench) -> None:
    with bench.store.transaction() as tx:
        ask(tx)


def left(bench: Bench) -> bool:
    with bench.store.reading() as reader:
        return replanning(reader)


def test_the_most_urgent_comes_first_a_few_people_at_a_time(bench: Bench) -> None:
    hold(bench)
    wanted(bench)

    assert step(bench, 3) == 3
    assert due(bench) == [("ada", "HIGH"), ("bob", "HIGH"), ("cy", "HIGH")]
    assert step(bench, 3) == 3
    assert due(bench)[:2] == [("ada", "LOW"), ("bob", "LOW")]
    assert left(bench)
    assert step(bench, 3) == 2
    assert sorted(due(bench)) == sorted(
        (key, urgency) for key in KEYS for urgency in ("LOW", "HIGH")
    )
    assert not left(bench)
    assert step(bench, 3) == 0


def test_what_one_person_waits_for_comes_together(bench: Bench) -> None:
    """So that it is decided in the order in which it was accepted."""
    hold(bench, each=4)
    wanted(bench)

    assert step(bench, 1) == 4
    assert due(bench) == [("ada", "HIGH")] * 4


def test_another_engine_carries_on_where_one_stopped(bench: Bench) -> None:
    hold(bench)
    wanted(bench)
    steps = 0
    while step(Bench(bench.store), 1):
        steps += 1

    assert steps == 9  # the last finds nobody, and ends it
    assert len(due(bench)) == 8


def test_whoever_asks_meanwhile_is_answered_by_another_round(bench: Bench) -> None:
    """It does not begin again at once, or the last would never come to their turn."""
    hold(bench)
    wanted(bench)
    step(bench, 3)
    wanted(bench)
    wanted(bench)

    assert step(bench, 100) == 5
    assert left(bench)
    assert step(bench, 100) == 8
    assert not left(bench)


def test_asking_twice_before_it_begins_is_asking_once(bench: Bench) -> None:
    hold(bench)
    wanted(bench)
    wanted(bench)

    assert step(bench, 100) == 8
    assert not left(bench)


def test_who_asks_between_a_look_and_a_step_is_not_overheard(bench: Bench) -> None:
    hold(bench)
    wanted(bench)
    step(bench, 3)

    clock = bench.context.timekeeper.now
    assert carry_on(Meanwhile(bench.store, lambda: wanted(bench)), clock, 100) == 1
    assert len(due(bench)) == 3
    assert step(bench, 100) == 5
    assert step(bench, 100) == 8


def test_a_change_of_rules_makes_a_few_due_and_leaves_the_rest_to_who_works(bench: Bench) -> None:
    """In its own transaction, so that a small change takes effect with it; see the module."""
    people = [f"p{number:04}" for number in range(STEP + 50)]
    bench.rule("one", "1/day")
    bench.send_all([asked("news", key, "first") for key in people])
    bench.run()
    bench.send_all([asked("news", key, "second") for key in people])
    assert due(bench) == []

    bench.rules.remove("one")
    assert [key for key, _ in due(bench)] == people[:STEP]
    bench.run()

    assert bench.texts.count("second") == len(people)
    assert not left(bench)


def test_a_change_of_rules_with_nobody_waiting_leaves_nothing_to_do(bench: Bench) -> None:
    bench.rule("one", "1/day")
    assert not left(bench)
    assert bench.fanout.step() == 0


def test_the_last_come_to_their_turn_though_somebody_asks_all_the_time(bench: Bench) -> None:
    """Even if only one person's turn comes between two requests."""
    hold(bench)
    for _ in range(8):
        wanted(bench)
        step(bench, 1)

    assert len(due(bench)) == 8
