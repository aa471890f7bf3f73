"""The service over an engine with a clock that stands still, without a network."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from tactful import Rule, Tactful
from tactful.config.service import Http
from tactful.http.keyring import Keyring
from tactful.http.service import create_service
from tactful.http.throttle import Throttle
from tactful.ports import Store
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_225_600_000
"""2026-01-01 00:00 UTC, a Thursday."""
SECOND = 1_000
HOUR = 3_600_000
DAY = 24 * HOUR
GENEROUS = Http(rate=1_000_000, burst=1_000_000)


class Api:
    """An engine with one channel `post`, the service over it, and a client for it.

    `clock` is the engine's; `running` is the one that only runs, by which keys become stale and
    requests are counted. Neither moves by itself.
    """

    def __init__(self, store: str | Store = "memory://", settings: Http = GENEROUS) -> None:
        self.clock = ManualClock(START)
        self.running = ManualClock(1_000_000)
        self.post = CaptureChannel("post")
        self.app = Tactful(store, channels=[self.post], clock=self.clock, seed=1)
        self.service: FastAPI = create_service(
            self.app, [CaptureChannel("post")], settings=settings
        )
        self.service.state.keyring = Keyring(self.app, self.running.now)
        self.service.state.throttle = Throttle(settings.rate, settings.burst, self.running.now)
        self.client = TestClient(self.service)
        self.admin = self.key("boss", "admin")
        self.sender = self.key("shop", "send", "read")
        self.test = self.key("trial", "test")

    def key(self, name: str, *scopes: str, **more: Any) -> dict[str, str]:
        """The headers of a new key, which is known at once."""
        _, token = self.app.keys.create(name, scopes, **more)
        self.running.advance(SECOND)
        return {"Authorization": f"Bearer {token}"}

    def rule(self, name: str, limit: str, **fields: Any) -> None:
        self.app.rules.put(Rule(name, limit, **fields))

    def __enter__(self) -> Api:
        self.client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.__exit__(kind, error, trace)
        self.app.close()


def said(to: str = "ada@example.com", type_: str = "news", text: str = "w", **more: Any) -> Any:
    """The fields of one notification."""
    return {"type": type_, "to": to, "text": text, **more}
