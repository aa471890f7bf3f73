"""Webhooks and Apprise keep the contract of channels."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from http_cases import HOST, Hooks, egress_to

from tactful.channels.apprise import AppriseChannel
from tactful.channels.webhook import WebhookChannel
from tactful.ports import Channel
from tactful.testing.contracts.channel import ChannelContract


class TestWebhook(ChannelContract):
    secret = base64.b64encode(b"not to be seen by anybody at all").decode()
    hooks: Hooks

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with Hooks() as self.hooks:
            yield

    def make_channel(self) -> Channel:
        return WebhookChannel(
            secrets=f"whsec_{self.secret}",
            url=f"http://{HOST}:{self.hooks.port}/{self.secret.replace('=', '')}",
            egress=egress_to(self.hooks.port),
        )


class TestApprise(ChannelContract):
    secret = "hunter2"
    hooks: Hooks

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("no_proxy", "*")
        with Hooks() as self.hooks:
            yield

    def make_channel(self) -> Channel:
        url = f"json://me:{self.secret}@127.0.0.1:{self.hooks.port}/{{address}}"
        return AppriseChannel("push", url)
