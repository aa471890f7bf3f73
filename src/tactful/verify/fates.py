"""What became of everything that was accepted.

A delivery that was accepted waits in the queue or has come to exactly one end, and its end agrees
with its attempts. A second copy is *explained* if nobody could know what became of every earlier
one, and it says of itself that it may be one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tactful.verify.evidence import Evidence, Story, is_counted
from tactful.verify.history import Attempt, Delivery
from tactful.verify.pauses import broken_pauses
from tactful.verify.rules import DAY

OUT: Final = frozenset(("sent", "delivered", "lost", "bounced"))
_REFUSED: Final = frozenset(("rejected", "suppressed", "expired"))
_NO: Final = ("reject", "suppress", "expire")
_PRUNED_AFTER_MS: Final = 2 * DAY
"""Attempts are kept for at least that long: if a younger one is missing, it was not written."""


@dataclass(slots=True)
class Fates:
    """Figures, and a text for each finding."""

    attempts: int = 0
    ok: int = 0
    waiting: int = 0
    ended: int = 0
    out: int = 0
    recovered: int = 0
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)


def judge_fates(evidence: Evidence, skew_ms: int = 0) -> Fates:
    """Follow every delivery to where it is; clocks may differ by `skew_ms`."""
    fates = Fates()
    recent = evidence.latest - _PRUNED_AFTER_MS
    for delivery in evidence.history.deliveries:
        story = evidence.stories.get(delivery.id)
        attempts = evidence.attempts.get(delivery.id, ())
        fates.attempts += 1
        fates.ok += _is_accepted(delivery, story)
        fates.waiting += delivery.queued is not None and delivery.state is None
        fates.ended += delivery.state is not None and delivery.queued is None
        fates.out += delivery.state in OUT
        fates.recovered += _is_recovered(delivery, attempts)
        lost = _why_lost(evidence, delivery, story, attempts, recent=delivery.created_at > recent)
        name = f"{delivery.id} for {delivery.recipient}"
        if lost:
            fates.lost.append(f"{name} {lost}")
        wrong = [*_why_unexpected(delivery, story, attempts)]
        if not evidence.restamped:
            wrong += broken_pauses(evidence.pauses, delivery, attempts, skew_ms)
        fates.unexpected += [f"{name} {why}" for why in wrong]
        _copies(delivery, story, attempts, fates)
        if delivery.state == "digested":
            _copies_in_digest(evidence, delivery, attempts, fates)
    for id_, story in evidence.stories.items():
        if id_ not in evidence.deliveries and story.admitted:
            fates.lost.append(f"{id_} was accepted, as its events say, and is not stored")
    _compare(evidence, fates)
    return fates


def may_have_arrived(attempt: Attempt) -> bool:
    """Whether nothing proves that it did not."""
    return is_counted(attempt) and attempt.outcome not in ("retry", "rejected", "idle")


def _is_accepted(delivery: Delivery, story: Story | None) -> bool:
    return story.admitted if story else delivery.state not in _REFUSED


def _is_recovered(delivery: Delivery, attempts: Sequence[Attempt]) -> bool:
    """Whether it went out although some attempt before had no answer."""
    doubtful = [one for one in attempts if one.outcome in (None, "unknown") and one.counts]
    return delivery.state in OUT and bool(doubtful) and attempts[-1].outcome == "accepted"


def _why_lost(
    evidence: Evidence,
    delivery: Delivery,
    story: Story | None,
    attempts: Sequence[Attempt],
    *,
    recent: bool,
) -> str:
    """What is wrong with the end that it came to; empty if nothing is."""
    state = delivery.state
    if state is None:
        return "is neither waiting nor at an end" if delivery.queued is None else ""
    if state in OUT:
        return _why_not_out(delivery, story, attempts, recent=recent)
    if state == "digested":
        return _why_not_digested(delivery, evidence.deliveries.get(delivery.digest or ""))
    names = story.names if story else {state}
    # A broadcast is accepted before it is decided; what was once deferred is promised.
    promised = "deferred" in names or ("accepted" in names and not delivery.broadcast)
    replaced = (delivery.reason or "").startswith("superseded by ")
    early = (delivery.updated_at or 0) < (delivery.expires_at or 0)
    doubtful = {
        "superseded": (not replaced, "was superseded by nothing"),
        "expired": (early, "expired before its time"),
        "cancelled": ("cancelled" not in names, "was cancelled by nobody"),
        "rejected": (promised, "was rejected after it was accepted"),
    }
    wrong, why = doubtful.get(state, (False, ""))
    return why if wrong else ""


def _why_not_out(
    delivery: Delivery, story: Story | None, attempts: Sequence[Attempt], *, recent: bool
) -> str:
    stored = f"is stored as {delivery.state}"
    if not attempts and delivery.attempts == 0:
        return f"{stored} and was never handed over"
    if attempts and not any(may_have_arrived(one) for one in attempts):
        return f"{stored}, and every attempt surely failed"
    if recent and _is_unwritten(delivery, story, attempts):
        return f"{stored}, and its attempt {delivery.attempts} is not"
    return ""


def _why_not_digested(delivery: Delivery, carrier: Delivery | None) -> str:
    if delivery.digest is None:
        return "is stored as digested and was in no digest"
    if carrier is not None and carrier.state not in OUT:
        return f"is digested into {carrier.id}, which is {carrier.state or carrier.queued}"
    return ""


def _is_unwritten(delivery: Delivery, story: Story | None, attempts: Sequence[Attempt]) -> bool:
    """Whether the hand-over that it went out with is missing in the ledger."""
    if delivery.attempts is None or (story is not None and story.in_digest):
        return False
    return delivery.attempts not in {one.number for one in attempts}


def _why_unexpected(
    delivery: Delivery, story: Story | None, attempts: Sequence[Attempt]
) -> Iterator[str]:
    state = delivery.state
    if state is not None and delivery.queued is not None:
        yield f"is {state} and stands in the queue as {delivery.queued}"
    for one in attempts:
        if not one.counts and is_counted(one):
            yield f"got a place back for attempt {one.number}, which is {one.outcome}"
    if state in OUT or state in (None, "unknown", "digested"):
        return
    for one in attempts:
        late = story is not None and one.number in story.late
        if one.outcome == "accepted" and one.counts and not late:
            yield f"is {state}, and its attempt {one.number} was taken"


# Copies ---------------------------------------------------------------------------------------


def _copies(
    delivery: Delivery, story: Story | None, attempts: Sequence[Attempt], fates: Fates
) -> None:
    """Attempts behind one that may have arrived, if they may have arrived themselves."""
    earlier: list[Attempt] = []
    for one in attempts:
        if not may_have_arrived(one):
            continue
        if earlier:
            text = f"{delivery.id} for {delivery.recipient}, attempt {one.number}"
            known = [other for other in earlier if _was_known(other, story)]
            if known:
                fates.unexplained.append(f"{text}: attempt {known[0].number} had been taken")
            elif _is_marked(one, story) is False:
                fates.unexplained.append(f"{text}: does not say that it may be a second copy")
            else:
                fates.explained.append(text)
        earlier.append(one)


def _copies_in_digest(
    evidence: Evidence, delivery: Delivery, attempts: Sequence[Attempt], fates: Fates
) -> None:
    """What went alone, perhaps, and then in a digest that another one carried."""
    carrier = evidence.attempts.get(delivery.digest or "", ())
    if not carrier or not any(may_have_arrived(one) for one in attempts):
        return
    text = f"{delivery.id} for {delivery.recipient}, in digest {delivery.digest}"
    story = evidence.stories.get(delivery.id)
    if any(_was_known(one, story) for one in attempts):
        fates.unexplained.append(f"{text}: it had been taken before")
    elif _is_marked(carrier[-1], evidence.stories.get(carrier[-1].delivery)) is False:
        fates.unexplained.append(f"{text}: does not say that it may be a second copy")
    else:
        fates.explained.append(text)


def _was_known(one: Attempt, story: Story | None) -> bool:
    """Whether its arrival was known when the next was made: a late answer came too late."""
    return one.outcome == "accepted" and not (story is not None and one.number in story.late)


def _is_marked(one: Attempt, story: Story | None) -> bool | None:
    """Whether it said that it may be a second copy; None if nothing tells yet."""
    if one.maybe_duplicate is not None:
        return one.maybe_duplicate
    if story is not None and story.answers:
        return story.marked.get(one.number)
    return None if story is not None or one.outcome is None else False


# Receipts -------------------------------------------------------------------------------------


def _compare(evidence: Evidence, fates: Fates) -> None:
    """What callers were told, side by side with what is stored."""
    for receipt in evidence.history.receipts:
        fates.recovered += receipt.replayed
        delivery = evidence.deliveries.get(receipt.delivery or "")
        refused = receipt.decision in _NO
        name = f"{receipt.delivery}, of which a caller was told {receipt.decision},"
        if delivery is None:
            if receipt.delivery is not None and not refused:
                fates.lost.append(f"{name} is not stored")
        elif refused and delivery.state not in _REFUSED:
            fates.unexpected.append(f"{name} is {delivery.state or delivery.queued}")
        elif not refused and delivery.state == "rejected":
            fates.lost.append(f"{name} is rejected")
