"""Admission of many at once: one transaction, idempotency keys, broadcasts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from engine_bench import DAY, HOUR, MINUTE, START, Bench, asked

from tactful import Rule, Tactful
from tactful.core.errors import IdempotencyConflict, RequestError
from tactful.core.model import State
from tactful.engine.requests import Receipt
from tactful.ports import Store
from tactful.testing import ManualClock

WEEK = 7 * DAY


def test_a_batch_is_decided_in_its_order(bench: Bench) -> None:
    """Each sees the slots of those before it, in one transaction."""
    bench.rule("two", "2/minute")

    found = bench.send_all([asked(text=str(n)) for n in range(5)])

    assert [r.decision for r in found] == ["send", "send", "defer", "defer", "defer"]
    assert [r.remaining for r in found[:2]] == [1, 0]
    assert [r.deliver_at for r in found[2:]] == [
        START + MINUTE,
        START + MINUTE,
        START + 2 * MINUTE,
    ]


def test_a_batch_may_replace_its_own_members(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="collapse")

    first, *others = bench.send_all([asked(text=str(n)) for n in range(4)])
    bench.run()

    assert first.decision == "send"
    states = [bench.delivery(r).state for r in others]
    assert states == [State.SUPERSEDED, State.SUPERSEDED, State.DEFERRED]
    bench.at(HOUR)
    assert bench.texts == ["0", "3"]


def test_a_batch_may_fill_one_digest(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="digest")

    found = bench.send_all([asked(text=str(n)) for n in range(4)])
    bench.run()

    assert {r.deliver_at for r in found[1:]} == {START + HOUR}
    bench.at(HOUR)
    assert len(bench.messages) == 2
    assert all(text in bench.texts[1] for text in "123")


def test_a_batch_goes_to_many_people_over_many_channels(bench: Bench) -> None:
    bench.person("ada", email="ada@example.com")

    found = bench.send_all([asked(to="ada", channels=["post", "mail"]), asked(to="bob")])

    assert [len(r.others) for r in found] == [1, 0]
    with bench.store.reading() as reader:
        assert len(reader.notifications([r.notification_id for r in found])) == 2
    bench.run()
    assert len(bench.mail.messages) == 1
    assert sorted(message.recipient for message in bench.messages) == ["ada", "bob"]


# Idempotency ---------------------------------------------------------------------------------


def test_a_key_gives_the_same_receipt_and_stores_nothing_new(bench: Bench) -> None:
    bench.rule("one", "1/day")
    first = bench.send(idempotency_key="k", channels=["post", "sms"])

    bench.clock.advance(MINUTE)
    again = bench.send(type_=" NEWS", to="ADA", idempotency_key="k", channels=["post", "sms"])

    assert again.replayed
    assert not first.replayed
    assert again.to_dict() == {**first.to_dict(), "replayed": True}
    assert len(bench.deliveries()) == 2


def test_a_key_with_another_body_is_a_conflict(bench: Bench) -> None:
    bench.send(idempotency_key="k")

    with pytest.raises(IdempotencyConflict) as refused:
        bench.send(idempotency_key="k", text="other")

    assert refused.value.field == "idempotency_key"
    assert refused.value.code == "idempotency_conflict"
    assert len(bench.deliveries()) == 1


def test_refusals_are_remembered_too(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="reject")
    bench.send()
    refused = bench.send(idempotency_key="k")

    bench.at(2 * HOUR)
    again = bench.send(idempotency_key="k")

    assert (refused.decision, again.decision, again.replayed) == ("reject", "reject", True)


def test_a_key_is_forgotten_when_its_time_is_over(bench: Bench) -> None:
    bench.send(idempotency_key="k")
    bench.clock.advance(WEEK - 1)
    assert bench.send(idempotency_key="k").replayed

    bench.clock.advance(1)
    fresh = bench.send(idempotency_key="k", text="another body")

    assert not fresh.replayed
    assert bench.send(idempotency_key="k", text="another body").replayed


def test_a_key_that_comes_twice_in_one_batch_is_one_submission(bench: Bench) -> None:
    first, again, other = bench.send_all(
        [asked(idempotency_key="k"), asked(idempotency_key="k"), asked(idempotency_key="l")]
    )

    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert again.delivery_id == first.delivery_id
    assert len(bench.deliveries()) == 2
    with bench.store.reading() as reader:
        assert reader.notifications([again.notification_id]).keys() == {first.notification_id}


def test_a_key_that_comes_twice_in_one_batch_with_two_bodies_stores_nothing(bench: Bench) -> None:
    with pytest.raises(IdempotencyConflict):
        bench.send_all([asked(idempotency_key="k"), asked(idempotency_key="k", text="other")])

    assert bench.deliveries() == []
    assert not bench.send(idempotency_key="k").replayed


def test_many_callers_with_one_key_make_one_delivery(bench: Bench) -> None:
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: bench.send(idempotency_key="k"), range(48)))

    assert len({r.delivery_id for r in found}) == 1
    assert [r.replayed for r in found].count(False) == 1
    assert len(bench.deliveries()) == 1


def test_many_callers_never_get_one_slot_too_many(bench: Bench) -> None:
    """Each caller has an answer of their own, and a bad one among them hurts nobody."""
    bench.rule("three", "3/hour")

    def one(n: int) -> str:
        try:
            return bench.send(text=str(n), **({"channels": "fax"} if n % 9 == 0 else {})).decision
        except RequestError:
            return "refused"

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(one, range(45)))

    assert {word: found.count(word) for word in set(found)} == {
        "refused": 5,
        "send": 3,
        "defer": 37,
    }


# Each for itself ------------------------------------------------------------------------------


def test_what_is_wrong_with_one_is_no_trouble_of_the_others(bench: Bench) -> None:
    bench.rule("one", "1/hour")

    found = bench.admission.submit_each(
        [asked(), asked(channels=["fax"]), asked(), asked(template="none"), asked(to="bob")]
    )

    words = [one.decision if isinstance(one, Receipt) else one.field for one in found]
    assert words == ["send", "channels", "defer", "template", "send"]
    assert len(bench.deliveries()) == 3
    bench.run()
    assert len(bench.messages) == 2


def test_a_key_with_two_bodies_is_wrong_where_it_comes_second(bench: Bench) -> None:
    found = bench.admission.submit_each(
        [
            asked(idempotency_key="k"),
            asked(idempotency_key="k", text="other"),
            asked(idempotency_key="k"),
        ]
    )
    again = bench.admission.submit_each([asked(idempotency_key="k", text="other")])

    assert isinstance(found[0], Receipt)
    assert isinstance(found[1], IdempotencyConflict)
    assert isinstance(found[2], Receipt)
    assert found[2].replayed
    assert isinstance(again[0], IdempotencyConflict)
    assert len(bench.deliveries()) == 1


def test_one_that_is_wrong_takes_no_slot(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    found = bench.admission.submit_each(
        [asked(idempotency_key="k"), asked(idempotency_key="k", text="other"), asked(to="bob")]
    )

    bench.run()

    assert isinstance(found[2], Receipt)
    assert found[2].decision == "send"
    assert sorted(message.recipient for message in bench.messages) == ["ada", "bob"]


def test_all_or_none_is_still_all_or_none(bench: Bench) -> None:
    with pytest.raises(RequestError) as refused:
        bench.send_all([asked(), asked(channels=["fax"]), asked(template="none")])

    assert refused.value.field == "channels"
    assert bench.deliveries() == []


def test_nothing_is_admitted_of_nothing(bench: Bench) -> None:
    assert bench.admission.submit_each([]) == []


def test_each_item_of_a_caller_has_its_result_in_its_place(store: Store) -> None:
    app = Tactful(store, clock=ManualClock(START))
    app.rules.put(Rule("one", "1/hour"))

    found = app.send_each(
        [
            {"type": "news", "to": "ada", "text": "w"},
            {"type": "news", "to": "", "text": "w"},
            {"type": "news", "to": "ada", "text": "w", "channels": ["fax"]},
            {"to": "ada", "text": "w"},  # type: ignore[typeddict-item]
            {"type": "news", "to": "ada", "text": "w"},
        ]
    )

    words = [one.decision if isinstance(one, Receipt) else one.field for one in found]
    assert words == ["send", "to", "channels", "type", "defer"]
    assert app.send_each([]) == []


# Broadcasts ----------------------------------------------------------------------------------


def test_a_broadcast_is_accepted_before_it_is_decided(bench: Bench) -> None:
    bench.person("ada")
    bench.rule("none", "0/day", types=["news"], on_limit="reject")

    receipt = bench.broadcast(idempotency_key="k")

    assert (receipt.decision, receipt.delivery_id) == ("queued", None)
    assert bench.events() == ["rule.changed", "broadcast.accepted"]
    assert bench.deliveries() == []


def test_a_broadcast_to_nobody_is_done_at_once(bench: Bench) -> None:
    bench.broadcast()

    assert bench.fanout.step() == 0
    with bench.store.reading() as reader:
        assert reader.unfinished_broadcasts() == []


def test_the_key_of_a_broadcast_keeps_it_from_going_out_twice(bench: Bench) -> None:
    bench.person("ada")
    first = bench.broadcast(idempotency_key="k")
    again = bench.broadcast(idempotency_key="k")
    bench.run()

    assert again.replayed
    assert again.notification_id == first.notification_id
    assert bench.texts == ["w"]
    with pytest.raises(IdempotencyConflict):
        bench.broadcast(idempotency_key="k", text="other")


def test_a_key_is_shared_by_broadcasts_and_single_ones(bench: Bench) -> None:
    bench.broadcast(idempotency_key="k")

    with pytest.raises(IdempotencyConflict):
        bench.send(idempotency_key="k")


def test_a_broadcast_has_a_schedule_a_priority_and_a_life(bench: Bench) -> None:
    bench.person("ada")
    bench.broadcast(deliver_at=START + DAY, ttl="1h", priority="low")
    bench.run()

    (stored,) = bench.deliveries()
    assert (stored.due_at, stored.priority) == (START + DAY, 0)
    assert stored.expires_at == START + DAY + HOUR
    assert bench.texts == []
    bench.at(DAY)
    assert bench.texts == ["w"]
