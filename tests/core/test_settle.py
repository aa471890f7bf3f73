"""What an outcome makes of a delivery: every outcome, under every policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.lifecycle import can_move
from tactful.core.model import NEVER, Accepted, Outcome, Rejected, Retry, State, Unknown
from tactful.core.retry import RetryPolicy
from tactful.core.settle import Settlement, Tried, settle

NOW = 1_000_000
POLICY = RetryPolicy(base_ms=1_000, cap_ms=8_000, tries_max=3, crashes_max=3)
FIRST = Tried(attempts=1, tries=0, crashes=0)


@pytest.mark.parametrize(
    ("tried", "outcome", "wanted"),
    [
        pytest.param(
            FIRST,
            Accepted("r1"),
            Settlement(State.SENT, "sent", True, 0, 0, ref="r1"),
            id="taken over, arrival unknown",
        ),
        pytest.param(
            FIRST,
            Accepted(arrived=True),
            Settlement(State.DELIVERED, "delivered", True, 0, 0),
            id="arrived",
        ),
        pytest.param(
            Tried(3, 2, 1),
            Accepted(arrived=False),
            Settlement(State.LOST, "lost", True, 2, 1),
            id="lost, and counted all the same",
        ),
        pytest.param(
            FIRST,
            Rejected("no such box"),
            Settlement(State.FAILED, "failed", False, 1, 0, reason="no such box"),
            id="refused for good frees its slot",
        ),
        pytest.param(
            FIRST,
            Retry("busy"),
            Settlement(State.DEFERRED, "retry", False, 1, 0, NOW + 500, "busy"),
            id="refused for now frees its slot and comes back",
        ),
        pytest.param(
            Tried(3, 2, 0),
            Retry("busy"),
            Settlement(State.FAILED, "failed", False, 3, 0, reason="busy"),
            id="the last try fails for good",
        ),
        pytest.param(
            Tried(3, 2, 0),
            Retry("nobody there", counted=False),
            Settlement(State.DEFERRED, "retry", False, 2, 0, NOW + 2_000, "nobody there"),
            id="an outage uses up no try and waits longer with each attempt",
        ),
        pytest.param(
            FIRST,
            Retry("busy", after_ms=60_000),
            Settlement(State.DEFERRED, "retry", False, 1, 0, NOW + 60_000, "busy"),
            id="the wait that the channel asks for is kept",
        ),
        pytest.param(
            FIRST,
            Retry("busy", after_ms=1),
            Settlement(State.DEFERRED, "retry", False, 1, 0, NOW + 500, "busy"),
            id="a channel in a hurry does not shorten the pause",
        ),
        pytest.param(
            FIRST,
            Unknown("cut"),
            Settlement(State.DEFERRED, "unanswered", True, 0, 1, NOW + 500, "cut"),
            id="no answer keeps counting and comes back",
        ),
        pytest.param(
            Tried(1, 0, 0, hold_if_ambiguous=True),
            Unknown("cut"),
            Settlement(State.UNKNOWN, "unknown", True, 0, 1, reason="cut"),
            id="no answer to what may go at most once ends it",
        ),
        pytest.param(
            Tried(3, 1, 2),
            Unknown("cut"),
            Settlement(
                State.FAILED,
                "quarantined",
                True,
                1,
                3,
                reason="quarantined: 3 attempts without an answer, the last: cut",
            ),
            id="too many without an answer are quarantined, and keep counting",
        ),
        pytest.param(
            Tried(5, 0, 2, hold_if_ambiguous=True),
            Unknown("cut"),
            Settlement(State.UNKNOWN, "unknown", True, 0, 3, reason="cut"),
            id="holding goes before quarantine",
        ),
    ],
)
def test_every_outcome_has_its_consequence(
    tried: Tried, outcome: Outcome, wanted: Settlement
) -> None:
    assert settle(tried, outcome, POLICY, NOW, 0.0) == wanted


@pytest.mark.parametrize("outcome", [Retry("busy", after_ms=60_000), Unknown("cut")])
def test_nothing_waits_longer_than_it_lives(outcome: Outcome) -> None:
    """The next try is at the latest when the delivery expires."""
    tried = Tried(1, 0, 0, expires_at=NOW + 100)

    assert settle(tried, outcome, POLICY, NOW, 0.0).due_at == NOW + 100


def test_one_try_in_all_means_one_try() -> None:
    once = RetryPolicy(tries_max=1, crashes_max=1)

    assert settle(FIRST, Retry("busy"), once, NOW, 0.0).state is State.FAILED
    assert settle(FIRST, Unknown("cut"), once, NOW, 0.0).event == "quarantined"


def test_pauses_grow_up_to_the_cap() -> None:
    many = RetryPolicy(base_ms=1_000, cap_ms=8_000, tries_max=99)
    pauses = [
        (settle(Tried(n + 1, n, 0), Retry("busy"), many, NOW, 0.0).due_at or 0) - NOW
        for n in range(6)
    ]

    assert pauses == [500, 1_000, 2_000, 4_000, 4_000, 4_000]


OUTCOMES = st.one_of(
    st.builds(Accepted, st.none() | st.just("r"), st.sampled_from([None, True, False])),
    st.builds(Retry, st.just("busy"), st.none() | st.integers(0, 10**7), st.booleans()),
    st.just(Rejected("no")),
    st.just(Unknown("cut")),
)
TRIED = st.builds(
    Tried,
    st.integers(1, 50),
    st.integers(0, 2),
    st.integers(0, 2),
    st.just(NEVER) | st.integers(NOW + 1, NOW + 20_000),
    st.booleans(),
)


@given(TRIED, OUTCOMES, st.floats(0, 1, exclude_max=True))
def test_every_settlement_is_a_legal_move_and_counts_unless_proven(
    tried: Tried, outcome: Outcome, jitter: float
) -> None:
    """Only a proven failure stops counting; what waits has an instant, what ended has none."""
    found = settle(tried, outcome, POLICY, NOW, jitter)

    assert can_move(State.SENDING, found.state)
    assert found.counts is not isinstance(outcome, Retry | Rejected)
    assert (found.due_at is not None) == (found.state is State.DEFERRED)
    assert found.tries >= tried.tries
    assert found.crashes - tried.crashes == isinstance(outcome, Unknown)


@given(TRIED, st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_retries_over_the_upper_half_of_the_pause(
    tried: Tried, jitter: float
) -> None:
    """Nobody comes back at once, and nobody later than the full pause."""
    found = settle(tried, Retry("busy"), POLICY, NOW, jitter)

    if found.due_at is not None and found.due_at < tried.expires_at:
        full = min(8_000, 1_000 << (found.tries - 1))
        assert full // 2 <= found.due_at - NOW < full
