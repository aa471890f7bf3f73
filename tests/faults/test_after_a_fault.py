"""Single faults whose consequences come later than the scenario of the N-th fault looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from observed import DAY, HOUR, START, World, memory

from tactful import NotificationType, Rule, Unknown
from tactful.testing.faults import Crash

CALLS_MAX = 100


def fail_each_call(
    prepare: Callable[[World], None], step: Callable[[World], object]
) -> list[tuple[str, World]]:
    """After `prepare`, let each store call of `step` fail in turn, then do it again."""
    ends: list[tuple[str, World]] = []
    for ahead in range(1, CALLS_MAX):
        world = World(memory)
        prepare(world)
        world.plan.fail(ahead=ahead)
        step(world)
        if not world.plan.fired:
            return ends
        ends.append((world.plan.fired, world))
    raise AssertionError("the step has more calls than that")


def test_a_clock_put_right_is_put_right_once_more_after_a_fault() -> None:
    """Sent while the clock was a day ahead; it has gone back, and no time has passed really."""

    def prepare(world: World) -> None:
        world.put_rules(Rule(name="pace", limit="1/minute"))
        world.clock.set(START + DAY)
        world.send("first", "ann", "news")
        world.tick()
        world.clock.set(START + HOUR)

    def step(world: World) -> None:
        world.send("second", "ann", "news")
        world.tick()

    ends = fail_each_call(prepare, step)

    assert [
        (fired, len(world.post.wire)) for fired, world in ends if len(world.post.wire) > 1
    ] == []


def test_leases_of_a_dead_process_end_even_if_ending_them_fails_at_first() -> None:
    """Nobody else sends: what the dead one held goes at the next try, not when its lease ends."""

    def prepare(world: World) -> None:
        world.send("news", "ann", "news")
        world.plan.fail("send", error=Crash)
        with pytest.raises(Crash):
            world.app.tick()
        world.plan.rest()
        world.reopen()

    ends = fail_each_call(prepare, World.tick)
    until_released = ends[: 1 + next(n for n, end in enumerate(ends) if "release" in end[0])]

    assert [fired for fired, world in until_released if not world.post.wire] == []


def test_an_unknown_type_is_told_even_if_its_first_submission_failed() -> None:
    ends = fail_each_call(lambda _: None, lambda world: world.send("news", "ann", "strange"))

    for fired, world in ends:
        names = [event.name for event in world.app.events()]
        assert names.count("type.unknown") == 1, fired


def test_what_is_tried_again_by_hand_says_that_it_may_be_a_duplicate() -> None:
    world = World(memory)
    world.call(lambda app: app.types.put(NotificationType("code", on_ambiguous="hold")))
    world.post.script = {"code": [Unknown("taken")]}
    receipt = world.send("code", "ann", "code")
    world.tick()
    world.call(lambda app: app.retry(receipt.delivery_id or ""))
    world.tick()

    assert [copy.maybe_duplicate for copy in world.post.wire] == [False, True]
    assert world.findings() == []


def test_a_digest_with_an_unanswered_member_says_so_whoever_is_its_head() -> None:
    world = World(memory)
    world.put_rules(Rule(name="bundle", limit="1/hour", on_limit="digest"))
    world.post.script = {"two": [Unknown("taken")]}
    for item in ("one", "two", "three"):
        world.send(item, "ann", "like")
    world.tick()
    world.clock.advance(HOUR)
    world.tick()
    world.send("urgent", "ann", "like", priority="high")
    world.settle()

    assert [copy.maybe_duplicate for copy in world.post.wire] == [False, False, True]
    assert world.findings() == []
