"""Recording: outcomes become states, events and, for what failed, the next try.

Outcomes are applied in batches, in a transaction that need not reach the disk before it returns:
whatever a power cut takes away is found again as an attempt without an answer.

A refusal that speaks of the address counts against it as a bounce would, even where it comes late.

The attempt's number fences late results: what a frozen worker brings after its lease ended is
recorded as a fact, never applied to the state.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence

from tactful.core.model import Accepted, Event, Millis, Outcome, Rejected, Retry, State
from tactful.core.settle import Settlement, Tried, settle
from tactful.engine.context import Context
from tactful.engine.delivering import AGAIN, Sent
from tactful.engine.feedback.bounces import BOUNCE, consequences
from tactful.engine.rulebook import Book
from tactful.ports import Delivery, Result, Verdict


class Recording:
    """Applies what channels answered; `bounced` is called after addresses were found wanting."""

    def __init__(self, context: Context, bounced: Callable[[], object] = lambda: None) -> None:
        self._context = context
        self._bounced = bounced

    def record(self, done: Sequence[Sent]) -> Counter[str]:
        """Store outcomes; gives how many deliveries came into each state."""
        results: list[Result] = []
        verdicts: list[Verdict] = []
        events: list[Event] = []
        freed: set[str] = set()
        refused = [sent for sent in done if _bounce(sent.outcome)]
        with self._context.store.transaction(durable=False) as tx:
            if refused:
                # What is known of their addresses is read and then changed.
                tx.guard(list({sent.job.delivery.recipient for sent in refused}))
            now = self._context.timekeeper.now(tx)
            book = self._context.rulebook.current(tx)
            for sent in done:
                head, number = sent.job.delivery, sent.job.number
                settled, *fates = self._fates(sent, book, now)
                results.append(_result(head, number, settled, now))
                verdicts.append(_verdict(head, number, sent.job.at, sent.outcome, settled))
                facts = _facts(number, sent.job.crashes, settled) | _bounce(sent.outcome)
                events.append(Event(settled.event, head.id, now, data=facts))
                for member, fate in zip(sent.job.members, fates, strict=True):
                    results.append(_member_result(member, head, fate, now))
                    events.append(_member_event(member, head, fate, now))
                if settled.state is State.FAILED and not settled.counts:
                    freed.add(head.recipient)
            fenced = set(tx.settle(results, verdicts))
            if fenced:
                events = [
                    _late(event) if event.delivery_id in fenced else event for event in events
                ]
            for sent in refused:
                fact = ("bounced", _bounce(sent.outcome))
                tolerance = self._context.settings.feedback
                events += consequences(tx, sent.job.delivery, fact, now, tolerance)
            tx.add_events(events)
            tx.wake(now, sorted(freed))
        if refused:
            self._bounced()
        return Counter(r.state.value for r in results if r.delivery_id not in fenced)

    def _fates(self, sent: Sent, book: Book, now: Millis) -> list[Settlement]:
        """What the outcome means for each delivery of a job, the head first.

        Each has tries and crashes of its own, and so may be the last to be tried again. Those that
        are come back as one message, when the first of them does.
        """
        job = sent.job
        rows = [(job.delivery, job.number), *((row, row.attempts + 1) for row in job.members)]
        fates = [self._settle(sent, row, number, book, now) for row, number in rows]
        back = next((fate.due_at for fate in fates if fate.due_at is not None), None)
        if back is None:
            return fates
        return [
            fate if fate.due_at is None else fate._replace(due_at=min(back, row.expires_at))
            for fate, (row, _) in zip(fates, rows, strict=True)
        ]

    def _settle(
        self, sent: Sent, delivery: Delivery, number: int, book: Book, now: Millis
    ) -> Settlement:
        """What the outcome means for one delivery of a job."""
        hold = book.type(delivery.type).on_ambiguous == "hold"
        tried = Tried(number, delivery.tries, delivery.crashes, delivery.expires_at, hold)
        why = sent.unfit.get(delivery.id)
        outcome = Rejected(why) if why is not None else AGAIN if sent.unfit else sent.outcome
        policy = self._context.settings.retry
        return settle(tried, outcome, policy, now, jitter(delivery))


def jitter(delivery: Delivery) -> float:
    """A number in [0, 1) that differs between deliveries and attempts and is always the same."""
    return zlib.crc32(f"{delivery.id}:{delivery.attempts}".encode()) / (1 << 32)


def _result(head: Delivery, number: int, settled: Settlement, now: Millis) -> Result:
    return Result(
        head.id,
        number,
        settled.state,
        now,
        settled.due_at,
        settled.due_at or 0,
        None if settled.due_at else head.rule,
        settled.reason,
        False,
        head.group if settled.due_at else "",
        settled.tries,
        settled.crashes,
        None,
        settled.ref,
    )


def _member_result(member: Delivery, head: Delivery, settled: Settlement, now: Millis) -> Result:
    """What the head's outcome means for another member of its digest."""
    went_out = settled.state in (State.SENT, State.DELIVERED, State.LOST)
    return Result(
        member.id,
        member.attempts + 1,
        State.DIGESTED if went_out else settled.state,
        now,
        settled.due_at,
        settled.due_at or 0,
        member.rule,
        settled.reason,
        False,
        member.group if settled.due_at else "",
        settled.tries,
        settled.crashes,
        head.id if went_out else None,
    )


def _member_event(member: Delivery, head: Delivery, settled: Settlement, now: Millis) -> Event:
    went_out = settled.state in (State.SENT, State.DELIVERED, State.LOST)
    name = "digested" if went_out else settled.event
    return Event(name, member.id, now, data={"digest": head.id})


def _verdict(
    head: Delivery, number: int, at: Millis, outcome: Outcome, settled: Settlement
) -> Verdict:
    names = {Accepted: "accepted", Retry: "retry", Rejected: "rejected"}
    name = names.get(type(outcome), "unknown")
    return Verdict(head.id, number, head.recipient, at, name, settled.reason, settled.counts)


def _bounce(outcome: Outcome) -> dict[str, object]:
    """What a refusal says about the address, as a bounce would say it."""
    if not isinstance(outcome, Rejected) or not outcome.bounce:
        return {}
    status = {"status": outcome.status} if outcome.status else {}
    return {BOUNCE: outcome.bounce, **status}


def _facts(number: int, crashes: int, settled: Settlement) -> dict[str, object]:
    facts: dict[str, object] = {} if number == 1 else {"attempt": number}
    if crashes:
        facts["maybe_duplicate"] = True
    if settled.reason is not None:
        facts["reason"] = settled.reason
    if settled.due_at is not None:
        facts["retry_at"] = settled.due_at
    return facts


def _late(event: Event) -> Event:
    return Event("late", event.delivery_id, event.at, data={"result": event.name, **event.data})
