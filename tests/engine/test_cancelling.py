"""Calling off what is too much for one transaction."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from engine_bench import DAY, MINUTE, SECOND, START, Bench, Meanwhile

from tactful.core.errors import Contended
from tactful.core.lifecycle import WAITING
from tactful.core.model import Recipient, Retry, State
from tactful.engine.delivering import Sent
from tactful.engine.requests import Receipt
from tactful.engine.upkeep import PAGE, Upkeep
from tactful.ports import Delivery, Notification
from tactful.stores.memory import MemoryStore
from tactful.testing.faults import Crash, FaultyStore, Plan

MANY = PAGE + 50


def reached(bench: Bench, **more: int) -> Receipt:
    """A broadcast of which everything waits."""
    bench.people.put_many(Recipient(f"p{n:04}") for n in range(MANY))
    receipt = bench.broadcast(text="all", **more)
    while bench.fanout.step():
        pass
    return receipt


def rows(bench: Bench, receipt: Receipt) -> list[Delivery]:
    return bench.deliveries(notification_id=receipt.notification_id, limit=2 * MANY)


def notification(bench: Bench, receipt: Receipt) -> Notification:
    with bench.store.reading() as reader:
        return reader.notifications([receipt.notification_id])[receipt.notification_id]


def test_all_that_waits_is_called_off_and_nothing_is_left_standing(bench: Bench) -> None:
    receipt = reached(bench)
    sent = bench.claim(limit=5)
    bench.recording.record(bench.hand_over(sent))

    assert bench.upkeep.cancel(receipt.notification_id) == MANY - 5
    assert bench.upkeep.cancel(receipt.notification_id) == 0

    bench.at(DAY)
    assert len(bench.messages) == 5
    assert {row.state for row in rows(bench, receipt)} == {State.CANCELLED, State.DELIVERED}
    assert not notification(bench, receipt).paused
    assert len(bench.events(name="cancelled", limit=2 * MANY)) == MANY - 5
    assert bench.events(name="paused") == bench.events(name="resumed") == []


def test_who_waited_behind_it_moves_up(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send(to="p0007", text="first")
    bench.run()
    receipt = reached(bench, priority=2)
    waiting = bench.send(to="p0007", text="behind")
    bench.run()
    bench.upkeep.cancel(receipt.notification_id)
    bench.at(60 * MINUTE)

    assert bench.delivery(waiting).state is State.DELIVERED


def test_a_pause_ends_with_what_it_was_about(bench: Bench) -> None:
    receipt = reached(bench)
    bench.pausing.pause(receipt.notification_id, "ada")

    assert bench.upkeep.cancel(receipt.notification_id) == MANY
    assert not notification(bench, receipt).paused
    assert bench.events(name="resumed") == ["resumed"]


def test_nothing_goes_while_it_is_being_called_off_or_after_whoever_does_it_has_vanished() -> None:
    """The caller dies before and after each call of the store; then it is called off once more."""
    for when in ("before", "after"):
        at, fired = 0, ""
        while at == 0 or fired:
            at += 1
            bench = Bench(MemoryStore())
            receipt = reached(bench)
            plan = Plan(at, when=when, error=Crash)
            dying = Upkeep(replace(bench.context, store=FaultyStore(bench.store, plan)))
            with suppress(Crash):
                dying.cancel(receipt.notification_id)
            fired = plan.fired
            marked = notification(bench, receipt).paused
            called_off = sum(row.state is State.CANCELLED for row in rows(bench, receipt))
            if marked or called_off:
                bench.run()
                assert bench.messages == [], fired
            bench.upkeep.cancel(receipt.notification_id)
            left = rows(bench, receipt)
            assert not any(row.state in WAITING for row in left), fired
            assert not notification(bench, receipt).paused, fired
        assert at > 20


@pytest.mark.parametrize("at", range(1, 9))
def test_what_comes_back_meanwhile_is_called_off_too_or_goes_on(bench: Bench, at: int) -> None:
    """It never stands still for good: somebody has to end the pause, or it is no longer waiting."""
    receipt = reached(bench)
    in_hand = bench.claim(limit=3)
    count = 0

    def come_back() -> None:
        nonlocal count
        count += 1
        if count == at:
            failed = [Sent(job, Retry("try again", after_ms=0)) for job in in_hand]
            bench.recording.record(failed)
            if notification(bench, receipt).paused:
                bench.run()

    context = replace(bench.context, store=Meanwhile(bench.store, come_back))
    Upkeep(context).cancel(receipt.notification_id)
    for job in in_hand if count < at else ():
        bench.recording.record([Sent(job, Retry("try again", after_ms=0))])
    bench.at(MINUTE)

    left = rows(bench, receipt)
    assert not any(row.paused or row.state in WAITING for row in left)
    assert sum(row.state is State.CANCELLED for row in left) >= MANY - 3


def test_what_is_called_off_is_called_off_though_others_have_to_go_first_afterwards(
    bench: Bench,
) -> None:
    """Who stands behind it at a gate moves up as soon as somebody works."""
    bench.rule("pace", "1/second", per="channel", channels=["post"])
    receipts = [bench.send(to=key) for key in ("ada", "bob", "cy")]
    bench.run()
    transactions = 0

    def busy_in_the_end() -> None:
        nonlocal transactions
        transactions += 1
        if transactions == 3:  # called off, asked that the others move up, and then
            raise Contended("others go first")

    context = replace(bench.context, store=Meanwhile(bench.store, busy_in_the_end))
    assert Upkeep(context).cancel(receipts[1].delivery_id or "") == 1
    assert transactions == 3

    bench.run()
    assert bench.delivery(receipts[2]).due_at == START + SECOND
