"""Rounds are large, and small while something is ahead of the rest."""

from __future__ import annotations

import pytest

from tactful.core.model import Priority
from tactful.runtime.pace import URGENT_MS, Pace

LOW, NORMAL, CRITICAL = Priority.LOW, Priority.NORMAL, Priority.CRITICAL


def test_rounds_are_small_for_some_seconds_after_something_urgent() -> None:
    pace = Pace(200, 25)
    assert pace.together(0) == 200

    pace.met([CRITICAL, *[NORMAL] * 50], 1_000)
    assert pace.together(1_000) == 25
    assert pace.together(1_000 + URGENT_MS - 1) == 25
    assert pace.together(1_000 + URGENT_MS) == 200


def test_each_that_comes_in_makes_it_longer() -> None:
    pace = Pace(200, 25)
    pace.met([CRITICAL, NORMAL], 0)
    pace.met([CRITICAL, LOW, LOW], URGENT_MS - 1)
    assert pace.together(URGENT_MS) == 25


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param([], id="nothing"),
        pytest.param([CRITICAL], id="alone"),
        pytest.param([CRITICAL] * 200, id="all alike"),
        pytest.param([*[NORMAL] * 180, *[LOW] * 20], id="a tenth is kept for what is less urgent"),
        pytest.param([*[NORMAL] * 13, *[LOW] * 12], id="more than half"),
    ],
)
def test_nothing_is_ahead_of_the_rest(claimed: list[Priority]) -> None:
    """Small rounds would only slow down what is urgent, too."""
    pace = Pace(200, 25)
    pace.met(claimed, 0)
    assert pace.together(0) == 200


def test_small_rounds_are_never_the_larger_ones() -> None:
    pace = Pace(10, 25)
    pace.met([CRITICAL, NORMAL], 0)
    assert pace.together(0) == 10
