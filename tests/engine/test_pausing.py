"""Pausing: a notification stands still, others use its room, and resuming loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from engine_bench import DAY, HOUR, MINUTE, SECOND, START, Bench

from tactful.core.errors import NotFound
from tactful.core.model import Recipient, Rejected, Retry, State
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings
from tactful.ports import Tx
from tactful.stores.memory import MemoryStore


def paused(bench: Bench) -> list[str]:
    with bench.store.reading() as reader:
        return [one.id for one in reader.paused_notifications()]


def everybody(bench: Bench, count: int) -> None:
    bench.people.put_many(Recipient(f"p{n:04}") for n in range(count))


def states(bench: Bench, receipt: Receipt) -> list[str]:
    return sorted(d.state for d in bench.deliveries(notification_id=receipt.notification_id))


# Standing still ------------------------------------------------------------------------------


def test_a_broadcast_stands_still_in_the_middle_and_goes_on_where_it_was(bench: Bench) -> None:
    everybody(bench, 9)
    receipt = bench.broadcast(text="all")
    bench.fanout.step(6)
    bench.recording.record(bench.hand_over(bench.claim(limit=2)))

    assert bench.pausing.pause(receipt.notification_id, "ada") == 4

    bench.run()
    bench.at(DAY - HOUR)
    assert len(bench.messages) == 2
    assert paused(bench) == [receipt.notification_id]
    assert len(bench.deliveries(notification_id=receipt.notification_id)) == 6

    assert bench.pausing.resume(receipt.notification_id) == 4
    bench.run()
    assert states(bench, receipt) == ["delivered"] * 9
    assert len({message.recipient for message in bench.messages}) == len(bench.messages) == 9
    assert paused(bench) == []


def test_who_paused_it_and_when_is_a_fact_and_the_answer_to_why(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + HOUR, ttl="2h")
    bench.clock.advance(MINUTE)
    bench.pausing.pause(receipt.notification_id, "ada")

    why = bench.insight.why(receipt.delivery_id or "")
    assert (why.decision, why.deliver_at, why.place) == ("pause", None, None)
    assert (why.paused_at, why.paused_by) == (START + MINUTE, "ada")
    assert "is paused since 2026-01-01 00:01" in why.text
    assert "by ada" in why.text
    bench.pausing.resume(receipt.notification_id, "bob")
    with bench.store.reading() as reader:
        told = reader.events(notification_id=receipt.notification_id)
    facts = [(e.name, e.at - START, e.data) for e in told if not e.delivery_id]
    assert facts == [("paused", MINUTE, {"by": "ada"}), ("resumed", MINUTE, {"by": "bob"})]
    assert bench.insight.why(receipt.delivery_id or "").paused_at is None


def test_pausing_and_resuming_twice_changes_nothing(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + HOUR)
    other = receipt.notification_id

    assert [bench.pausing.pause(other, "ada"), bench.pausing.pause(other, "bob")] == [1, 0]
    assert bench.insight.why(receipt.delivery_id or "").paused_by == "ada"
    assert [bench.pausing.resume(other), bench.pausing.resume(other)] == [1, 0]
    assert bench.events(notification_id=other).count("paused") == 1
    assert bench.events(notification_id=other).count("resumed") == 1


def test_what_is_finished_cannot_be_paused_and_what_never_was_is_not_found(bench: Bench) -> None:
    receipt = bench.send()
    bench.run()

    assert bench.pausing.pause(receipt.notification_id) == 0
    assert bench.pausing.resume(receipt.notification_id) == 0
    assert paused(bench) == []
    for unknown in ("", "nothing", receipt.delivery_id or ""):
        with pytest.raises(NotFound, match="names no notification"):
            bench.pausing.pause(unknown)
        with pytest.raises(NotFound, match="names no notification"):
            bench.pausing.resume(unknown)


def test_a_pause_outlives_the_engine_that_made_it(
    bench: Bench, make_bench: Callable[[Settings], Bench]
) -> None:
    receipt = bench.send(text="later", deliver_at=START + MINUTE)
    bench.pausing.pause(receipt.notification_id)

    other = make_bench(Settings())
    other.at(HOUR)
    assert other.messages == []
    assert other.pausing.resume(receipt.notification_id) == 1
    other.run()
    assert other.sent == [(HOUR, "later")]


def test_a_change_of_the_rules_wakes_nothing_that_is_paused(bench: Bench) -> None:
    bench.rule("one", "1/day")
    bench.send(text="first")
    bench.run()
    held = bench.send(text="held")
    bench.pausing.pause(held.notification_id)

    bench.rule("one", "9/day")
    bench.at(HOUR)
    assert bench.texts == ["first"]
    bench.pausing.resume(held.notification_id)
    bench.run()
    assert bench.sent == [(0, "first"), (HOUR, "held")]


def test_its_time_to_live_goes_on(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + MINUTE, ttl="1h")
    bench.pausing.pause(receipt.notification_id)

    bench.at(HOUR + MINUTE - 1)
    assert bench.delivery(receipt).state is State.DEFERRED
    bench.at(HOUR + MINUTE)
    stored = bench.delivery(receipt)
    assert (stored.state, stored.reason) == (State.EXPIRED, "paused")
    assert bench.pausing.resume(receipt.notification_id) == 0
    assert bench.messages == []


def test_what_is_paused_can_be_called_off(bench: Bench) -> None:
    everybody(bench, 5)
    receipt = bench.broadcast()
    bench.fanout.step(3)
    bench.pausing.pause(receipt.notification_id)

    assert bench.upkeep.cancel(receipt.notification_id) == 3

    assert paused(bench) == []
    assert bench.pausing.resume(receipt.notification_id) == 0
    bench.run()
    assert states(bench, receipt) == ["cancelled"] * 3
    assert bench.messages == []


# What was in hand ----------------------------------------------------------------------------


def test_what_was_in_hand_may_arrive_but_is_not_tried_again(bench: Bench) -> None:
    everybody(bench, 2)
    receipt = bench.broadcast()
    bench.fanout.step()
    jobs = bench.claim()
    assert bench.pausing.pause(receipt.notification_id) == 0
    bench.outcome = lambda message: Retry("busy") if message.recipient == "p0000" else None

    bench.recording.record(bench.hand_over(jobs))
    bench.outcome = None
    bench.at(DAY - HOUR)

    assert states(bench, receipt) == ["deferred", "delivered"]
    assert len(bench.messages) == 2
    assert bench.pausing.resume(receipt.notification_id) == 1
    bench.run()
    assert [(m.recipient, m.attempt) for m in bench.messages][2:] == [("p0000", 2)]


def test_what_comes_back_takes_no_slot_while_it_is_paused(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    receipt = bench.send(text="comes back")
    jobs = bench.claim()
    bench.pausing.pause(receipt.notification_id)
    bench.outcome = lambda _: Retry("busy")
    bench.recording.record(bench.hand_over(jobs))
    bench.outcome = None
    bench.send(text="other")
    bench.at(MINUTE)

    assert bench.delivery(receipt).paused
    assert bench.send(text="next").deliver_at == START + HOUR + MINUTE


def test_what_a_vanished_worker_left_stands_still_too(bench: Bench) -> None:
    receipt = bench.send(text="left")
    bench.vanish()
    bench.pausing.pause(receipt.notification_id)

    bench.at(HOUR)
    assert bench.messages == []
    stored = bench.delivery(receipt)
    assert (stored.state, stored.paused, stored.crashes) == (State.DEFERRED, True, 1)
    bench.pausing.resume(receipt.notification_id)
    bench.run()
    assert [(m.text, m.maybe_duplicate) for m in bench.messages] == [("left", True)]


def test_at_most_once_holds_through_a_pause(bench: Bench) -> None:
    bench.type("code", on_ambiguous="hold")
    receipt = bench.send("code")
    bench.vanish()
    bench.pausing.pause(receipt.notification_id)
    bench.at(HOUR)
    bench.pausing.resume(receipt.notification_id)
    bench.run()

    assert bench.delivery(receipt).state is State.UNKNOWN
    assert bench.messages == []


def test_what_is_tried_again_by_hand_stands_still_with_the_rest(bench: Bench) -> None:
    everybody(bench, 2)
    bench.outcome = lambda message: Rejected("no") if message.recipient == "p0000" else None
    receipt = bench.broadcast()
    bench.fanout.step()
    bench.recording.record(bench.hand_over(bench.claim(limit=1)))
    bench.outcome = None
    bench.pausing.pause(receipt.notification_id)
    failed = bench.deliveries(notification_id=receipt.notification_id, state=State.FAILED)

    assert bench.upkeep.retry(failed[0].id)
    bench.run()
    assert len(bench.messages) == 1
    assert bench.pausing.resume(receipt.notification_id) == 2
    bench.run()
    assert states(bench, receipt) == ["delivered", "delivered"]


def test_nothing_goes_once_the_mark_is_stored_even_if_whoever_paused_it_dies(bench: Bench) -> None:
    """The mark comes first; what had not been stopped yet is stopped where it would go."""
    everybody(bench, 3)
    receipt = bench.broadcast()
    bench.fanout.step()
    with bench.store.transaction() as tx:
        tx.pause_notification(receipt.notification_id, START, "")

    bench.run()
    assert bench.messages == []
    assert all(d.paused for d in bench.deliveries(notification_id=receipt.notification_id))
    assert bench.pausing.resume(receipt.notification_id) == 3
    bench.run()
    assert len(bench.messages) == 3


def test_pausing_again_finishes_what_somebody_else_began(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + HOUR)
    with bench.store.transaction() as tx:
        tx.pause_notification(receipt.notification_id, START, "")

    assert bench.pausing.pause(receipt.notification_id) == 1
    assert bench.delivery(receipt).paused


def test_a_worker_goes_on_with_what_somebody_began_to_resume(bench: Bench) -> None:
    receipt = bench.send(text="all the same")
    bench.pausing.pause(receipt.notification_id)
    with bench.store.transaction() as tx:
        tx.resume_notification(receipt.notification_id, "")

    bench.run()
    assert bench.texts == ["all the same"]
    assert paused(bench) == []


def test_a_large_notification_is_paused_and_resumed_page_by_page(quick: Bench) -> None:
    everybody(quick, 1_100)
    receipt = quick.broadcast(deliver_at=START + DAY)
    quick.run()

    assert quick.pausing.pause(receipt.notification_id) == 1_100
    quick.at(DAY)
    assert quick.messages == []
    assert quick.pausing.resume(receipt.notification_id) == 1_100
    quick.run()
    names = [message.recipient for message in quick.messages]
    assert names == [f"p{n:04}" for n in range(1_100)]


# Room for others -----------------------------------------------------------------------------


def test_its_slot_is_free_for_others_and_they_move_up(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send(text="first")
    bench.run()
    stopped, next_ = bench.send(text="stopped"), bench.send(text="next")
    assert bench.delivery(next_).due_at == START + 2 * HOUR

    bench.pausing.pause(stopped.notification_id)
    bench.run()
    assert bench.delivery(next_).due_at == START + HOUR
    bench.at(HOUR)
    assert bench.texts == ["first", "next"]


def test_a_promised_place_is_free_for_others(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    stopped = bench.send(text="stopped")
    assert stopped.decision == "send"
    bench.pausing.pause(stopped.notification_id)

    assert bench.send(text="other").decision == "send"
    bench.run()
    bench.pausing.resume(stopped.notification_id)
    bench.run()
    assert bench.delivery(stopped).due_at == START + HOUR
    bench.at(HOUR)
    assert bench.sent == [(0, "other"), (HOUR, "stopped")]


def test_its_place_in_the_line_at_a_gate_is_free_for_others(bench: Bench) -> None:
    bench.rule("pace", "1/second", per="channel", channels=["post"])
    everybody(bench, 30)
    receipt = bench.broadcast(text="all")
    bench.run()
    waiting = bench.send("alert", to="eve", text="waits behind")
    bench.run()
    assert bench.delivery(waiting).due_at == START + 30 * SECOND

    bench.pausing.pause(receipt.notification_id)
    bench.send("alert", to="fred", text="new")
    bench.run()
    bench.at(SECOND)
    bench.at(2 * SECOND)
    assert sorted(bench.texts) == ["all", "new", "waits behind"]


def test_nobody_loses_a_slot_or_a_promise_to_what_is_resumed(bench: Bench) -> None:
    """However urgent it is."""
    bench.rule("one", "1/hour")
    stopped = bench.send(text="stopped", priority="high", deliver_at=START + MINUTE)
    bench.pausing.pause(stopped.notification_id)
    bench.clock.set(START + MINUTE)
    promised = bench.send(text="promised")
    slot = bench.send(text="slot")
    assert (promised.decision, slot.decision) == ("send", "defer")

    bench.pausing.resume(stopped.notification_id)
    bench.run()
    bench.at(HOUR + MINUTE)
    assert bench.texts[0] == "promised"
    bench.at(2 * HOUR + MINUTE)
    bench.at(3 * HOUR + MINUTE)
    assert sorted(bench.texts) == ["promised", "slot", "stopped"]


def test_what_has_a_receipt_is_not_rejected_when_it_is_resumed(bench: Bench) -> None:
    bench.rule("hard", "1/hour", on_limit="reject")
    accepted = bench.send(text="accepted", deliver_at=START + MINUTE)
    bench.pausing.pause(accepted.notification_id)
    bench.send(text="between")
    bench.run()

    bench.clock.set(START + MINUTE)
    bench.pausing.resume(accepted.notification_id)
    bench.run()
    assert bench.delivery(accepted).state is State.DEFERRED
    bench.at(HOUR)
    assert bench.sent == [(0, "between"), (HOUR, "accepted")]


def test_rules_still_reject_who_had_not_been_decided_about(bench: Bench) -> None:
    """As they would have, had the broadcast not been paused."""
    bench.rule("hard", "1/hour", on_limit="reject")
    bench.person("ada")
    receipt = bench.broadcast(text="all")
    bench.fanout.step()
    bench.pausing.pause(receipt.notification_id)
    bench.send(text="between")
    bench.run()
    bench.pausing.resume(receipt.notification_id)
    bench.run()

    assert states(bench, receipt) == ["rejected"]


# Groups --------------------------------------------------------------------------------------


def test_a_newer_one_of_its_collapse_group_supersedes_it_when_it_is_resumed(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send(text="first")
    bench.run()
    older = bench.send(text="older", collapse_key="room")
    bench.pausing.pause(older.notification_id)
    newer = bench.send(text="newer", collapse_key="room")
    bench.pausing.resume(older.notification_id)
    bench.run()

    assert bench.delivery(older).state is State.SUPERSEDED
    assert bench.delivery(older).reason == f"superseded by {newer.delivery_id}"
    bench.at(HOUR)
    assert bench.texts == ["first", "newer"]


def test_its_digest_goes_without_it_and_it_comes_with_the_next(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send(text="first")
    bench.run()
    stopped, other = bench.send(text="stopped"), bench.send(text="other")
    bench.pausing.pause(stopped.notification_id)
    bench.at(HOUR)
    assert bench.delivery(other).state is State.DELIVERED
    assert bench.delivery(stopped).state is State.DEFERRED

    bench.pausing.resume(stopped.notification_id)
    bench.run()
    joins = bench.send(text="joins")
    bench.at(2 * HOUR)
    assert {bench.delivery(one).state for one in (stopped, joins)} == {
        State.DELIVERED,
        State.DIGESTED,
    }
    assert len(bench.messages) == 3


class Hasty(MemoryStore):
    """A store in which somebody else is at work as soon as a transaction has ended."""

    meanwhile: Callable[[], object] | None = None

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        with super().transaction(durable=durable) as tx:
            yield tx
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


def test_a_worker_that_carries_on_takes_nothing_from_the_count_of_who_resumes() -> None:
    store = Hasty()
    bench = Bench(store)
    receipt = bench.send(deliver_at=START + DAY)
    assert bench.pausing.pause(receipt.notification_id) == 1

    store.meanwhile = bench.fanout.step
    assert bench.pausing.resume(receipt.notification_id) == 1
