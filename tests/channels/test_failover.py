"""Two mail servers behind one channel: mail gets through, and nobody gets it twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from smtp_cases import QUICK, SENDER, message, messages

from tactful import Tactful
from tactful.channels.breaker import BreakerPolicy, Health
from tactful.channels.failover import FailoverChannel
from tactful.channels.smtp import SmtpChannel
from tactful.core.model import (
    PERMIT_ENDED,
    SECOND,
    Accepted,
    Message,
    NotificationType,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from tactful.runtime.clock import ManualClock
from tactful.testing.servers.process import free_port
from tactful.testing.smtp_sink import Envelope, Fault, SmtpSink

PAUSE = BreakerPolicy().pause_ms
TAKEN = "2.0.0 accepted"


class Pair:
    """A channel over two servers, with a clock of its own.

    With `impatient` the first server is not waited for: the tests in which it says nothing.
    """

    def __init__(
        self,
        *ports: int,
        clock: ManualClock | None = None,
        impatient: bool = False,
        **options: Any,
    ) -> None:
        self.clock = clock or ManualClock(5_000)
        self.channel = FailoverChannel(
            "email",
            [
                SmtpChannel(
                    host="127.0.0.1",
                    port=port,
                    sender=SENDER,
                    timeouts=QUICK if impatient and name == "first" else None,
                    name=name,
                    **options,
                )
                for name, port in zip(("first", "second"), ports, strict=True)
            ],
            clock=self.clock.now,
        )

    def send(self, *given: Message) -> list[Outcome]:
        return self.channel.send(given)

    @property
    def health(self) -> list[Health]:
        return list(self.channel.health.values())


@pytest.fixture
def pair() -> Iterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def make(*sinks: SmtpSink, **options: Any) -> Pair:
        made.append(Pair(*(sink.port for sink in sinks), **options))
        return made[-1]

    yield make
    for one in made:
        one.channel.close()


def recipients(*sinks: SmtpSink) -> Counter[str]:
    return Counter(got.rcpt_tos[0] for sink in sinks for got in sink.messages)


def message_id(data: bytes) -> bytes:
    return data.split(b"\r\nMessage-ID: ")[1].split(b"\r\n")[0]


def always(fault: Fault) -> Callable[[int, Envelope], Fault]:
    return lambda number, envelope: fault


# Getting through ----------------------------------------------------------------------------------


def test_while_all_is_well_the_first_gets_everything(pair):
    with SmtpSink() as first, SmtpSink() as second:
        assert pair(first, second).send(*messages(20)) == [Accepted(f"first: {TAKEN}")] * 20
        assert (len(first.messages), len(second.messages)) == (20, 0)


def test_a_server_that_refuses_connections_holds_up_nothing(pair):
    with SmtpSink(port=free_port()) as first, SmtpSink() as second:
        first.close()
        one = pair(first, second)
        for number in range(10):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health == [Health.OPEN, Health.CLOSED]
        assert recipients(second) == Counter(f"u{number}@example.org" for number in range(10))


@pytest.mark.parametrize("stage", ["greeting", "ehlo"])
@pytest.mark.parametrize("action", [Fault.stall, Fault.close, Fault.reset])
def test_a_server_that_says_nothing_is_left_alone(pair, stage, action):
    with SmtpSink(session_faults=lambda _: action(stage)) as first, SmtpSink() as second:
        one = pair(first, second, impatient=True)
        for number in range(7):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health[0] is Health.OPEN
        assert first.sessions == BreakerPolicy().least, "after that nobody waited for it"


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize("action", [Fault.stall, Fault.close])
def test_a_server_that_goes_away_under_each_mail_is_left_alone(pair, stage, action):
    """That counts as a try of the message, and as a failure of the server too."""
    with SmtpSink(faults=always(action(stage))) as first, SmtpSink() as second:
        one = pair(first, second, impatient=True)
        for number in range(6):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health == [Health.OPEN, Health.CLOSED]


@pytest.mark.parametrize("stage", ["greeting", "mail", "rcpt", "dot"])
def test_a_server_that_closes_for_now_is_left_alone(pair, stage):
    fault = Fault.reply(stage, "421 4.3.2 closing")
    options = (
        {"session_faults": lambda _: fault} if stage == "greeting" else {"faults": always(fault)}
    )
    with SmtpSink(**options) as first, SmtpSink() as second:
        one = pair(first, second)
        for number in range(6):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health == [Health.OPEN, Health.CLOSED]
        assert set(recipients(first, second).values()) == {1}


def test_a_server_that_does_not_let_us_in_is_left_alone(pair):
    with SmtpSink(auth=("ann", "other")) as first, SmtpSink(auth=("ann", "x")) as second:
        one = pair(first, second, username="ann", password="x")
        for number in range(6):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health == [Health.OPEN, Health.CLOSED]


# Coming back --------------------------------------------------------------------------------------


def test_the_first_gets_the_mail_again_once_it_is_back(pair):
    with SmtpSink(port=free_port()) as first, SmtpSink() as second:
        first.close()
        one = pair(first, second)
        one.send(*messages(1))
        for number in range(1, 8):
            one.send(message(number))
        assert one.health[0] is Health.OPEN
        with SmtpSink(port=first.port) as back:
            one.clock.advance(PAUSE - 1)
            assert one.send(message(10)) == [Accepted(f"second: {TAKEN}")]

            one.clock.advance(1)
            found = one.send(*[message(number) for number in range(20, 30)])
            assert found[:3] == [Accepted(f"first: {TAKEN}")] * 3, "the probe, and no more"
            assert found[3:] == [Accepted(f"second: {TAKEN}")] * 7
            assert one.health == [Health.CLOSED, Health.CLOSED]

            assert one.send(*messages(5)) == [Accepted(f"first: {TAKEN}")] * 5
            assert back.violations == second.violations == []


def test_a_server_that_stays_away_is_probed_less_and_less(pair):
    with SmtpSink(session_faults=lambda _: Fault.close("greeting")) as first, SmtpSink() as second:
        one = pair(first, second)
        probes = []
        seen = 0
        for _ in range(1_000):
            assert one.send(message(1)) == [Accepted(f"second: {TAKEN}")]
            if first.sessions > seen:
                seen = first.sessions
                probes.append(one.clock.now())
            one.clock.advance(SECOND)
        gaps = [later - earlier for earlier, later in pairwise(probes)]
        assert gaps == [SECOND] * 4 + [10_000, 20_000, 40_000, 80_000, 160_000, 320_000]


def test_when_nobody_answers_the_mail_waits_for_the_next_probe(pair):
    with SmtpSink(port=free_port()) as first, SmtpSink(port=free_port()) as second:
        first.close()
        second.close()
        one = pair(first, second)
        for number in range(5):
            (found,) = one.send(message(number))
            assert isinstance(found, Retry)
            assert not found.counted
            assert found.why.startswith("first: no session: ")
            assert "; second: no session: " in found.why
        one.clock.advance(3_000)

        assert one.send(message(9)) == [
            Retry("left alone for now: first, second", after_ms=PAUSE - 3_000, counted=False)
        ]
        with SmtpSink(port=second.port) as back:
            one.clock.advance(PAUSE)
            # A probe that is served opens the way for the rest of the same call.
            found = one.send(*messages(9))
            assert found == [Accepted(f"second: {TAKEN}")] * 9
            assert len(back.messages) == 9


# Never twice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("action", [Fault.stall, Fault.close, Fault.reset])
def test_what_may_have_arrived_is_handed_to_nobody_else(pair, action, accepted):
    script = lambda n, _: action("dot", accepted=accepted) if n == 1 else None  # noqa: E731
    with SmtpSink(faults=script) as first, SmtpSink() as second:
        one = pair(first, second, impatient=action == Fault.stall)
        found = one.send(*messages(4))

        assert isinstance(found[1], Unknown)
        assert found[1].why.startswith("first: no answer")
        assert found[2:] == [Accepted(f"second: {TAKEN}")] * 2, "these were not begun"
        assert "u1@example.org" not in recipients(second)
        assert set(recipients(first, second).values()) == {1}


def test_a_server_that_never_answers_the_end_of_data_is_left_alone(pair):
    with SmtpSink(faults=always(Fault.stall("dot"))) as first, SmtpSink() as second:
        one = pair(first, second, impatient=True)
        for number in range(5):
            (found,) = one.send(message(number))
            assert isinstance(found, Unknown)
        assert one.health[0] is Health.OPEN
        assert one.send(message(9)) == [Accepted(f"second: {TAKEN}")]
        assert recipients(first, second) == Counter(["u9@example.org"])


@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_each_mail_arrives_once_or_is_in_doubt(pair, seed):
    """Two servers with faults of all kinds and several threads; nothing is retried in between."""

    def script(server: str) -> Callable[[int, Envelope], Fault | None]:
        def faults(number: int, envelope: Envelope) -> Fault | None:
            draw = random.Random(f"{seed} {server} {number}")
            if draw.random() > 0.2:
                return None
            stage = draw.choice(("mail", "rcpt", "data", "dot"))
            make = draw.choice(
                (
                    Fault.close,
                    Fault.reset,
                    lambda stage: Fault.close("dot", accepted=True),
                    lambda stage: Fault.reply(stage, "421 bye"),
                    lambda stage: Fault.reply(stage, "451 later"),
                    lambda stage: Fault.reply(stage, "550 no"),
                )
            )
            return make(stage)

        return faults

    print("seed", seed)
    with SmtpSink(faults=script("a")) as first, SmtpSink(faults=script("b")) as second:
        one = pair(first, second)
        batches = [[message(10 * batch + n) for n in range(10)] for batch in range(40)]

        def send(batch: Sequence[Message]) -> list[Outcome]:
            one.clock.advance(2 * SECOND)
            return one.channel.send(batch)

        with ThreadPoolExecutor(one.channel.concurrency) as pool:
            outcomes = list(pool.map(send, batches))
        arrived = recipients(first, second)
        kinds = Counter()
        for batch, found in zip(batches, outcomes, strict=True):
            for given, outcome in zip(batch, found, strict=True):
                kinds[type(outcome)] += 1
                times = arrived[given.address]
                if isinstance(outcome, Accepted):
                    assert times == 1
                elif isinstance(outcome, Unknown):
                    assert times <= 1
                else:
                    assert times == 0, outcome
        assert kinds[Accepted] > 50
        assert first.violations == second.violations == []


@pytest.mark.parametrize(("ambiguous", "copies"), [("hold", 0), ("retry", 1)])
def test_only_the_engine_sends_once_more_what_is_in_doubt(ambiguous, copies):
    """With `hold` nobody gets a second copy; with `retry` it has the same Message-ID."""
    clock = ManualClock(1_700_000_000_000)
    gone = always(Fault.close("dot", accepted=True))
    with SmtpSink(faults=gone) as first, SmtpSink() as second:
        one = Pair(first.port, second.port, clock=clock)
        app = Tactful("memory://", channels=[one.channel], clock=clock)
        app.types.put(NotificationType("code", on_ambiguous=ambiguous))
        for number in range(8):
            app.send(type="code", to=f"u{number}@example.org", text="x")
        app.tick()
        assert recipients(first, second) == Counter(f"u{n}@example.org" for n in range(8))
        first.close()
        for _ in range(6):
            clock.advance(3_600 * SECOND)
            app.tick()
        app.close()

        assert first.messages
        for got in first.messages:
            assert recipients(second)[got.rcpt_tos[0]] == copies
        ids = {message_id(got.data) for got in (*first.messages, *second.messages)}
        assert len(ids) == 8


# What is no reason --------------------------------------------------------------------------------


def test_a_rejection_is_final_and_says_nothing_about_the_server(pair):
    nobody = always(Fault.reply("rcpt", "550 5.1.1 nobody"))
    with SmtpSink(faults=nobody) as first, SmtpSink() as second:
        one = pair(first, second)
        for number in range(20):
            assert one.send(message(number)) == [
                Rejected("first: RCPT: 550 5.1.1 nobody", "hard", "5.1.1")
            ]
        assert one.health == [Health.CLOSED, Health.CLOSED]
        assert second.sessions == 0


def test_a_mail_that_one_server_defers_is_offered_to_the_next_and_tells_nothing(pair):
    """451 is about the message: the second may take it, and the first stays first."""
    later = always(Fault.reply("rcpt", "451 4.7.1 greylisted"))
    with SmtpSink(faults=later) as first, SmtpSink() as second:
        one = pair(first, second)
        for number in range(20):
            assert one.send(message(number)) == [Accepted(f"second: {TAKEN}")]
        assert one.health[0] is Health.CLOSED


def test_when_both_defer_it_the_reasons_of_both_are_told_and_the_try_counts(pair):
    later = always(Fault.reply("rcpt", "451 4.7.1 later"))
    with SmtpSink(faults=later) as first, SmtpSink(faults=later) as second:
        why = "first: RCPT: 451 4.7.1 later; second: RCPT: 451 4.7.1 later"
        assert pair(first, second).send(message(1)) == [Retry(why, counted=True)]


def test_a_server_that_hangs_up_after_some_mails_is_not_given_up(pair):
    """Many allow so and so many for one connection: what they leave behind is one failure."""
    seen = Counter()

    def limit(number: int, envelope: Envelope) -> Fault | None:
        if not envelope.rcpt_tos:
            seen[envelope.session] += 1
        return Fault.reply("mail", "421 4.7.0 too many") if seen[envelope.session] > 3 else None

    with SmtpSink(faults=limit) as first, SmtpSink() as second:
        one = pair(first, second)
        for batch in range(10):
            found = one.send(*[message(20 * batch + n) for n in range(20)])
            assert all(isinstance(outcome, Accepted) for outcome in found)
        assert one.health == [Health.CLOSED, Health.CLOSED]
        assert set(recipients(first, second).values()) == {1}


def test_a_hopeless_address_uses_up_no_server(pair):
    with SmtpSink() as first, SmtpSink() as second:
        one = pair(first, second)
        for _ in range(20):
            (found,) = one.send(message(1, address="no\r\nsuch"))
            assert isinstance(found, Rejected)
        assert first.sessions == second.sessions == 0
        assert one.health == [Health.CLOSED, Health.CLOSED]


def test_a_permit_that_ended_is_no_reason_to_ask_another_server(pair):
    """What the same connection would have carried after it goes over the next one."""
    with SmtpSink() as first, SmtpSink() as second:
        one = pair(first, second)
        for number in range(10):
            late, after = (
                message(2 * number, may_go=lambda: False),
                message(2 * number + 1),
            )
            assert one.send(late, after) == [PERMIT_ENDED, Accepted(f"second: {TAKEN}")]
        assert one.health == [Health.CLOSED, Health.CLOSED]
        assert set(recipients(first, second).values()) == {1}
        assert first.messages == []


def test_a_permit_that_ends_while_the_first_server_is_waited_for_ends_for_the_second(pair):
    with SmtpSink(port=free_port()) as first, SmtpSink() as second:
        first.close()
        assert pair(first, second).send(message(1, may_go=lambda: False)) == [PERMIT_ENDED]
        assert second.messages == []
