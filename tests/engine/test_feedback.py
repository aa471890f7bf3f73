"""Facts from outside move a delivery along its life, and only along it."""

from __future__ import annotations

import pytest
from engine_bench import HOUR, START, Bench

from tactful.core.errors import RequestError
from tactful.core.model import Accepted, Rejected, Retry, State, Unknown
from tactful.engine.requests import Receipt


def handed_over(bench: Bench, arrived: bool | None = None) -> Receipt:
    bench.outcome = lambda _: Accepted("ref", arrived)
    receipt = bench.send()
    bench.run()
    return receipt


def told(bench: Bench, name: str, receipt: Receipt, **data: object) -> bool:
    return bench.feedback.record(name, receipt.delivery_id or "", data)


@pytest.mark.parametrize(
    ("facts", "news", "state", "opened", "clicked"),
    [
        (["delivered"], [True], State.DELIVERED, False, False),
        (["delivered", "delivered"], [True, False], State.DELIVERED, False, False),
        (["lost"], [True], State.LOST, False, False),
        (["lost", "delivered"], [True, True], State.DELIVERED, False, False),
        (["delivered", "lost"], [True, False], State.DELIVERED, False, False),
        (["bounced", "delivered"], [True, False], State.BOUNCED, False, False),
        (["opened"], [True], State.DELIVERED, True, False),
        (["opened", "opened"], [True, False], State.DELIVERED, True, False),
        (["lost", "opened"], [True, True], State.DELIVERED, True, False),
        (["bounced", "opened"], [True, False], State.BOUNCED, False, False),
        (["clicked"], [True], State.DELIVERED, True, True),
        (["opened", "clicked"], [True, True], State.DELIVERED, True, True),
        (["clicked", "opened"], [True, False], State.DELIVERED, True, True),
        (["clicked", "clicked"], [True, False], State.DELIVERED, True, True),
        (["opened", "bounced"], [True, False], State.DELIVERED, True, False),
    ],
)
def test_facts_in_any_order_leave_a_delivery_in_a_state_that_can_be(
    bench: Bench, facts: list[str], news: list[bool], state: State, opened: bool, clicked: bool
) -> None:
    receipt = handed_over(bench)

    assert [told(bench, name, receipt) for name in facts] == news

    found = bench.delivery(receipt)
    assert found.state is state
    assert (found.opened_at is not None, found.clicked_at is not None) == (opened, clicked)
    assert found.ref == "ref"


def test_opening_what_is_not_known_to_have_arrived_says_that_it_has(bench: Bench) -> None:
    receipt = handed_over(bench)
    told(bench, "opened", receipt)

    assert bench.events(receipt) == ["accepted", "sent", "delivered", "opened"]


def test_a_fact_has_its_own_data_and_instant(bench: Bench) -> None:
    receipt = handed_over(bench)
    bench.clock.advance(HOUR)
    told(bench, "bounced", receipt, reason="box full", code=552)

    assert bench.delivery(receipt).reason == "box full"
    with bench.store.reading() as reader:
        (event,) = reader.events(name="bounced")
    assert (event.at, event.data) == (START + HOUR, {"reason": "box full", "code": 552})
    assert (event.recipient, event.notification_id) == ("ada", receipt.notification_id)


@pytest.mark.parametrize("name", ["delivered", "lost", "bounced", "opened", "clicked"])
def test_what_was_not_sent_cannot_have_arrived_or_be_opened(bench: Bench, name: str) -> None:
    waiting = bench.send(to="a", deliver_at=START + HOUR)
    sending = bench.send(to="b")
    bench.claim()
    rejected = bench.send(to="c", channels="sms")
    bench.outcome = lambda _: Rejected("no")
    failed = bench.send(to="d")
    bench.run()
    before = [bench.delivery(r) for r in (waiting, sending, rejected, failed)]

    assert not any(told(bench, name, r) for r in (waiting, sending, rejected, failed))

    assert [bench.delivery(r) for r in (waiting, sending, rejected, failed)] == before
    assert name not in bench.events()


def test_what_waits_for_its_next_try_cannot_be_opened(bench: Bench) -> None:
    bench.outcome = lambda _: Retry("busy")
    receipt = bench.send()
    bench.run()

    assert not told(bench, "opened", receipt)
    assert bench.delivery(receipt).state is State.DEFERRED


def test_evidence_of_arrival_settles_what_was_held_as_unknown(bench: Bench) -> None:
    bench.type("code", on_ambiguous="hold")
    bench.outcome = lambda _: Unknown("cut")
    receipt = bench.send("code")
    bench.run()
    assert bench.delivery(receipt).state is State.UNKNOWN

    assert told(bench, "delivered", receipt)
    assert bench.delivery(receipt).state is State.DELIVERED


def test_a_fact_about_nothing_we_know_harms_nobody(bench: Bench) -> None:
    assert bench.feedback.record("delivered", "no such delivery") is False
    assert bench.feedback.record("opened", "") is False
    assert bench.events() == []


@pytest.mark.parametrize("name", ["sent", "", "OPENED", "accepted"])
def test_a_fact_that_does_not_exist_is_refused_with_those_that_do(bench: Bench, name: str) -> None:
    receipt = handed_over(bench)

    with pytest.raises(RequestError, match="delivered, lost, bounced, opened, clicked") as refused:
        bench.feedback.record_many(
            [("delivered", receipt.delivery_id or "", {}), (name, receipt.delivery_id or "", {})]
        )

    assert refused.value.field == "event"
    assert bench.delivery(receipt).state is State.SENT


def test_many_facts_are_applied_together_in_their_order(bench: Bench) -> None:
    one, other = handed_over(bench), handed_over(bench)
    ids = [one.delivery_id or "", other.delivery_id or "", "nobody"]
    changes = bench.changes

    applied = bench.feedback.record_many(
        [(name, key, {}) for name in ("delivered", "opened", "opened") for key in ids]
    )

    assert applied == 4
    assert bench.changes == changes + 1
    assert bench.events(one)[2:] == ["delivered", "opened"]


def test_an_empty_list_of_facts_is_no_news(bench: Bench) -> None:
    assert bench.feedback.record_many([]) == 0
