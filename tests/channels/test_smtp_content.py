"""What the e-mail channel sends: limits of the server, addresses, data, and a foreign reader."""

import asyncio
import contextlib
import email
import email.policy
import random
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import given
from hypothesis import strategies as st
from smtp_cases import SENDER, message

from tactful.channels.smtp import SmtpChannel
from tactful.channels.smtp.delivery import Mail, deliver, stuff
from tactful.channels.smtp.protocol import Server, connect, parse_capabilities
from tactful.core.model import Accepted, Rejected
from tactful.testing.smtp_sink import SmtpSink


def test_a_message_over_the_server_limit_is_not_sent(channel):
    with SmtpSink(size=2_000) as sink:
        found = channel(sink).send([message(1), message(2, text="x " * 2_000), message(3)])
        assert [type(outcome) for outcome in found] == [Accepted, Rejected, Accepted]
        assert "2000" in found[1].why


@pytest.mark.parametrize("pipelining", [True, False])
def test_an_address_beyond_ascii(channel, pipelining):
    with SmtpSink(pipelining=pipelining) as sink:
        sent = [message(1, address="jürgen@example.org"), message(2)]
        assert channel(sink).send(sent) == [Accepted(ref="2.0.0 accepted")] * 2
        assert sink.messages[0].rcpt_tos == ("jürgen@example.org",)
    with SmtpSink(smtputf8=False) as sink:
        first, second = channel(sink).send(sent)
        assert isinstance(first, Rejected)
        assert "SMTPUTF8" in first.why
        assert isinstance(second, Accepted)


def test_content_beyond_ascii_needs_8bitmime():
    mail = Mail("a@example.org", "b@example.org", "ü\r\n".encode())
    for eight_bit, expected in ((True, Accepted), (False, Rejected)):
        with SmtpSink(eight_bit=eight_bit) as sink:
            session = connect(Server(sink.host, sink.port))
            (found,) = deliver(session, [mail])
            session.close()
            assert isinstance(found, expected)


def test_bad_addresses_and_content_concern_one_message_only(channel):
    with SmtpSink() as sink:
        found = channel(sink).send(
            [
                message(1),
                message(2, address="no address"),
                message(3, address="a@example.org>\r\nRCPT TO:<b@example.org"),
                message(4, subject="secret 4711\r\nBcc: b@example.org"),
                message(5),
            ]
        )
        kinds = [type(outcome) for outcome in found]
        assert kinds == [Accepted, Rejected, Rejected, Rejected, Accepted]
        assert "4711" not in repr(found)
        assert [got.rcpt_tos for got in sink.messages] == [
            ("u1@example.org",),
            ("u5@example.org",),
        ]


def test_an_unchecked_address_cannot_leave_its_command():
    with SmtpSink() as sink:
        session = connect(Server(sink.host, sink.port))
        with pytest.raises(ValueError, match="address"):
            deliver(session, [Mail("a@b", "b@c>\r\nRCPT TO:<d@e", b"x\r\n")])
        session.close()


def test_what_an_ehlo_offers():
    found = parse_capabilities(
        ["x PIPELINING", "size 0", "8bitmime", "AUTH=LOGIN", "AUTH plain XOAUTH2", "", "StartTLS"]
    )
    assert not found.pipelining
    assert found.takes_size
    assert found.size is None
    assert found.eight_bit
    assert found.starttls
    assert found.auth == {"LOGIN", "PLAIN", "XOAUTH2"}
    assert parse_capabilities(["x", "SIZE 12"]).size == 12
    assert parse_capabilities(["x", "SIZE many"]).size is None


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b"\r\n", b".\r\n"]), max_size=30))
def test_stuffed_data_ends_once_and_reads_back(parts: list[bytes]):
    data = b"".join(parts)
    wire = stuff(data)
    end = b"\r\n" + wire
    assert end.index(b"\r\n.\r\n") == len(end) - 5
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    read = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
    assert read == (data if data.endswith(b"\r\n") or not data else data + b"\r\n")


@pytest.mark.parametrize(
    "data", [b"a\nb\r\n", b"a\rb\r\n", b"a\n.\r\nb\r\n", b"\r\n.\r", b"\0\r\n", b"\n\r"]
)
def test_data_that_could_end_early_does_not_go_out(data):
    with pytest.raises(ValueError, match="data holds"):
        stuff(data)
    with SmtpSink() as sink:
        session = connect(Server(sink.host, sink.port))
        (found,) = deliver(session, [Mail("a@b.example", "c@d.example", data)])
        session.close()
        assert isinstance(found, Rejected)


class Keeping:
    """A handler for aiosmtpd that keeps what comes."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.got.append((envelope.rcpt_tos, envelope.original_content))
        return "250 kept"


@contextlib.contextmanager
def foreign_server(handler: Keeping) -> Iterator[int]:
    """aiosmtpd in a thread of its own; gives its port. (Its Controller cannot do with port 0.)"""
    started: Queue[tuple[int, Callable[[], object]]] = Queue()

    async def serve() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(
            lambda: SMTP(handler, hostname="foreign.example", loop=loop), "127.0.0.1", 0
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            started.put((port, lambda: loop.call_soon_threadsafe(over.set)))
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    port, stop = started.get(timeout=10)
    yield port
    stop()
    thread.join()


def test_mail_through_a_foreign_server_reads_back_equal():
    draw = random.Random(20_240_607)
    alphabet = "abc .\n\nüß漢字🙂=?_\t<>&\"'"
    sent = []
    for number in range(200):
        text = "".join(draw.choices(alphabet, k=draw.randrange(400)))
        subject = "".join(draw.choices(alphabet.replace("\n", "").replace("\t", ""), k=40)).strip()
        html = f"<p>{number} {text}</p>" if draw.random() < 0.5 else None
        sent.append(message(number, subject=subject, text=text, html=html))
    handler = Keeping()
    with foreign_server(handler) as port:
        one = SmtpChannel(host="127.0.0.1", port=port, sender=SENDER)
        assert one.send(sent) == [Accepted(ref="kept")] * 200
        one.close()
    for given_, (recipients, data) in zip(sent, handler.got, strict=True):
        assert recipients == [given_.address]
        read = email.message_from_bytes(data, policy=email.policy.default)
        assert read["Subject"] == given_.subject
        text = read.get_body(("plain",)).get_content().replace("\r\n", "\n")
        assert text.rstrip("\n") == given_.text.rstrip("\n")
        if given_.html is not None:
            html = read.get_body(("html",)).get_content().replace("\r\n", "\n")
            assert html.rstrip("\n") == given_.html.rstrip("\n")
