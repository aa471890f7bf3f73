"""The machine's clock, and the one that stands still."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from tactful.core.errors import RequestError
from tactful.runtime.clock import STEP_MS, ManualClock, SystemClock


def test_the_machines_clock_says_what_people_mean_by_time() -> None:
    clock = SystemClock()
    wall = datetime.now(UTC).timestamp() * 1000

    assert isinstance(clock.now(), int)
    assert abs(clock.now() - wall) < STEP_MS


def test_the_machines_clock_never_goes_back_within_a_process() -> None:
    clock = SystemClock()
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: [clock.now() for _ in range(2_000)], range(4)))

    assert all(one <= other for run in runs for one, other in pairwise(run))


def test_two_clocks_of_one_machine_agree() -> None:
    assert abs(SystemClock().now() - SystemClock().now()) < 100


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(5)

    assert (clock.now(), clock.now()) == (5, 5)
    assert clock.advance(10) == clock.now() == 15
    assert clock.advance(-20) == -5
    clock.set(7)
    assert clock.now() == 7
    assert ManualClock().now() == 0


@pytest.mark.parametrize("wrong", [True, 1.5, "5", None])
def test_a_manual_clock_moves_by_whole_milliseconds_only(wrong: Any) -> None:
    clock = ManualClock(5)
    with pytest.raises(RequestError, match="ms: must be a whole number of milliseconds"):
        clock.advance(wrong)
    assert clock.now() == 5


def test_no_step_of_a_manual_clock_is_lost_between_threads() -> None:
    clock = ManualClock()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: [clock.advance(1) for _ in range(500)], range(4)))

    assert clock.now() == 2_000
