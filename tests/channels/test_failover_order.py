"""Failover over channels of any kind: order, reasons, probes, and what is no provider at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from smtp_cases import message, messages

from tactful.channels.breaker import BreakerPolicy
from tactful.channels.capture import CaptureChannel
from tactful.channels.failover import FailoverChannel
from tactful.core.errors import ConfigError
from tactful.core.model import Accepted, Message, Outcome, Retry, Unknown
from tactful.runtime.clock import ManualClock

PAUSE = BreakerPolicy().pause_ms


def captured(*outcomes: Callable[[Message], Outcome | None] | None, **options: Any):
    channels = [
        CaptureChannel(name, outcome)
        for name, outcome in zip("abcdef"[: len(outcomes)], outcomes, strict=True)
    ]
    clock = ManualClock(0)
    return channels, clock, FailoverChannel("pager", channels, clock=clock.now, **options)


def test_the_third_is_asked_where_two_cannot():
    away = lambda _: Retry("away", after_ms=700, counted=False)  # noqa: E731
    (_, _, third), _, channel = captured(away, away, None)

    assert channel.send([message(1)]) == [Accepted("c", arrived=True)]
    assert len(third.messages) == 1


def test_two_retries_wait_for_the_one_that_waits_less():
    short = lambda _: Retry("x", after_ms=500, counted=False)  # noqa: E731
    long = lambda _: Retry("y", after_ms=900, counted=True)  # noqa: E731
    unsaid = lambda _: Retry("z", counted=False)  # noqa: E731

    assert captured(short, long)[2].send([message(1)]) == [Retry("a: x; b: y", 500, True)]
    assert captured(long, unsaid)[2].send([message(1)]) == [Retry("a: y; b: z", None, True)]


def test_a_provider_that_raises_leaves_doubt_and_is_given_up(caplog):
    def broken(_: Message) -> Outcome:
        raise ValueError("no such field")

    (_, other), _, channel = captured(broken, None)
    for _ in range(5):
        assert channel.send([message(1)]) == [Unknown("a: raised ValueError: no such field")]
    assert channel.send([message(1)]) == [Accepted("b", arrived=True)]
    assert len(other.messages) == 1
    assert "channel pager: a is left alone for 10 s: raised ValueError" in caplog.text


class Forgetful(CaptureChannel):
    """Answers one message too few."""

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        return list(super().send(messages))[1:]


def test_a_provider_that_answers_too_little_leaves_doubt():
    channel = FailoverChannel(
        "pager", [Forgetful("a"), CaptureChannel("b")], clock=ManualClock(0).now
    )

    found = channel.send(messages(2))
    assert found == [Unknown("a: answered other than one outcome each")] * 2


def test_the_others_do_not_wait_for_the_answer_to_a_probe():
    order: list[str] = []
    health = [Retry("away", counted=False)]

    def first(given: Message) -> Outcome | None:
        order.append(f"a {given.recipient}")
        return health[0] if health else None

    (_, _), clock, channel = captured(first, lambda given: order.append(f"b {given.recipient}"))
    for _ in range(5):
        channel.send([message(0)])
    health.clear()
    order.clear()
    clock.advance(PAUSE)

    channel.send(messages(5))
    assert order == ["b u3", "b u4", "a u0", "a u1", "a u2"]


def test_what_happens_to_a_provider_is_logged(caplog):
    caplog.set_level(logging.INFO)
    health = [Retry("away", counted=False)]
    _, clock, channel = captured(lambda _: health[0] if health else None, None)
    for _ in range(6):
        channel.send([message(0)])
    health.clear()
    clock.advance(PAUSE)
    channel.send([message(0)])

    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "channel pager: a is left alone for 10 s: away",
        "channel pager: a is served again",
    ]


def test_it_asks_for_no_more_than_its_providers_take():
    first, second = CaptureChannel("a", concurrency=2, batch=7), CaptureChannel("b", concurrency=3)
    channel = FailoverChannel("pager", [first, second], clock=ManualClock(0).now)

    assert (channel.concurrency, channel.batch) == (3, 7)
    assert repr(channel) == f"<FailoverChannel pager: {first!r}, {second!r}>"


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        ([], r"failover\.providers: must be two or more, with different names \(got none\)"),
        ([CaptureChannel("a")], r"must be two or more, with different names \(got a\)"),
        ([CaptureChannel("a"), CaptureChannel("a")], r"\(got a, a\)"),
        (
            [CaptureChannel("a"), CaptureChannel("b", address_kind="email")],
            r"must take the same address_kind \(got a: None, b: email\)",
        ),
    ],
)
def test_providers_that_do_not_belong_together_are_refused(providers, says):
    with pytest.raises(ConfigError, match=says):
        FailoverChannel("pager", providers, clock=ManualClock(0).now)
