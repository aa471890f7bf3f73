"""The bounce address takes bounces, over SMTP and LMTP, and nothing else."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator

import pytest
from inbound_world import World
from mail_samples import POSTFIX, VACATION

from tactful import Tactful
from tactful.config.service import Inbound
from tactful.core.errors import RequestError, Unavailable
from tactful.core.model import Accepted
from tactful.inbound.listener import Listener
from tactful.testing import CaptureChannel

ADDRESS = "bounces@shop.example"
Connect = Callable[[], smtplib.SMTP]


@pytest.fixture(params=["smtp", "lmtp"])
def connect(request: pytest.FixtureRequest, world: World) -> Iterator[Connect]:
    kind = {"smtp": smtplib.SMTP, "lmtp": smtplib.LMTP}[request.param]
    made: list[smtplib.SMTP] = []
    with Listener(world.app, Inbound(ADDRESS, port=None, protocol=request.param)) as listener:

        def connected() -> smtplib.SMTP:
            made.append(kind("127.0.0.1", listener.port, timeout=30))
            return made[-1]

        yield connected
        for one in made:
            one.close()


def bounce(delivery_id: str) -> bytes:
    text = POSTFIX.format(id=delivery_id, action="failed", status="5.1.1", reply="550 5.1.1 nobody")
    return text.replace("\n", "\r\n").encode()


def test_a_bounce_by_mail_has_its_effect_before_it_is_answered(
    world: World, connect: Connect
) -> None:
    delivery_id = world.sent()

    assert connect().sendmail("", [ADDRESS], bounce(delivery_id)) == {}

    assert world.state(delivery_id) == "bounced"
    assert world.reasons() == [("all", "hard bounce 5.1.1")]


def test_the_same_mail_again_is_taken_and_changes_nothing(world: World, connect: Connect) -> None:
    delivery_id = world.sent()
    client = connect()
    client.sendmail("", [ADDRESS], bounce(delivery_id))
    world.app.recipients.unsuppress("ada@example.org")

    client.sendmail("", [ADDRESS], bounce(delivery_id))

    assert world.reasons() == []


def test_the_return_address_of_one_message_says_which_it_was(
    world: World, connect: Connect
) -> None:
    delivery_id = world.sent()
    mail = bounce(delivery_id).replace(f"<{delivery_id}@".encode(), b"<elsewhere@")

    connect().sendmail("", [f"Bounces+{delivery_id}@SHOP.example"], mail)

    assert world.state(delivery_id) == "bounced"


@pytest.mark.parametrize(
    "address",
    [
        "hello@shop.example",
        "bounces@other.example",
        "bounces",
        "postmaster",
        "x+bounces@shop.example",
    ],
)
def test_mail_for_anybody_else_is_refused(connect: Connect, address: str) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        connect().sendmail("", [address], b"Subject: Hi\r\n\r\nHi\r\n")

    assert refused.value.recipients[address][0] == 550


def test_one_recipient_is_taken_at_a_time(connect: Connect) -> None:
    client = connect()
    client.ehlo_or_helo_if_needed()
    client.mail("")

    assert client.rcpt(ADDRESS)[0] == 250
    assert client.rcpt("bounces+x@shop.example")[0] == 452


def test_a_reply_of_a_person_is_taken_and_forgotten(world: World, connect: Connect) -> None:
    delivery_id = world.sent()

    assert connect().sendmail("", [ADDRESS], VACATION.format(id=delivery_id)) == {}

    assert world.names(delivery_id) == ["accepted", "sent"]
    assert world.names() == ["type.unknown"]


def test_a_store_that_is_out_of_reach_has_the_mail_come_again(world: World) -> None:
    app = Tactful(
        "memory://", channels=[CaptureChannel("email", lambda _: Accepted(), address_kind="email")]
    )
    with Listener(app, Inbound(ADDRESS)) as listener:
        app.close()
        app.store.transaction = _out_of_reach  # type: ignore[method-assign]
        with smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as client:
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail("", [ADDRESS], bounce("a" * 32))
            assert refused.value.smtp_code == 451


def _out_of_reach(**_: object) -> object:
    raise Unavailable("store: out of reach")


def test_a_port_that_is_taken_is_told(world: World) -> None:
    with Listener(world.app, Inbound(ADDRESS)) as listener:
        other = Listener(world.app, Inbound(ADDRESS, port=listener.port))
        with pytest.raises(Unavailable, match="cannot listen on"):
            other.start()
        other.stop()


def test_the_address_has_to_be_one(world: World) -> None:
    with pytest.raises(RequestError, match="inbound"):
        Listener(world.app, Inbound("no address"))


def test_a_mail_that_is_too_large_is_refused(world: World) -> None:
    with (
        Listener(world.app, Inbound(ADDRESS)) as listener,
        smtplib.SMTP("127.0.0.1", listener.port, timeout=30) as client,
    ):
        client.ehlo()
        assert client.esmtp_features["size"] == "33554432"
        assert client.mail("", ["size=33554433"])[0] == 552


def test_a_bounce_with_a_line_that_is_too_long_is_taken(world: World, connect: Connect) -> None:
    delivery_id = world.sent()
    mail = bounce(delivery_id).replace(b"It works.", b"It works. " * 500)

    connect().sendmail("", [ADDRESS], mail)

    assert world.state(delivery_id) == "bounced"
