"""Handing over: a channel may do whatever it likes, every job has its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from engine_bench import MINUTE, START, Bench

from tactful.core.model import (
    PERMIT_ENDED,
    Accepted,
    Message,
    Outcome,
    Rejected,
    Retry,
    State,
    Unknown,
)
from tactful.engine.delivering import Sent, batches, deliver
from tactful.engine.dispatch import Job
from tactful.stores.memory import MemoryStore
from tactful.templates.library import Template

LEASE = 15 * MINUTE
PERMIT = MINUTE // 2


class Odd:
    """A channel that answers what it is told to answer."""

    name = "post"
    address_kind = None
    concurrency = 1
    batch = 10

    def __init__(self, answer: Callable[[Sequence[Message]], Any]) -> None:
        self.answer = answer

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        found: Sequence[Outcome] = self.answer(messages)
        return found

    def close(self) -> None:
        """Nothing is open."""


def jobs_for(bench: Bench, *people: str) -> list[Job]:
    for who in people:
        bench.send(to=who, text=who)
    return bench.claim()


def outcomes(bench: Bench, jobs: Sequence[Job], answer: Callable[[Any], Any]) -> list[Sent]:
    return deliver(jobs, Odd(answer), bench.composer, bench.book, bench.store)


def test_each_job_has_its_own_outcome_in_order(quick: Bench) -> None:
    def answer(messages: Sequence[Message]) -> list[Outcome]:
        return [Retry(message.text) for message in messages]

    jobs = jobs_for(quick, "a", "b", "c")

    assert outcomes(quick, jobs, answer) == [Sent(job, Retry(job.person.id)) for job in jobs]


def test_an_exception_leaves_it_unknown_how_far_it_came(
    quick: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(messages: Sequence[Message]) -> list[Outcome]:
        raise ZeroDivisionError("oops")

    found = outcomes(quick, jobs_for(quick, "a", "b"), answer)

    assert [sent.outcome for sent in found] == [
        Unknown("channel raised ZeroDivisionError: oops")
    ] * 2
    assert "channel post raised" in caplog.text


def ok(messages: Sequence[Message]) -> Iterator[Outcome]:
    return (Accepted() for _ in messages)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda messages: [], id="none at all"),
        pytest.param(lambda messages: [Accepted()] * (len(messages) - 1), id="one too few"),
        pytest.param(lambda messages: [Accepted()] * (len(messages) + 1), id="one too many"),
        pytest.param(lambda messages: None, id="nothing returned"),
        pytest.param(ok, id="a generator"),
        pytest.param(lambda messages: [None] * len(messages), id="no outcomes"),
        pytest.param(lambda messages: ["ok"] * len(messages), id="words"),
        pytest.param(lambda messages: [Accepted] * len(messages), id="a class"),
    ],
)
def test_a_wrong_answer_leaves_all_of_them_unknown_and_is_recorded(
    quick: Bench, answer: Callable[[Any], Any]
) -> None:
    jobs = jobs_for(quick, "a", "b", "c")

    found = outcomes(quick, jobs, answer)

    assert [sent.job for sent in found] == jobs
    quick.recording.record(found)
    assert {d.state for d in quick.deliveries()} <= {State.DEFERRED, State.SENT}
    if {d.state for d in quick.deliveries()} == {State.DEFERRED}:
        assert all(isinstance(sent.outcome, Unknown) for sent in found)


def test_what_cannot_be_rendered_is_rejected_and_holds_up_nobody(bench: Bench) -> None:
    bench.templates.put(Template("t", text="Dear {{ name }}"))
    bad = bench.send(to="a", template="t", text="", data={})
    good = bench.send(to="b", template="t", text="", data={"name": "Bob"})

    bench.run()

    assert bench.texts == ["Dear Bob"]
    assert bench.delivery(good).state is State.DELIVERED
    stored = bench.delivery(bad)
    assert stored.state is State.FAILED
    assert stored.reason is not None
    assert "template 't', text, line 1" in stored.reason


def test_a_channel_is_not_called_for_nothing(quick: Bench) -> None:
    quick.templates.put(Template("t", text="{{ missing }}"))
    quick.send(template="t", text="")

    def answer(messages: Sequence[Message]) -> list[Outcome]:
        raise AssertionError("nothing to send")

    (found,) = outcomes(quick, quick.claim(), answer)
    assert isinstance(found.outcome, Rejected)


@pytest.mark.parametrize(("size", "sizes"), [(2, [2, 2, 1]), (5, [5]), (100, [5]), (0, [1] * 5)])
def test_jobs_go_in_portions_of_what_the_channel_takes(
    quick: Bench, size: int, sizes: list[int]
) -> None:
    jobs = jobs_for(quick, *"abcde")
    quick.post.batch = size

    found = batches(jobs, quick.post)

    assert [len(portion) for portion in found] == sizes
    assert [job for portion in found for job in portion] == jobs


@pytest.mark.parametrize(
    ("jobs", "portions"),
    [(3, [3]), (5, [5]), (8, [5, 3]), (24, [6] * 4), (100, [20] * 5)],
)
def test_few_jobs_are_shared_out_among_the_lanes(
    quick: Bench, jobs: int, portions: list[int]
) -> None:
    """Five at least are worth a call, and no call takes more than its channel's batch."""
    quick.post.concurrency, quick.post.batch = 4, 20
    for number in range(jobs):
        quick.send(to=f"p{number}")

    assert [len(portion) for portion in batches(quick.claim(), quick.post)] == portions


def test_what_was_left_without_an_answer_before_goes_alone_and_last(quick: Bench) -> None:
    """One that breaks its channel takes no other down with it twice."""
    for who in ("a", "b"):
        quick.send(to=who)
    quick.vanish()
    quick.clock.set(START + LEASE)
    quick.send(to="c")
    quick.send(to="d")

    found = batches(quick.claim(), quick.post)

    assert [[job.person.id for job in portion] for portion in found] == [["c", "d"], ["a"], ["b"]]


def test_what_has_crashed_most_often_goes_last_of_all(quick: Bench) -> None:
    quick.send(to="often")
    quick.vanish()
    quick.clock.set(START + LEASE)
    quick.send(to="once")
    quick.vanish()
    quick.clock.set(START + 2 * LEASE)

    found = batches(quick.claim(), quick.post)

    assert [[job.person.id for job in portion] for portion in found] == [["once"], ["often"]]


def test_nothing_is_handed_over_that_cannot_be_marked_as_begun(quick: Bench) -> None:
    """It is tried again, and the failure is not its own."""
    jobs = jobs_for(quick, "a", "b")
    away = MemoryStore()
    away.close()

    found = deliver(jobs, quick.post, quick.composer, quick.book, away)

    assert quick.messages == []
    assert all(isinstance(sent.outcome, Retry) and not sent.outcome.counted for sent in found)
    quick.recording.record(found)
    assert {(d.state, d.tries) for d in quick.deliveries()} == {(State.DEFERRED, 0)}


def test_what_another_worker_has_taken_over_is_not_handed_over(bench: Bench) -> None:
    """A worker that stood still past its lease finds out before it touches the wire."""
    bench.send(to="a")
    stale = bench.claim()
    bench.clock.set(START + LEASE)
    taken = bench.claim()
    (late,) = deliver(stale, bench.post, bench.composer, bench.book, bench.store)
    (sent,) = deliver(taken, bench.post, bench.composer, bench.book, bench.store)

    assert isinstance(late.outcome, Retry)
    assert isinstance(sent.outcome, Accepted)
    assert len(bench.post.messages) == 1


def test_what_was_decided_too_long_ago_is_not_handed_over(bench: Bench) -> None:
    """However long the lease is: the rules hold at the wire but for the length of a permit."""
    bench.rule("one", "1/hour")
    bench.send(to="a")
    jobs = bench.claim()
    bench.running += PERMIT

    (late,) = deliver(jobs, bench.post, bench.composer, bench.book, bench.store)

    assert (late.outcome, bench.messages) == (PERMIT_ENDED, [])
    bench.recording.record([late])
    bench.run()
    assert len(bench.messages) == 1, "what was not handed over uses up no slot"


def test_a_permit_that_ends_on_the_way_keeps_the_rest_back(bench: Bench) -> None:
    """The channel looks again before each message."""
    jobs = jobs_for(bench, "a", "b", "c")

    def frozen(message: Message) -> Outcome | None:
        bench.running += PERMIT // 2 if message.recipient == "a" else PERMIT
        return None

    bench.outcome = frozen
    found = deliver(jobs, bench.post, bench.composer, bench.book, bench.store)

    assert [message.recipient for message in bench.messages] == ["a", "b"]
    assert found[2].outcome == PERMIT_ENDED


def test_what_must_not_be_sent_twice_goes_alone(quick: Bench) -> None:
    """A crash leaves only what had begun in doubt, and that is said of a portion as a whole."""
    quick.type("code", on_ambiguous="hold")
    for who in ("a", "b"):
        quick.send("code", to=who)
        quick.send("news", to=who)

    found = batches(quick.claim(), quick.post)

    assert [[job.delivery.type for job in portion] for portion in found] == [
        ["news", "news"],
        ["code"],
        ["code"],
    ]
