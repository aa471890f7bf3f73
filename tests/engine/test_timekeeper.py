"""The engine's now: never backwards by a little, right again after a wrong clock."""

from __future__ import annotations

import pytest
from engine_bench import DAY, HOUR, START, Bench

from tactful.core.errors import RequestError
from tactful.engine.timekeeper import TOLERANCE_MS, Timekeeper
from tactful.runtime.clock import ManualClock


def corrections(bench: Bench) -> list[dict[str, int]]:
    with bench.store.reading() as reader:
        return [dict(event.data) for event in reader.events(name="clock.corrected")]


def history(bench: Bench, who: str = "ada") -> list[int]:
    with bench.store.reading() as reader:
        return [entry.at - START for entry in reader.history([who], 0).get(who, [])]


def now_of(bench: Bench) -> int:
    with bench.store.transaction() as tx:
        return bench.context.timekeeper.now(tx) - START


def test_a_small_step_back_is_held_at_the_youngest_attempt(bench: Bench) -> None:
    bench.send()
    bench.run()
    for step in (-1, -TOLERANCE_MS):
        bench.clock.set(START + step)
        assert now_of(bench) == 0

    bench.clock.set(START + 1)
    assert now_of(bench) == 1
    assert corrections(bench) == []


def test_the_clock_is_followed_a_long_way_in_both_directions(bench: Bench) -> None:
    for step in (0, -DAY, DAY):
        bench.clock.set(START + step)
        assert now_of(bench) == step
    assert corrections(bench) == [{"ahead_ms": DAY, "attempts": 0}]


def test_a_small_step_back_is_held_for_every_engine_on_the_store(bench: Bench) -> None:
    bench.send()
    other = Bench(bench.store)
    other.clock.set(START - TOLERANCE_MS)

    assert now_of(other) == 0
    assert other.send(to="bob").deliver_at == START


def test_a_clock_that_was_ahead_is_corrected_once_and_blocks_nobody(bench: Bench) -> None:
    """What was stamped in the future is restamped: the limit holds, from now on."""
    bench.rule("one", "1/day")
    bench.clock.set(START + 30 * DAY)
    bench.send(text="early")
    bench.run()
    bench.clock.set(START)

    later = bench.send(text="late")

    assert later.deliver_at == START + DAY
    assert corrections(bench) == [{"ahead_ms": 30 * DAY, "attempts": 1}]
    assert history(bench) == [0]
    bench.send(to="bob")
    bench.at(1)
    assert len(corrections(bench)) == 1
    bench.at(DAY)
    assert bench.texts == ["early", "w", "late"]


def test_a_new_process_corrects_what_the_one_before_stamped(bench: Bench) -> None:
    bench.clock.set(START + HOUR)
    bench.send()
    bench.run()

    after = Bench(bench.store)
    assert after.send().decision == "send"
    after.run()

    assert corrections(after) == [{"ahead_ms": HOUR, "attempts": 1}]
    assert history(after) == [0, 0]


def test_a_correction_plans_what_waits_anew(bench: Bench) -> None:
    """Who waited behind an attempt of the future gets the slot that is right now."""
    bench.rule("one", "1/hour")
    bench.clock.set(START + DAY)
    bench.send()
    waiting = bench.send(text="second")
    bench.run()
    assert waiting.deliver_at == START + DAY + HOUR

    bench.at(0)
    assert bench.delivery(waiting).due_at == START + HOUR
    bench.at(HOUR)
    assert bench.texts == ["w", "second"]


def test_a_correction_that_was_rolled_back_is_made_again(bench: Bench) -> None:
    """A refused submission right after the clock was put right takes nothing with it."""
    bench.rule("one", "1/day")
    bench.clock.set(START + HOUR)
    bench.send()
    bench.run()
    bench.clock.set(START)

    with pytest.raises(RequestError):
        bench.send(template="there-is-none", text="")
    waiting = bench.send(text="second")

    assert waiting.deliver_at == START + DAY
    assert len(corrections(bench)) == 1


def test_a_glance_changes_nothing(bench: Bench) -> None:
    bench.clock.set(START + DAY)
    bench.send()
    bench.run()
    bench.clock.set(START)

    assert bench.context.timekeeper.glance() == START
    assert corrections(bench) == []
    assert history(bench) == [DAY]


def test_there_is_no_time_before_the_epoch(bench: Bench) -> None:
    keeper = Timekeeper(ManualClock(-5))

    assert keeper.glance() == 0
    with bench.store.transaction() as tx:
        assert keeper.now(tx) == 0
