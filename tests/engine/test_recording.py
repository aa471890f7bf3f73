"""Recording: what channels answered becomes states, facts and next tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from engine_bench import DAY, HOUR, MINUTE, SECOND, START, Bench

from tactful.core.model import Accepted, Outcome, Rejected, Retry, State, Unknown
from tactful.core.retry import RetryPolicy
from tactful.engine.delivering import Sent
from tactful.engine.recording import jitter
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings

LEASE = 15 * MINUTE


def verdicts(bench: Bench, of: Receipt) -> list[tuple[int, str | None, bool]]:
    with bench.store.reading() as reader:
        found = reader.attempts(of.delivery_id or "")
    return [(attempt.number, attempt.outcome, attempt.counts) for attempt in found]


def facts(bench: Bench, of: Receipt, name: str) -> list[dict[str, Any]]:
    with bench.store.reading() as reader:
        return [dict(e.data) for e in reader.events(delivery_id=of.delivery_id, name=name)]


@pytest.mark.parametrize(
    ("outcome", "state", "event", "verdict", "counts"),
    [
        (Accepted("ref-1"), State.SENT, "sent", "accepted", True),
        (Accepted(arrived=True), State.DELIVERED, "delivered", "accepted", True),
        (Accepted(arrived=False), State.LOST, "lost", "accepted", True),
        (Retry("busy"), State.DEFERRED, "retry", "retry", False),
        (Rejected("no box"), State.FAILED, "failed", "rejected", False),
        (Unknown("cut"), State.DEFERRED, "unanswered", "unknown", True),
    ],
)
def test_each_outcome_has_its_state_its_fact_and_its_verdict(
    bench: Bench, outcome: Outcome, state: State, event: str, verdict: str, counts: bool
) -> None:
    bench.outcome = lambda _: outcome
    receipt = bench.send()

    done = bench.run()

    stored = bench.delivery(receipt)
    assert done == {state.value: 1}
    assert stored.state is state
    assert bench.events(receipt) == ["accepted", event]
    assert verdicts(bench, receipt) == [(1, verdict, counts)]
    assert stored.ref == ("ref-1" if state is State.SENT else None)


def test_a_failure_says_why_and_when_it_is_tried_again(bench: Bench) -> None:
    bench.outcome = lambda _: Retry("busy", after_ms=HOUR)
    receipt = bench.send()
    bench.run()

    stored = bench.delivery(receipt)
    assert (stored.due_at, stored.reason) == (START + HOUR, "busy")
    assert (stored.rule, stored.held, stored.tries) == (None, False, 1)
    assert facts(bench, receipt, "retry") == [{"reason": "busy", "retry_at": START + HOUR}]
    bench.at(HOUR)
    assert facts(bench, receipt, "retry")[1]["attempt"] == 2


def test_a_change_of_the_rules_does_not_hurry_a_retry(bench: Bench) -> None:
    bench.outcome = lambda _: Retry("busy", after_ms=HOUR)
    receipt = bench.send()
    bench.run()
    bench.rule("other", "5/day")

    assert bench.delivery(receipt).due_at == START + HOUR


def test_the_last_failure_is_final(make_bench: Callable[[Settings], Bench]) -> None:
    retry = RetryPolicy(base_ms=SECOND, cap_ms=SECOND, tries_max=3)
    bench = make_bench(Settings(retry=retry))
    bench.outcome = lambda _: Retry("busy")
    receipt = bench.send()
    for second in range(5):
        bench.at(second * SECOND)

    stored = bench.delivery(receipt)
    assert (stored.state, stored.tries, stored.attempts) == (State.FAILED, 3, 3)
    assert stored.reason == "busy"
    assert len(bench.messages) == 3


def test_what_failed_stops_counting_and_what_is_unknown_does_not(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    for who, outcome in (("ada", Rejected("no")), ("bob", Unknown("cut")), ("cy", Retry("busy"))):
        bench.outcome = lambda _, outcome=outcome: outcome  # type: ignore[misc]
        bench.send(to=who, priority="low")
        bench.run()

    found = {who: bench.send(to=who, priority="high").decision for who in ("ada", "bob", "cy")}

    assert found == {"ada": "send", "bob": "defer", "cy": "send"}


def test_a_refusal_lets_the_next_in_line_go_at_once(bench: Bench) -> None:
    """Also one that had waited for a slot far away when the refusal came."""
    bench.rule("one", "1/hour")
    bench.send(text="bad")
    jobs = bench.claim()
    waiting = bench.send(text="next")
    assert waiting.deliver_at == START + HOUR

    bench.outcome = lambda message: Rejected("no") if message.text == "bad" else None
    bench.recording.record(bench.hand_over(jobs))
    bench.run()

    assert bench.texts == ["bad", "next"]
    assert bench.delivery(waiting).state is State.DELIVERED


def test_one_refusal_wakes_nobody_else(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send(to="bob")
    bench.run()
    bench.outcome = lambda _: Rejected("no")
    other = bench.send(to="bob")
    bench.send(to="ada")
    bench.run()

    assert bench.delivery(other).due_at == START + HOUR


# Late results --------------------------------------------------------------------------------


def test_a_late_result_is_a_fact_and_changes_no_state(bench: Bench) -> None:
    """A worker froze for longer than its lease; somebody else has sent it since."""
    receipt = bench.send()
    frozen = bench.hand_over(bench.claim())
    bench.clock.set(START + LEASE)
    bench.outcome = lambda _: Accepted(arrived=False)
    bench.run()
    assert bench.delivery(receipt).state is State.LOST

    done = bench.recording.record(frozen)

    assert done == {}
    assert bench.delivery(receipt).state is State.LOST
    assert bench.events(receipt)[-1] == "late"
    assert facts(bench, receipt, "late") == [{"result": "delivered"}]
    assert verdicts(bench, receipt) == [(1, "accepted", True), (2, "accepted", True)]


def test_a_late_refusal_frees_its_own_attempt_only(bench: Bench) -> None:
    receipt = bench.send()
    (job,) = bench.claim()
    bench.at(LEASE)

    bench.recording.record([Sent(job, Rejected("no"))])

    assert verdicts(bench, receipt) == [(1, "rejected", False), (2, "accepted", True)]
    assert bench.delivery(receipt).state is State.DELIVERED


def test_a_result_while_somebody_else_is_sending_it_again_is_late(bench: Bench) -> None:
    receipt = bench.send()
    (job,) = bench.claim()
    bench.clock.set(START + LEASE)
    (second,) = bench.claim()

    bench.recording.record([Sent(job, Rejected("no"))])
    assert bench.delivery(receipt).state is State.SENDING
    bench.recording.record([Sent(second, Accepted())])
    assert bench.delivery(receipt).state is State.SENT


def test_a_late_result_among_others_touches_only_its_own(bench: Bench) -> None:
    slow = bench.send(to="slow")
    (job,) = bench.claim()
    bench.at(LEASE)
    quick = bench.send(to="quick")
    (other,) = bench.claim()

    done = bench.recording.record([Sent(job, Accepted()), Sent(other, Accepted())])

    assert done == {"sent": 1}
    assert bench.events(slow)[-1] == "late"
    assert bench.events(quick)[-1] == "sent"


# Digests -------------------------------------------------------------------------------------


def digest_of_three(bench: Bench, type_: str = "news") -> tuple[Receipt, Receipt, Receipt]:
    """Three that are due as one message, with the answer still to be set."""
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send(type_, text="first")
    bench.run()
    a, b, c = (bench.send(type_, text=text) for text in ("<a>", "<b>", "<c>"))
    return a, b, c


@pytest.mark.parametrize("arrived", [None, True, False])
def test_who_went_out_in_a_digest_is_digested(bench: Bench, arrived: bool | None) -> None:
    found = digest_of_three(bench)
    bench.outcome = lambda _: Accepted(arrived=arrived)

    bench.at(HOUR)

    head, *members = (bench.delivery(r) for r in found)
    assert len(bench.messages) == 2
    assert head.state in (State.SENT, State.DELIVERED, State.LOST)
    assert [m.state for m in members] == [State.DIGESTED] * 2
    assert {m.digest_id for m in members} == {head.id}
    assert bench.events(found[1]) == ["deferred", "digested"]
    assert bench.insight.why(found[2].delivery_id or "").decision == "digest"


@pytest.mark.parametrize("outcome", [Retry("busy", after_ms=HOUR), Unknown("cut")])
def test_a_digest_that_failed_comes_back_as_one_message(bench: Bench, outcome: Outcome) -> None:
    found = digest_of_three(bench)
    bench.outcome = lambda _: outcome
    bench.at(HOUR)
    assert {bench.delivery(r).state for r in found} == {State.DEFERRED}
    assert len({bench.delivery(r).due_at for r in found}) == 1

    bench.outcome = None
    for hours in range(2, 5):
        bench.at(hours * HOUR)

    assert len(bench.messages) == 3
    assert [m.id for m in bench.messages[1:]] == [found[0].delivery_id] * 2
    assert bench.texts[2] == bench.texts[1]
    assert {bench.delivery(r).state for r in found} == {State.DELIVERED, State.DIGESTED}


@pytest.mark.parametrize("outcome", [Retry("busy"), Unknown("cut")])
def test_what_was_tried_before_its_digest_does_not_count_against_the_others_in_it(
    make_bench: Callable[[Settings], Bench], outcome: Outcome
) -> None:
    bench = make_bench(Settings(retry=RetryPolicy(tries_max=2, crashes_max=2)))
    found = digest_of_three(bench)
    bench.clock.set(START + HOUR)
    (job,) = bench.claim()
    job.delivery.tries = job.delivery.crashes = 1  # as if it had gone alone before

    bench.recording.record([Sent(job, outcome)])

    head, *members = (bench.delivery(r) for r in found)
    assert head.state is State.FAILED
    assert [m.state for m in members] == [State.DEFERRED] * 2
    assert {m.tries + m.crashes for m in members} == {1}
    assert len({m.due_at for m in members}) == 1
    bench.at(DAY)
    assert bench.texts[-1].count("<") == 2
    assert [bench.delivery(r).state for r in found] == [
        State.FAILED, State.DELIVERED, State.DIGESTED,
    ]  # fmt: skip


def test_who_may_go_once_is_held_alone_in_a_digest_of_others(bench: Bench) -> None:
    bench.type("code", on_ambiguous="hold")
    bench.rule("digest", "1/hour", on_limit="digest")
    bench.send()
    bench.run()
    news, code = bench.send("news"), bench.send("code")
    bench.outcome = lambda _: Unknown("cut")
    bench.at(HOUR)

    assert (bench.delivery(news).state, bench.delivery(code).state) == (
        State.DEFERRED, State.UNKNOWN,
    )  # fmt: skip


def test_a_digest_that_is_refused_fails_as_a_whole(bench: Bench) -> None:
    found = digest_of_three(bench)
    bench.outcome = lambda _: Rejected("no")
    bench.at(HOUR)

    assert {bench.delivery(r).state for r in found} == {State.FAILED}
    assert {bench.delivery(r).reason for r in found} == {"no"}
    assert [bench.events(r)[-1] for r in found] == ["failed"] * 3
    assert facts(bench, found[1], "failed") == [{"digest": found[0].delivery_id}]


def test_a_digest_that_may_go_once_is_held_as_a_whole(bench: Bench) -> None:
    bench.type("code", on_ambiguous="hold")
    found = digest_of_three(bench, "code")
    bench.outcome = lambda _: Unknown("cut")
    bench.at(HOUR)

    assert {bench.delivery(r).state for r in found} == {State.UNKNOWN}


def test_a_digest_counts_once(bench: Bench) -> None:
    digest_of_three(bench)
    bench.at(HOUR)

    with bench.store.reading() as reader:
        assert [entry.at - START for entry in reader.history(["ada"], 0)["ada"]] == [0, HOUR]


def test_a_late_result_of_a_digest_changes_none_of_its_members(bench: Bench) -> None:
    found = digest_of_three(bench)
    bench.clock.set(START + HOUR)
    (job,) = bench.claim()
    bench.at(3 * HOUR)
    states = [bench.delivery(r).state for r in found]

    assert bench.recording.record([Sent(job, Rejected("no"))]) == {}

    assert [bench.delivery(r).state for r in found] == states
    assert [bench.events(r)[-1] for r in found] == ["late"] * 3


# Spread --------------------------------------------------------------------------------------


def test_jitter_is_the_same_for_one_attempt_and_spreads_over_many(quick: Bench) -> None:
    rows = [quick.delivery(quick.send(to=f"p{n}")) for n in range(200)]
    drawn = [jitter(row) for row in rows]

    assert drawn == [jitter(row) for row in rows]
    assert all(0 <= number < 1 for number in drawn)
    assert len(set(drawn)) == 200
    assert 0.4 < sum(drawn) / 200 < 0.6
