"""With a return address for each message, a bounce says by where it comes whose it is."""

from __future__ import annotations

import pytest

from tactful import Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.errors import RequestError
from tactful.inbound.mail import reports_in
from tactful.testing.smtp_sink import SmtpSink

MUTE = b"Content-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n"


def test_a_bounce_that_holds_nothing_of_the_message_is_still_told_apart() -> None:
    with SmtpSink() as sink:
        channel = SmtpChannel(
            host=sink.host,
            port=sink.port,
            sender="hello@shop.example",
            bounce_address="bounces+{id}@shop.example",
        )
        with Tactful("memory://", channels=[channel]) as app:
            receipt = app.send(type="news", to="ada@example.org", text="x")
            assert app.drain(30)
            (mail,) = sink.messages
            assert mail.mail_from == f"bounces+{receipt.delivery_id}@shop.example"

            app.reports.take(reports_in(MUTE, [mail.mail_from]))

            found = app.delivery(receipt.delivery_id or "")
            assert found is not None
            assert found.state.value == "bounced"


def test_a_return_address_that_becomes_too_long_is_refused_at_the_start() -> None:
    with pytest.raises(RequestError, match="bounce_address"):
        SmtpChannel(host="x", sender="a@b.example", bounce_address=f"{'b' * 40}+{{id}}@b.example")
