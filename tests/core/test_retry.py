"""Backoff: what the wait is at most and at least, and that it is the same in a replay."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.core.model import HOUR, SECOND
from tactful.core.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    base_ms=st.integers(1, HOUR),
    cap_ms=st.integers(1, 1_000 * HOUR),
)
jitters = st.floats(0, 1, exclude_max=True, allow_nan=False)
JUST_BELOW_1 = 1 - 2**-53


@pytest.mark.parametrize(
    ("tries", "least_s", "most_s"),
    [
        (1, 15, 30),
        (2, 30, 60),
        (3, 60, 120),
        (7, 960, 1_920),
        (8, 1_800, 3_600),  # from here on the cap
        (9, 1_800, 3_600),
        (20, 1_800, 3_600),
    ],
)
def test_the_wait_doubles_up_to_the_cap(tries: int, least_s: int, most_s: int) -> None:
    policy = RetryPolicy()
    assert policy.delay_ms(tries, 0.0) == least_s * SECOND
    assert policy.delay_ms(tries, 0.5) == (least_s + most_s) * SECOND // 2
    assert most_s * SECOND - 1 <= policy.delay_ms(tries, JUST_BELOW_1) <= most_s * SECOND


def test_the_default_gives_up_after_half_a_day_at_most() -> None:
    policy = RetryPolicy()
    waits = [policy.delay_ms(tries, JUST_BELOW_1) for tries in range(1, policy.tries_max)]
    assert 12 * HOUR < sum(waits) < 14 * HOUR
    assert policy.crashes_max == 5


@settings(print_blob=True, deadline=None)
@given(policies, st.integers(1, 10_000), jitters)
def test_half_of_the_wait_is_fixed_and_half_is_drawn(
    policy: RetryPolicy, tries: int, jitter: float
) -> None:
    most = min(policy.cap_ms, policy.base_ms * 2 ** (tries - 1))
    assert most // 2 <= policy.delay_ms(tries, jitter) <= most
    assert policy.delay_ms(tries, 0.0) == most // 2


@settings(print_blob=True, deadline=None)
@given(policies, st.integers(1, 100), jitters)
def test_the_wait_never_shrinks_with_the_tries(
    policy: RetryPolicy, tries: int, jitter: float
) -> None:
    assert policy.delay_ms(tries, jitter) <= policy.delay_ms(tries + 1, jitter)


@settings(print_blob=True, deadline=None)
@given(policies, st.integers(1, 100), jitters, jitters)
def test_a_larger_draw_never_waits_less(
    policy: RetryPolicy, tries: int, one: float, two: float
) -> None:
    low, high = sorted((one, two))
    assert policy.delay_ms(tries, low) <= policy.delay_ms(tries, high)


@settings(print_blob=True, deadline=None)
@given(policies, st.integers(-5, 100), jitters)
def test_a_replay_waits_exactly_as_long(policy: RetryPolicy, tries: int, jitter: float) -> None:
    wait = policy.delay_ms(tries, jitter)
    assert isinstance(wait, int)
    assert wait == dataclasses.replace(policy).delay_ms(tries, jitter)


@pytest.mark.parametrize("tries", [0, -1, -1_000])
def test_before_the_first_try_the_wait_is_that_of_the_first(tries: int) -> None:
    assert RetryPolicy().delay_ms(tries, 0.25) == RetryPolicy().delay_ms(1, 0.25)


def test_a_million_tries_cost_no_more_than_one() -> None:
    assert RetryPolicy().delay_ms(10**6, 0.0) == HOUR // 2
    assert RetryPolicy(base_ms=1, cap_ms=1).delay_ms(10**6, 0.9) == 0
