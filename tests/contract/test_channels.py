"""Every channel keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tactful.channels.capture import CaptureChannel
from tactful.channels.failover import FailoverChannel
from tactful.channels.inbox import InboxChannel
from tactful.channels.smtp import SmtpChannel
from tactful.ports import Channel
from tactful.runtime.clock import ManualClock
from tactful.testing.contracts.channel import ChannelContract
from tactful.testing.smtp_sink import SmtpSink


class TestInbox(ChannelContract):
    def make_channel(self) -> Channel:
        return InboxChannel()


class TestCapture(ChannelContract):
    def make_channel(self) -> Channel:
        return CaptureChannel("capture")


class TestSmtp(ChannelContract):
    secret = "open sesame"
    sink: SmtpSink

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with SmtpSink(auth=("app", self.secret)) as self.sink:
            yield

    def make_channel(self) -> Channel:
        return SmtpChannel(
            host=self.sink.host,
            port=self.sink.port,
            sender="Tactful <tactful@example.org>",
            username="app",
            password=self.secret,
        )


class TestFailover(TestSmtp):
    """Over two servers, the first of which is away."""

    def make_channel(self) -> Channel:
        with SmtpSink() as gone:
            away = SmtpChannel(
                host=gone.host, port=gone.port, sender="tactful@example.org", name="away"
            )
        return FailoverChannel("mail", [away, super().make_channel()], clock=ManualClock(0).now)
