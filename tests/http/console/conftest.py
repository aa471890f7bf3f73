"""A console over a real engine, and somebody who is logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from console_bench import HASH, Visitor
from playwright.sync_api import BrowserContext

from chromium import chromium
from tactful import Rule, Tactful
from tactful.engine.users import User
from tactful.http.service import create_service
from tactful.runtime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_790_000_000_000)


@pytest.fixture
def app(clock: ManualClock) -> Iterator[Tactful]:
    app = Tactful("memory://", clock=clock)
    app.rules.put(Rule("status", types=["status"], limit="2/minute"), author="test")
    for name, role in (("ada", "admin"), ("eda", "editor"), ("vic", "viewer")):
        app.users.put(User(name, role, HASH))
    yield app
    app.close()


@pytest.fixture
def service(app: Tactful) -> Any:
    return create_service(app)


@pytest.fixture
def visitor(service: Any) -> Callable[..., Visitor]:
    """Makes somebody who is logged in."""

    def made(name: str = "ada", address: str = "192.0.2.1") -> Visitor:
        visitor = Visitor(service, address)
        assert visitor.log_in(name).status_code == 303
        return visitor

    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context
