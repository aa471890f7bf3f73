"""The e-mail channel: what arrives, what is kept open, what a refusal means."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from smtp_cases import QUICK, SENDER, message, messages, only_second

from tactful.channels.address import parse_email
from tactful.channels.mime import MailWriter
from tactful.channels.smtp import SmtpChannel
from tactful.channels.smtp.delivery import Mail, StaleError, deliver
from tactful.channels.smtp.protocol import Server, connect
from tactful.core.model import PERMIT_ENDED, Accepted, Rejected, Retry
from tactful.testing.smtp_sink import Fault, SmtpSink


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("ehlo", [True, False])
def test_mail_arrives_as_it_was_written(channel, pipelining, ehlo):
    with SmtpSink(pipelining=pipelining, ehlo=ehlo) as sink:
        sent = messages(20)
        assert channel(sink).send(sent) == [Accepted(ref="2.0.0 accepted")] * 20
        writer = MailWriter(SENDER)
        for given_, got in zip(sent, sink.messages, strict=True):
            assert got.mail_from == "tactful@example.org"
            assert got.rcpt_tos == (given_.address,)
            assert got.data == writer.write(given_, parse_email(given_.address, "address"))
        # No EHLO means no PIPELINING: the sink notes whoever does it all the same.
        assert sink.violations == []


def test_a_message_costs_one_write_of_its_own(channel):
    class Counting:
        def __init__(self, wire: Any) -> None:
            self.wire, self.writes = wire, 0

        def write(self, *given: Any) -> bool | None:
            self.writes += 1
            written: bool | None = self.wire.write(*given)
            return written

        def __getattr__(self, name: str) -> Any:
            return getattr(self.wire, name)

    with SmtpSink() as sink:
        session = connect(Server(sink.host, sink.port))
        session.wire = counting = Counting(session.wire)
        mails = [Mail("a@example.org", f"u{n}@example.org", b"x\r\n") for n in range(10)]
        deliver(session, mails)
        assert counting.writes == 11
        session.close()


def test_nothing_to_send_touches_no_server(channel):
    with SmtpSink() as sink:
        assert channel(sink).send([]) == []
        assert sink.sessions == 0


def test_a_kept_connection_is_used_again(channel):
    with SmtpSink() as sink:
        one = channel(sink)
        for _ in range(5):
            one.send(messages(3))
        assert len(sink.messages) == 15
        assert sink.sessions == 1


@pytest.mark.parametrize("seen", [True, False])
def test_a_stale_connection_is_replaced_without_a_trace(channel, seen):
    with SmtpSink() as sink:
        one = channel(sink)
        one.send(messages(1))
        if seen:
            sink.drop_connections()
        else:  # closes only when spoken to, so that nothing can be noticed before
            sink.faults = lambda n, e: Fault.close("mail") if e.session == 1 else None
        assert one.send(messages(3)) == [Accepted(ref="2.0.0 accepted")] * 3
        assert sink.sessions == 2
        assert len(sink.messages) == 4


def test_a_farewell_on_a_kept_connection_opens_another(channel):
    with SmtpSink() as sink:
        one = channel(sink)
        one.send(messages(1))
        sink.faults = lambda n, e: Fault.reply("mail", "421 4.4.2 idle") if e.session == 1 else None
        assert one.send(messages(2)) == [Accepted(ref="2.0.0 accepted")] * 2


def test_a_stale_connection_is_replaced_only_once(channel):
    with SmtpSink() as sink:
        one = channel(sink)
        one.send(messages(1))
        sink.faults = lambda n, e: Fault.reset("mail")
        first, second = one.send(messages(2))
        assert isinstance(first, Retry)
        assert first.counted
        assert isinstance(second, Retry)
        assert not second.counted
        assert sink.sessions == 2


def test_a_session_that_went_stale_says_so_before_anything_was_taken():
    with SmtpSink() as sink:
        session = connect(Server(sink.host, sink.port))
        mail = Mail("a@example.org", "b@example.org", b"x\r\n")
        deliver(session, [mail])
        sink.drop_connections()
        with pytest.raises(StaleError):
            deliver(session, [mail])
        session.close()
        session.close()
        assert len(sink.messages) == 1


def test_many_threads_share_the_connections(channel):
    with SmtpSink() as sink:
        one = channel(sink, connections=4)
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda k: one.send([message(100 * k + n) for n in range(25)]), range(40))
            )
        assert [len(outcomes) for outcomes in found] == [25] * 40
        assert all(isinstance(outcome, Accepted) for outcomes in found for outcome in outcomes)
        assert len({got.rcpt_tos for got in sink.messages}) == 1000
        assert len(sink.messages) == 1000
        assert sink.sessions <= 4


def test_closing_lets_go_of_connections_until_the_next_message(channel):
    with SmtpSink() as sink:
        one = channel(sink)
        one.send(messages(1))
        one.close()
        one.close()
        (after,) = one.send(messages(1))
        assert isinstance(after, Accepted)
        assert len(sink.messages) == 2
        assert len({message.session for message in sink.messages}) == 2


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("451 4.3.0 later", Retry),
        ("452 4.2.2 full", Retry),
        ("550 5.1.1 no", Rejected),
        ("552 5.3.4 too big", Rejected),
        ("550 5.1.1 no\n550 5.1.1 really", Rejected),
    ],
)
def test_a_refusal_concerns_one_message_only(channel, pipelining, lenient, stage, text, expected):
    script = only_second(Fault.reply(stage, text))
    with SmtpSink(pipelining=pipelining, lenient_data=lenient, faults=script) as sink:
        found = channel(sink).send(messages(4))
        assert [type(outcome) for outcome in found] == [Accepted, expected, Accepted, Accepted]
        assert text[:3] in found[1].why
        assert getattr(found[1], "counted", True)
        recipients = [got.rcpt_tos[0] for got in sink.messages]
        assert recipients == ["u0@example.org", "u2@example.org", "u3@example.org"]
        assert sink.sessions == 1
        assert sink.violations == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_refusing_all_keeps_the_connection(channel, pipelining):
    script = lambda n, e: Fault.reply("rcpt", "550 no") if e.rcpt_tos else None  # noqa: E731
    with SmtpSink(pipelining=pipelining, lenient_data=True, faults=script) as sink:
        one = channel(sink)
        for _ in range(3):
            assert one.send(messages(3)) == [Rejected("RCPT: 550 no", "soft")] * 3
        assert sink.sessions == 1
        assert sink.messages == []


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_421_ends_the_connection_and_uses_up_no_try(channel, pipelining, stage):
    script = only_second(Fault.reply(stage, "421 4.3.2 shutting down"))
    with SmtpSink(pipelining=pipelining, faults=script) as sink:
        one = channel(sink)
        first, *rest = one.send(messages(4))
        assert isinstance(first, Accepted)
        for outcome in rest:
            assert isinstance(outcome, Retry)
            assert not outcome.counted
        assert len(sink.messages) == 1
        sink.faults = None
        assert one.send(messages(1)) == [Accepted(ref="2.0.0 accepted")]
        assert sink.sessions == 2


@pytest.mark.parametrize("text", ["421 busy", "450 4.3.2 later", "554 5.7.0 not you"])
@pytest.mark.parametrize("stage", ["greeting", "ehlo"])
def test_a_server_that_does_not_want_us_costs_no_try(channel, text, stage):
    with SmtpSink(session_faults=lambda _: Fault.reply(stage, text)) as sink:
        for outcome in channel(sink).send(messages(3)):
            assert isinstance(outcome, Retry)
            assert not outcome.counted
            assert outcome.after_ms == (60_000 if text.startswith("5") else None)


@pytest.mark.parametrize("action", [Fault.close, Fault.reset, Fault.stall, Fault.trickle])
@pytest.mark.parametrize("stage", ["greeting", "ehlo"])
def test_no_session_costs_no_try(channel, action, stage):
    with SmtpSink(session_faults=lambda _: action(stage)) as sink:
        for outcome in channel(sink, timeouts=QUICK).send(messages(3)):
            assert isinstance(outcome, Retry)
            assert not outcome.counted


def test_nobody_listens(channel):
    with SmtpSink() as sink:
        one = channel(sink)
    (outcome,) = one.send(messages(1))
    assert isinstance(outcome, Retry)
    assert not outcome.counted
    assert "cannot connect" in outcome.why


def test_a_name_that_does_not_exist():
    one = SmtpChannel(host="mail.invalid", sender=SENDER)
    (outcome,) = one.send(messages(1))
    assert isinstance(outcome, Retry)
    assert not outcome.counted


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_permit_is_looked_at_right_before_the_dot(channel, size):
    """After it the server may take the message; before it, leaving the connection undoes all."""
    looks = []

    def until_the_dot():
        looks.append(1)
        return False

    with SmtpSink() as sink:
        late = message(1, text="x\n" * (size // 2), may_go=until_the_dot)
        outcomes = channel(sink).send([message(0), late, message(2)])

        assert [type(outcome) for outcome in outcomes] == [Accepted, Retry, Retry]
        assert outcomes[1] == PERMIT_ENDED
        assert len(looks) == 1
        assert len(sink.messages) == 1
