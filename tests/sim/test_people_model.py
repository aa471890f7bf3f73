"""How simulated people treat what they get."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tactful.core.errors import RequestError
from tactful.sim.people import People
from tactful.sim.tables import ratio

CROWD = [f"person {n}" for n in range(6_000)]


@pytest.mark.parametrize("wrong", [7, -1, float("nan"), float("inf"), "x", True, None, 1.0001])
def test_what_is_no_ratio_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(RequestError, match="must be a number from 0 to 1"):
        ratio(wrong, "any")
    for field in ("loss", "open_chance"):
        with pytest.raises(RequestError) as refused:
            People(1, **{field: wrong})
        assert refused.value.field == field


@pytest.mark.parametrize("right", [0, 1, 0.0, 1.0, 0.25])
def test_a_ratio_is_a_number_from_zero_to_one(right: float) -> None:
    assert ratio(right, "any") == right


def test_no_loss_loses_nothing_and_full_loss_everything() -> None:
    assert not any(People(1, loss=0).loses(who, "m") for who in CROWD)
    assert all(People(1, loss=1).loses(who, "m") for who in CROWD)


def test_the_part_that_is_lost_is_the_part_that_was_asked_for() -> None:
    people = People(3, loss=0.1)
    lost = sum(people.loses(who, f"m{n}") for who in CROWD for n in range(3))

    assert abs(lost / (3 * len(CROWD)) - 0.1) < 0.01


def test_seven_in_ten_are_opened_by_people_with_these_habits() -> None:
    """2 of 101 never, 33 of 101 always, and 66 of 101 six times in ten: 0.7188."""
    expected = 33 / 101 + 66 / 101 * 0.6
    people = People(5)
    opened = sum(people.opens(who, f"m{n}") for who in CROWD for n in range(5)) / (5 * len(CROWD))

    assert round(expected, 4) == 0.7188
    assert abs(opened - expected) < 0.02


def test_without_any_chance_only_the_habitual_open_and_with_certainty_all_but_a_few() -> None:
    none = sum(People(5, open_chance=0).opens(who, "m") for who in CROWD) / len(CROWD)
    full = sum(People(5, open_chance=1).opens(who, "m") for who in CROWD) / len(CROWD)

    assert abs(none - 33 / 101) < 0.02
    assert abs(full - 99 / 101) < 0.01


def test_habits_belong_to_people() -> None:
    """Some never open anything, some open everything, and most choose."""
    people = People(5)
    counts = {sum(people.opens(who, f"m{n}") for n in range(40)) for who in CROWD[:400]}

    assert {0, 40} < counts
    assert len(counts) > 10


def test_the_same_seed_treats_the_same_message_the_same_way_in_any_order() -> None:
    asked = [(who, f"m{n}") for who in CROWD[:200] for n in range(3)]
    one, other = People(9), People(9)
    forward = {pair: (one.loses(*pair), one.opens(*pair)) for pair in asked}
    random.Random(1).shuffle(asked)
    shuffled = {pair: (other.opens(*pair), other.loses(*pair)) for pair in asked}

    assert {pair: found[::-1] for pair, found in shuffled.items()} == forward
    assert one.opens(*asked[0]) == one.opens(*asked[0])


def test_another_seed_is_another_world() -> None:
    one = [People(1).opens(who, "m") for who in CROWD[:300]]
    other = [People(2).opens(who, "m") for who in CROWD[:300]]

    assert one != other


def test_losing_and_opening_are_independent_draws() -> None:
    people = People(4, loss=0.5, open_chance=0.5)
    both = sum(people.loses(who, "m") and people.opens(who, "m") for who in CROWD) / len(CROWD)

    assert abs(both - 0.5 * (33 / 101 + 66 / 101 * 0.5)) < 0.03
