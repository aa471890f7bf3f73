"""The breaker against a model that keeps every outcome, and by example."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tactful.channels.breaker import Admission, Breaker, BreakerPolicy, Health
from tactful.core.errors import ConfigError

POLICY = BreakerPolicy(memory=8, least=4, percent=50, pause_ms=100, pause_max_ms=700, probe=2)


class AgainstTheModel(RuleBasedStateMachine):
    """Calls that overlap in any way, at any time; the model counts by brute force."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(POLICY)
        self.now = 1_000
        self.health = Health.CLOSED
        self.history: list[bool] = []  # since it was closed; True is a failure
        self.until = 0
        self.pauses = 0
        self.period = 0  # one for each stay in a state
        self.out: list[tuple[Admission, int]] = []

    def become(self, health: Health) -> None:
        self.health = health
        self.period += 1
        self.history = []

    def open(self) -> None:
        self.until = self.now + min(POLICY.pause_ms * 2**self.pauses, POLICY.pause_max_ms)
        self.pauses += 1
        self.become(Health.OPEN)

    @rule(ms=st.sampled_from([0, 1, 50, 99, 100, 400, 700, 5_000]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(wanted=st.integers(0, 5))
    def ask(self, wanted: int) -> None:
        if self.health is Health.OPEN and self.now >= self.until:
            self.become(Health.PROBING)
        probing = any(period == self.period for _, period in self.out)
        expected = {
            Health.CLOSED: wanted,
            Health.OPEN: 0,
            Health.PROBING: 0 if probing else min(wanted, POLICY.probe),
        }[self.health]

        admission = self.breaker.admit(wanted, self.now)

        assert admission.most == expected
        if admission.most:
            self.out.append((admission, self.period))

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 50), served=st.integers(0, 6), failed=st.integers(0, 6))
    def answer(self, which: int, served: int, failed: int) -> None:
        admission, period = self.out.pop(which % len(self.out))
        self.breaker.record(admission, served, failed, self.now)
        if period != self.period:
            return  # late: nothing changes
        if self.health is Health.PROBING:
            if failed:
                self.open()
            elif served:
                self.become(Health.CLOSED)
            return
        self.history += [False] * served + [True] * failed
        if len(self.history) < POLICY.least:
            return
        decay = 1 - 1 / POLICY.memory
        weights = [decay**age for age in range(len(self.history))]
        wrong = sum(w for w, bad in zip(weights, reversed(self.history), strict=True) if bad)
        share = wrong / sum(weights)
        if abs(share - POLICY.percent / 100) < 1e-9:  # at the edge, rounding decides
            assert self.breaker.health in {Health.CLOSED, Health.OPEN}
            if failed and self.breaker.health is Health.OPEN:
                self.open()
            else:
                self.pauses = 0
        elif failed and share > POLICY.percent / 100:
            self.open()
        else:
            self.pauses = 0

    @invariant()
    def agrees(self) -> None:
        assert self.breaker.health is self.health
        if self.health is Health.OPEN:
            assert self.breaker.wait_ms(self.now) == max(0, self.until - self.now)

    @invariant()
    def no_pause_is_longer_than_the_longest(self) -> None:
        assert self.until - self.now <= POLICY.pause_max_ms


AgainstTheModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, print_blob=True
)
TestAgainstTheModel = AgainstTheModel.TestCase


@pytest.mark.soak
def test_the_breaker_agrees_with_the_model_often() -> None:
    longer = settings(AgainstTheModel.TestCase.settings, max_examples=1_000)
    run_state_machine_as_test(AgainstTheModel, settings=longer)


def fail(breaker: Breaker, now: int, times: int = 1) -> None:
    for _ in range(times):
        breaker.record(breaker.admit(1, now), 0, 1, now)


def test_a_few_failures_at_the_start_are_no_verdict():
    breaker = Breaker(POLICY)
    fail(breaker, 0, POLICY.least - 1)
    assert breaker.health is Health.CLOSED

    fail(breaker, 0)
    assert breaker.health is Health.OPEN
    assert breaker.wait_ms(0) == 100


@given(st.integers(0, 200), st.integers(1, 10**9))
def test_a_dead_provider_is_given_up_after_few_failures_however_rare_and_however_good_it_was(
    good: int, apart: int
):
    """Outcomes fade by number and not by time, so slow traffic finds out as soon as quick traffic.

    From all good, half the weight is gone after `memory` times ln 2 further outcomes.
    """
    breaker = Breaker(POLICY)
    breaker.record(breaker.admit(good, 0), good, 0, 0)
    calls = 0
    while breaker.health is Health.CLOSED:
        calls += 1
        fail(breaker, calls * apart)

    assert calls <= 6


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_a_provider_that_fails_less_than_half_the_time_is_kept(batches: list[int]):
    breaker = Breaker(POLICY)
    for good in batches:
        breaker.record(breaker.admit(good + 1, 0), good + 1, 1, 0)

    assert breaker.health is Health.CLOSED


def test_pauses_double_up_to_the_longest_and_start_over_after_a_calm_time():
    breaker = Breaker(POLICY)
    now = 0
    fail(breaker, now, POLICY.least)
    pauses = []
    for _ in range(6):
        pauses.append(breaker.wait_ms(now))
        now += pauses[-1]
        fail(breaker, now)
    assert pauses == [100, 200, 400, 700, 700, 700]

    now += breaker.wait_ms(now)
    breaker.record(breaker.admit(9, now), 2, 0, now)
    assert breaker.health is Health.CLOSED
    fail(breaker, now, POLICY.least)
    assert breaker.wait_ms(now) == 700, "it has failed again before it proved itself"

    now += 700
    breaker.record(breaker.admit(9, now), 2, 0, now)
    breaker.record(breaker.admit(9, now), 9, 0, now)
    fail(breaker, now, 7)
    assert breaker.wait_ms(now) == 100


def test_a_probe_that_says_nothing_leaves_room_for_the_next():
    breaker = Breaker(POLICY)
    fail(breaker, 0, POLICY.least)
    probe = breaker.admit(5, 100)
    assert probe.most == POLICY.probe
    assert breaker.admit(5, 100).most == 0
    assert breaker.wait_ms(100) > 0

    breaker.record(probe, 0, 0, 100)
    assert breaker.health is Health.PROBING
    assert breaker.admit(5, 100).most == POLICY.probe


def test_a_call_from_before_the_pause_neither_ends_nor_prolongs_it():
    breaker = Breaker(POLICY)
    early, other = breaker.admit(3, 0), breaker.admit(3, 0)
    fail(breaker, 0, POLICY.least)

    breaker.record(early, 0, 3, 60)
    breaker.record(other, 3, 0, 60)

    assert breaker.health is Health.OPEN
    assert breaker.wait_ms(60) == 40


@pytest.mark.parametrize("field", ["memory", "least", "percent", "pause_ms", "probe"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "5"])
def test_a_policy_that_makes_no_sense_is_refused_by_field(field, value):
    with pytest.raises(ConfigError, match=f"^{field}: must be a whole number from 1"):
        replace(POLICY, **{field: value})


def test_a_policy_is_checked_as_a_whole():
    with pytest.raises(ConfigError, match="percent: must be at most 100"):
        BreakerPolicy(percent=101)
    with pytest.raises(ConfigError, match="pause_max_ms: must be at least pause_ms, 2000"):
        BreakerPolicy(pause_ms=2_000, pause_max_ms=1_000)
