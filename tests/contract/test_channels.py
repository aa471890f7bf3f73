"""Every channel keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tactful.channels.capture import CaptureChannel
from tactful.channels.inbox import InboxChannel
from tactful.channels.smtp import SmtpChannel
from tactful.ports import Channel
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
