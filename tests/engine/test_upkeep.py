"""Upkeep: what is old goes, what is no longer wanted is called off, what failed may try again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from engine_bench import DAY, HOUR, MINUTE, SECOND, START, Bench, asked

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import Recipient, Rejected, State, Unknown
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings


def prune(bench: Bench, keep_ms: int | None = None, limit: int = 1_000) -> int:
    gone = 0
    while step := bench.upkeep.prune(keep_ms, limit):
        gone += step
    return gone


def known(bench: Bench, receipt: Receipt) -> bool:
    with bench.store.reading() as reader:
        return reader.delivery(receipt.delivery_id or "") is not None


# Forgetting ----------------------------------------------------------------------------------


def test_what_ended_long_ago_is_forgotten_with_its_events(bench: Bench) -> None:
    old = bench.send()
    bench.run()
    bench.clock.set(START + 90 * DAY)
    assert bench.upkeep.prune() == 1  # the attempt, which no rule can see any more
    assert known(bench, old)

    bench.clock.set(START + 90 * DAY + 1)
    assert prune(bench) > 0
    assert not known(bench, old)
    assert bench.events(old) == []
    with bench.store.reading() as reader:
        assert reader.notifications([old.notification_id]) == {}


def test_what_waits_is_never_forgotten(bench: Bench) -> None:
    waiting = bench.send(deliver_at=START + 200 * DAY)
    sending = bench.send()
    bench.claim()
    bench.clock.set(START + 150 * DAY)

    prune(bench, keep_ms=0)
    assert known(bench, waiting)
    assert known(bench, sending)


def test_attempts_are_kept_as_long_as_a_rule_may_look_back(
    make_bench: Callable[[Settings], Bench],
) -> None:
    """And a day longer; however soon their deliveries are forgotten."""
    bench = make_bench(Settings(history_ms=10 * DAY, keep_ms=MINUTE))
    bench.rule("two", "1/10d")
    bench.send()
    bench.run()

    bench.clock.set(START + 10 * DAY - 1)
    prune(bench)
    assert bench.deliveries() == []
    assert bench.send().decision == "defer"
    bench.clock.set(START + 11 * DAY)
    prune(bench)
    with bench.store.reading() as reader:
        assert [entry.at for entry in reader.history(["ada"], 0)["ada"]] == [START]
    bench.clock.set(START + 11 * DAY + 1)
    prune(bench)
    with bench.store.reading() as reader:
        assert reader.history(["ada"], 0) == {}


def test_each_step_is_bounded_and_nothing_left_is_zero(bench: Bench) -> None:
    for n in range(25):
        bench.send(to=f"p{n}")
    bench.run()
    bench.clock.advance(DAY)

    steps = []
    while bench.upkeep.prune(keep_ms=HOUR, limit=10):
        steps.append(len(bench.deliveries()))

    assert steps[:3] == [15, 5, 0]
    assert bench.upkeep.prune(keep_ms=HOUR) == 0


@pytest.mark.parametrize("keep", [-1, True, 1.5, "1d"])
def test_how_long_to_keep_is_a_duration(quick: Bench, keep: int) -> None:
    with pytest.raises(RequestError, match="keep: must be a duration of at least 0"):
        quick.upkeep.prune(keep)


# Calling off ---------------------------------------------------------------------------------


def test_a_delivery_that_waits_is_called_off_and_the_next_moves_up(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send(text="first")
    bench.run()
    unwanted, wanted = bench.send(text="unwanted"), bench.send(text="wanted")

    assert bench.upkeep.cancel(unwanted.delivery_id or "") == 1

    assert bench.delivery(unwanted).state is State.CANCELLED
    assert bench.events(unwanted) == ["deferred", "cancelled"]
    bench.run()
    assert bench.delivery(wanted).due_at == START + HOUR
    bench.at(HOUR)
    assert bench.texts == ["first", "wanted"]


def test_what_is_being_sent_or_has_gone_cannot_be_called_back(bench: Bench) -> None:
    gone, going = bench.send(), bench.send(to="bob")
    (first, second) = bench.claim()
    bench.recording.record(bench.hand_over([first]))
    changes = bench.changes

    assert bench.upkeep.cancel(gone.delivery_id or "") == 0
    assert bench.upkeep.cancel(going.delivery_id or "") == 0
    assert bench.changes == changes
    assert bench.delivery(going).state is State.SENDING
    assert second.delivery.id == going.delivery_id


def test_a_notification_is_called_off_on_every_channel(bench: Bench) -> None:
    bench.person("ada", addresses={"sms": "1"})
    receipt = bench.send(channels=["post", "sms"], deliver_at=START + DAY)

    assert bench.upkeep.cancel(receipt.notification_id) == 2
    assert bench.upkeep.cancel(receipt.notification_id) == 0
    bench.at(DAY)
    assert bench.messages == bench.sms.messages == []


def test_a_broadcast_is_called_off_in_the_middle(bench: Bench) -> None:
    """Who has it keeps it, who waits gets nothing, and nobody else is reached."""
    bench.people.put_many(Recipient(f"p{n}") for n in range(9))
    receipt = bench.broadcast(text="all")
    bench.fanout.step(3)
    bench.recording.record(bench.hand_over(bench.claim(limit=2)))

    assert bench.upkeep.cancel(receipt.notification_id) == 1

    bench.run()
    states = [d.state for d in bench.deliveries(notification_id=receipt.notification_id)]
    assert sorted(states) == ["cancelled", "delivered", "delivered"]
    assert len(bench.messages) == 2


def test_a_broadcast_is_called_off_before_anybody_is_reached(bench: Bench) -> None:
    bench.person("ada")
    receipt = bench.broadcast()

    assert bench.upkeep.cancel(receipt.notification_id) == 0
    bench.run()
    assert bench.messages == []


def test_a_large_notification_is_called_off_page_by_page(quick: Bench) -> None:
    quick.people.put_many(Recipient(f"p{n}") for n in range(1_100))
    receipt = quick.broadcast(deliver_at=START + DAY)
    quick.run()

    assert quick.upkeep.cancel(receipt.notification_id) == 1_100


def test_the_place_of_what_is_called_off_in_a_line_at_a_gate_is_free_for_others(
    bench: Bench,
) -> None:
    bench.rule("pace", "1/second", per="channel", channels=["post"])
    bench.people.put_many(Recipient(f"p{n}") for n in range(30))
    receipt = bench.broadcast(text="all")
    bench.run()
    assert bench.texts == ["all"]
    waiting = bench.send("alert", to="eve", text="waits behind")
    bench.run()
    assert bench.delivery(waiting).due_at == START + 30 * SECOND

    assert bench.upkeep.cancel(receipt.notification_id) == 29
    bench.at(SECOND)

    assert bench.texts == ["all", "waits behind"]


@pytest.mark.parametrize("wanted", ["", "nothing"])
def test_what_never_was_can_be_neither_called_off_nor_tried_again(
    bench: Bench, wanted: str
) -> None:
    with pytest.raises(NotFound, match="names no delivery and no notification"):
        bench.upkeep.cancel(wanted)
    with pytest.raises(NotFound, match="names no delivery"):
        bench.upkeep.retry(wanted)


# Trying again --------------------------------------------------------------------------------


def test_what_failed_is_tried_again_from_the_start(bench: Bench) -> None:
    bench.outcome = lambda _: Rejected("no")
    receipt = bench.send()
    bench.run()
    bench.outcome = None

    assert bench.upkeep.retry(receipt.delivery_id or "") is True
    stored = bench.delivery(receipt)
    assert (stored.state, stored.due_at) == (State.QUEUED, START)
    assert (stored.tries, stored.crashes, stored.attempts) == (0, 0, 1)
    assert bench.upkeep.retry(receipt.delivery_id or "") is False
    bench.run()
    assert bench.delivery(receipt).state is State.DELIVERED
    assert bench.events(receipt) == ["accepted", "failed", "redriven", "delivered"]
    assert [m.attempt for m in bench.messages] == [1, 2]


def test_what_is_unknown_is_tried_again_within_the_limits(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.type("code", on_ambiguous="hold")
    bench.outcome = lambda _: Unknown("cut")
    receipt = bench.send("code")
    bench.run()
    bench.outcome = None

    assert bench.upkeep.retry(receipt.delivery_id or "")
    bench.run()
    assert bench.delivery(receipt).due_at == START + HOUR
    bench.at(HOUR)
    assert bench.delivery(receipt).state is State.DELIVERED


def test_nothing_else_can_be_tried_again(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="reject", types=["hard"])
    done, waiting = bench.send(to="a"), bench.send(to="b", deliver_at=START + DAY)
    bench.send_all([asked("hard", to="c")])
    (refused,) = bench.send_all([asked("hard", to="c")])
    bench.run()
    sending = bench.send(to="d")
    bench.claim()

    for receipt in (done, waiting, refused, sending):
        assert bench.upkeep.retry(receipt.delivery_id or "") is False
