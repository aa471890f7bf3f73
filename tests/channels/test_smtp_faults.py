"""The e-mail channel when connections end: at every stage, in every way, and with lies."""

import random
import time
from typing import Any

import pytest
from smtp_cases import QUICK, SENDER, message, messages, only_second, scripted

from tactful.channels.smtp import SmtpChannel
from tactful.core.model import Accepted, Rejected, Retry, Unknown
from tactful.testing.smtp_sink import Envelope, Fault, SmtpSink


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("action", [Fault.close, Fault.reset, Fault.stall, Fault.trickle])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_the_end_before_the_data_is_no_delivery(channel, pipelining, action, stage):
    with SmtpSink(pipelining=pipelining, faults=only_second(action(stage))) as sink:
        first, second, third = channel(sink, timeouts=QUICK).send(messages(3))
        assert isinstance(first, Accepted)
        assert isinstance(second, Retry)
        assert second.counted
        assert isinstance(third, Retry)
        assert not third.counted
        assert len(sink.messages) == 1


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("action", [Fault.close, Fault.reset, Fault.stall, Fault.trickle])
@pytest.mark.parametrize("accepted", [True, False])
def test_the_end_after_the_dot_leaves_one_message_in_doubt(channel, pipelining, action, accepted):
    script = only_second(action("dot", accepted=accepted))
    with SmtpSink(pipelining=pipelining, faults=script) as sink:
        first, second, third = channel(sink, timeouts=QUICK).send(messages(3))
        assert isinstance(first, Accepted)
        assert isinstance(second, Unknown)
        assert isinstance(third, Retry)
        assert not third.counted
        assert len(sink.messages) == 1 + accepted


@pytest.mark.parametrize("action", [Fault.close, Fault.reset])
def test_a_long_message_that_breaks_off_is_not_in_doubt(channel, action):
    with SmtpSink(faults=only_second(action("body")), size=None) as sink:
        sent = [message(n, text="a long line of text\n" * 1_000_000) for n in range(3)]
        _, second, third = channel(sink).send(sent)
        assert isinstance(second, Retry)
        assert second.counted
        assert isinstance(third, Retry)
        assert not third.counted


@pytest.mark.parametrize("action", [Fault.close, Fault.reset, Fault.stall])
def test_a_short_message_that_breaks_off_is_in_doubt(channel, action):
    with SmtpSink(faults=only_second(action("body"))) as sink:
        _, second, _ = channel(sink, timeouts=QUICK).send(messages(3))
        assert isinstance(second, Unknown)


def test_a_refusal_in_the_middle_of_the_data_is_heard(channel):
    script = lambda n, _: Fault.reply("body", "421 4.3.1 no room")  # noqa: E731
    with SmtpSink(faults=script, size=None) as sink:
        (found,) = channel(sink).send([message(text="a long line of text\n" * 1_000_000)])
        # Where the reset overtakes the reply, the reason is lost, but never the verdict.
        assert isinstance(found, Retry)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("action", [Fault.stall, Fault.trickle])
def test_no_stall_is_longer_than_the_timeouts(channel, stage, action):
    with SmtpSink(faults=lambda n, e: action(stage)) as sink:
        began = time.monotonic()
        channel(sink, timeouts=QUICK).send(messages(1))
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_no_outcome_is_ever_untrue(channel, pipelining, seed):
    """Any faults in any order: accepted is there, refused and retried is not, doubt is rare."""
    faults = [
        make(stage)
        for stage in ("mail", "rcpt", "data", "body", "dot")
        for make in (
            Fault.reset,
            Fault.close,
            lambda stage: Fault.reply(stage, "421 bye"),
            lambda stage: Fault.reply(stage, "451 later"),
            lambda stage: Fault.reply(stage, "550 no"),
        )
        if stage != "body" or make in {Fault.reset, Fault.close}
    ]
    faults += [Fault.reset("dot", accepted=True), Fault.close("dot", accepted=True)]

    def script(number: int, envelope: Envelope) -> Fault | None:
        draw = random.Random(f"{seed} {number}")
        return draw.choice(faults) if draw.random() < 0.1 else None

    with SmtpSink(pipelining=pipelining, lenient_data=seed % 2 == 0, faults=script) as sink:
        one = channel(sink)
        outcomes: dict[str, Any] = {}
        for batch in range(40):
            sent = [message(25 * batch + n) for n in range(25)]
            for given_, outcome in zip(sent, one.send(sent), strict=True):
                outcomes[given_.address] = outcome
        taken = [got.rcpt_tos[0] for got in sink.messages]
        assert len(taken) == len(set(taken))
        assert sink.violations == []
        in_doubt = 0
        for address, outcome in outcomes.items():
            if isinstance(outcome, Accepted):
                assert address in taken
            elif isinstance(outcome, Unknown):
                in_doubt += 1
            else:
                assert address not in taken
        assert 0 < in_doubt <= sink.sessions
        assert sum(isinstance(outcome, Accepted) for outcome in outcomes.values()) > 100


EHLO_OK = b"250-x\r\n250 PIPELINING\r\n"


@pytest.mark.parametrize(
    ("turns", "expected", "counted"),
    [
        ([b"hello\r\n"], Retry, False),
        ([b"220 " + b"x" * 20_000], Retry, False),
        ([b"220 x\r\n", b"250-x\r\n" * 1000], Retry, False),
        ([b"220 x\r\n", b"250-x\r\n251 y\r\n"], Retry, False),
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n250 what\r\n"], Retry, True),
        ([b"220 x\r\n", EHLO_OK, b"354 what\r\n"], Retry, True),
        # The answer to the dot before the dot.
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n250 early\r\n"], Retry, True),
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n421 bye\r\n"], Retry, False),
        ([b"220 x\r\n", EHLO_OK, b"550 a\r\n250 b\r\n354 c\r\n"], Rejected, None),
        ([b"220 x\r\n", EHLO_OK, b"550 a\r\n"], Rejected, None),
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n", b"25\r\n"], Unknown, None),
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n", b"199 x\r\n"], Unknown, None),
        ([b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n", b"250\r\n"], Accepted, None),
    ],
)
def test_a_server_that_breaks_the_protocol(turns, expected, counted):
    thread, port = scripted(*turns)
    one = SmtpChannel(host="127.0.0.1", port=port, sender=SENDER, timeouts=QUICK)
    (found,) = one.send(messages(1))
    one.close()
    thread.join()
    assert isinstance(found, expected)
    assert getattr(found, "counted", None) == counted


def test_a_farewell_to_an_idle_connection_is_noticed():
    thread, port = scripted(
        b"220 x\r\n", EHLO_OK, b"250 a\r\n250 b\r\n354 c\r\n", b"250 ok\r\n421 idle\r\n"
    )
    one = SmtpChannel(host="127.0.0.1", port=port, sender=SENDER, timeouts=QUICK)
    assert one.send(messages(1)) == [Accepted(ref="ok")]
    (found,) = one.send(messages(1))
    assert isinstance(found, Retry)
    assert "cannot connect" in found.why
    thread.join()
    one.close()


@pytest.mark.parametrize("farewell", [b"421 bye\r\n", b"junk\r\n"])
def test_a_refusal_stands_whatever_follows_it(farewell):
    thread, port = scripted(b"220 x\r\n", EHLO_OK, b"250 a\r\n550 b\r\n554 c\r\n", farewell)
    one = SmtpChannel(host="127.0.0.1", port=port, sender=SENDER, timeouts=QUICK)
    first, second = one.send(messages(2))
    assert first == Rejected("RCPT: 550 b", "soft")
    assert isinstance(second, Retry)
    assert not second.counted
    thread.join()
    one.close()


def test_every_address_of_a_name_is_tried(channel):
    with SmtpSink() as sink:
        # Where the name has an IPv6 address too, nobody listens there.
        assert channel(sink, host="localhost").send(messages(1)) == [Accepted(ref="2.0.0 accepted")]
