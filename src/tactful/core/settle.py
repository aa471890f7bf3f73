"""What an outcome makes of a delivery.

The ledger's rule: only what is *proven* not delivered stops counting against the limits. `Retry`
and `Rejected` are such proof; `Unknown` is not, so a second copy needs a slot of its own and the
count can be too high for a while, never too low.

An attempt that ends without any answer counts as a crash, whether the worker died or the line went
dead behind the data: after `crashes_max` of them the delivery is quarantined, so that a message
that kills its worker cannot do so for ever.
"""

from __future__ import annotations

from typing import NamedTuple

from tactful.core.model import (
    NEVER,
    Accepted,
    Millis,
    Outcome,
    Rejected,
    Retry,
    State,
    Unknown,
)
from tactful.core.retry import RetryPolicy

QUARANTINED = "quarantined"


class Tried(NamedTuple):
    """What is known of a delivery that was just attempted."""

    attempts: int
    tries: int
    crashes: int
    expires_at: Millis = NEVER
    hold_if_ambiguous: bool = False


class Settlement(NamedTuple):
    """The new state; `due_at` None: finished. `counts` False frees the slot in the limits.

    `event` is the name of the fact to record.
    """

    state: State
    event: str
    counts: bool
    tries: int
    crashes: int
    due_at: Millis | None = None
    reason: str | None = None
    ref: str | None = None


def settle(
    tried: Tried, outcome: Outcome, policy: RetryPolicy, now: Millis, jitter: float
) -> Settlement:
    """Apply an outcome at `now`; `jitter` in [0, 1) spreads the retries."""
    tries, crashes = tried.tries, tried.crashes
    match outcome:
        case Accepted(ref=ref, arrived=arrived):
            state = {None: State.SENT, True: State.DELIVERED, False: State.LOST}[arrived]
            return Settlement(state, state.value, True, tries, crashes, ref=ref)
        case Rejected(why=why):
            return Settlement(State.FAILED, "failed", False, tries + 1, crashes, reason=why)
        case Retry(why=why, after_ms=after_ms, counted=counted):
            tries += counted
            if tries >= policy.tries_max:
                return Settlement(State.FAILED, "failed", False, tries, crashes, reason=why)
            wait = max(after_ms or 0, policy.delay_ms(tries if counted else tried.attempts, jitter))
            if after_ms == 0 and not counted:
                wait = 0
            due_at = min(now + wait, tried.expires_at)
            return Settlement(State.DEFERRED, "retry", False, tries, crashes, due_at, why)
        case Unknown(why=why):
            return _unanswered(tried, policy, now, jitter, why)


def _unanswered(
    tried: Tried, policy: RetryPolicy, now: Millis, jitter: float, why: str
) -> Settlement:
    crashes = tried.crashes + 1
    if tried.hold_if_ambiguous:
        return Settlement(State.UNKNOWN, "unknown", True, tried.tries, crashes, reason=why)
    if crashes >= policy.crashes_max:
        reason = f"{QUARANTINED}: {crashes} attempts without an answer, the last: {why}"
        return Settlement(State.FAILED, QUARANTINED, True, tried.tries, crashes, reason=reason)
    due_at = min(now + policy.delay_ms(crashes, jitter), tried.expires_at)
    return Settlement(State.DEFERRED, "unanswered", True, tried.tries, crashes, due_at, why)
