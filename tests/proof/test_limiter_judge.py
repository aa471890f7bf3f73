"""The judge of the proof `limiter` is judged: by limiters with bugs, and by trying all orders."""

from __future__ import annotations

from itertools import groupby, permutations, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proof.asking_process import CHANNELS, PRIORITIES, TYPES, VERSIONS
from proof.limiter_judge import Answered, Blow, Versions, used, windows_over

from tactful import Rule
from tactful.core.checks import Bound, compile_checks
from tactful.core.model import Kind, Priority
from tactful.verify.rules import LEVELS

START = 1_700_000_039_000
"""One second before a whole minute."""

ASKS = 1_500
SEEDS = (1, 2, 3)
BUGS = (
    "one more than the limit",
    "the window ends a millisecond early",
    "the minute is not the server's",
    "the reserve is ignored",
    "only the first rule is asked",
    "counted per type",
    "the rules before the last change",
    "a change forgets what was before",
    "each clock counts its own",
    "two count before either writes",
)


def kind(one: Answered) -> Kind:
    return Kind(one.type, "default", one.channel, Priority(one.priority))


def holds(bound: Bound, other: Answered, one: Answered, bug: str) -> bool:
    """Whether the other one takes a place that this one would need."""
    if (
        not bound.counted[kind(other)]
        or (bug == "counted per type" and other.type != one.type)
        or (bug == "a change forgets what was before" and other.version < one.version)
        or (bug == "each clock counts its own" and int(other.wish) % 2 != int(one.wish) % 2)
    ):
        return False
    if bound.unit:
        off = 52_000 * (bug == "the minute is not the server's")
        return (other.at + off) // 60_000 == (one.at + off) // 60_000
    early = bug == "the window ends a millisecond early"
    return one.at - other.at < bound.window_ms - early


def has_room(one: Answered, granted: list[Answered], bug: str) -> bool:
    version = max(0, one.version - (bug == "the rules before the last change"))
    bounds = compile_checks(VERSIONS[version % len(VERSIONS)], kind(one)).bounds
    if bug == "only the first rule is asked":
        bounds = bounds[:1]
    if bug == "the reserve is ignored":
        bounds = tuple(bound for bound in bounds if bound.count == bound.rule.limit.count)
    if bug == "two count before either writes":
        granted = granted[: -1 if int(one.wish) % 3 else None]
    more = bug == "one more than the limit"
    return all(
        sum(holds(bound, other, one, bug) for other in granted) < bound.count + more
        for bound in bounds
    )


def granted_by(seed: int, bug: str = "", deaths: tuple[int, ...] = ()) -> list[Answered]:
    """What a limiter grants that counts all anew each time, with that bug."""
    draw = Random(seed)
    granted: list[Answered] = []
    lost: list[Answered] = []
    at = START
    for number in range(ASKS):
        before, at = at, at + draw.choice((0, 0, 1, 40))
        if any(before <= death < at for death in deaths):
            lost, granted = [*lost, *granted], []
        late = draw.choice((0, 0, 1))  # this asker has not heard of the last change yet
        version = max(0, (at - START) // 1_000 - late)
        choices = (draw.choice(TYPES), draw.choice(CHANNELS))
        level = LEVELS.index(draw.choice(PRIORITIES))
        one = Answered(version, str(number), "ada", *choices, level, True, at)
        if has_room(one, granted, bug):
            granted.append(one)
    return lost + granted


@pytest.mark.parametrize("seed", SEEDS)
def test_a_limiter_without_a_bug_is_found_to_be_right(seed: int) -> None:
    granted = granted_by(seed)

    assert len(granted) > 50
    assert windows_over(granted, Versions(VERSIONS)) == []


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_noticed(bug: str) -> None:
    versions = Versions(VERSIONS)

    assert any(windows_over(granted_by(seed, bug), versions) for seed in SEEDS)


def test_what_was_forgotten_at_a_death_counts_in_its_own_life_only() -> None:
    death = START + 3_000
    granted = granted_by(1, deaths=(death,))

    assert windows_over(granted, Versions(VERSIONS), [death]) == []
    assert windows_over(granted, Versions(VERSIONS)) != []


def test_versions_that_differ_in_more_than_the_limit_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="news: versions"):
        Versions([[Rule("news", "1/s", types=["news"])], [Rule("news", "1/s", types=["offer"])]])


TIED = (
    (Rule("all", "3/4ms", reserve={"high": 1}),),
    (Rule("all", "2/2ms", reserve={"high": 1}),),
)


def fits_in_some_order(granted: list[Answered], most_less: int, below: int) -> bool:
    """Whether there is an order in which each had room: all orders are tried."""
    counted = sorted((one for one in granted if one.priority < below), key=lambda one: one.at)
    ties = [list(tie) for _, tie in groupby(counted, key=lambda one: one.at)]
    for order in product(*(permutations(tie) for tie in ties)):
        line = [one for tie in order for one in tie]
        if all(
            sum(one.at - other.at < limit.window_ms for other in line[:place])
            < limit.count - most_less
            for place, one in enumerate(line)
            for limit in [TIED[one.version][0].limit]
        ):
            return True
    return False


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), max_size=7))
def test_in_one_millisecond_only_what_is_over_in_every_order_is_found(
    drawn: list[tuple[int, int, int]],
) -> None:
    granted = [
        Answered(version, str(number), "ada", "news", "email", priority, True, at)
        for number, (version, at, priority) in enumerate(drawn)
    ]

    fits = fits_in_some_order(granted, 0, 4) and fits_in_some_order(granted, 1, Priority.HIGH)

    assert (windows_over(granted, Versions(TIED)) == []) == fits


ONE = Rule("all", "1/s")
TWO = Rule("all", "2/s")


def story(version: int, *told: tuple[str, int, bool]) -> list[Answered]:
    """Wish, instant, whether it was granted."""
    return [
        Answered(version, wish, "ada", "news", "email", 1, granted, at, None if granted else "all")
        for wish, at, granted in told
    ]


def test_a_place_that_stands_empty_while_somebody_waits_is_not_used() -> None:
    at_once = story(0, ("a", 0, True), ("b", 0, False), ("b", 1_000, True))
    late = story(0, ("a", 0, True), ("b", 0, False), ("b", 2_000, True))

    assert used([at_once], Versions([[ONE]]), [], 0) == {"all": 1.0}
    assert used([late], Versions([[ONE]]), [], 0) == {"all": 0.5}


def test_the_time_of_a_blow_and_a_window_after_it_is_left_out() -> None:
    late = story(0, ("a", 0, True), ("b", 0, False), ("b", 4_000, True))

    assert used([late], Versions([[ONE]]), [], 0) == {"all": 0.25}
    # Of the three seconds in which the place was empty only the last half of one is left.
    assert used([late], Versions([[ONE]]), [Blow(1_000, 2_000)], 500) == {"all": 0.6667}


def test_while_askers_are_under_different_rules_nothing_is_measured() -> None:
    first = [
        *story(0, ("a", 0, True), ("b", 0, False)),
        *story(1, ("b", 1_000, True), ("d", 1_000, False), ("d", 3_000, True)),
    ]
    second = [
        *story(0, ("c", 0, False), ("c", 1_500, False)),
        *story(1, ("c", 2_000, True), ("e", 2_000, False), ("e", 3_000, True)),
    ]

    # Until 1,000 one of one is taken, from 2,000 to 3,000 one of two: `b` is out of its window.
    assert used([first, second], Versions([[ONE], [TWO]]), [], 0) == {"all": 0.6667}


def test_without_anybody_who_waits_there_is_no_share() -> None:
    assert used([story(0, ("a", 0, True))], Versions([[ONE]]), [], 0) == {}
