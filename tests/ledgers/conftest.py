"""A real Valkey server for all tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import valkey
from histories import MakeLimiter

from tactful import Limiter, Rule
from tactful.testing.servers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as started:
        yield started


@pytest.fixture
def client(server: ValkeyServer) -> Iterator[valkey.Valkey]:
    with valkey.Valkey.from_url(server.url()) as connected:
        yield connected


@pytest.fixture
def make(server: ValkeyServer) -> Iterator[MakeLimiter]:
    """Makes limiters that know nobody yet."""
    made: list[Limiter] = []

    def make_one(*rules: Rule, url: str = "", namespace: str = "", **options: Any) -> Limiter:
        space = namespace or uuid4().hex
        made.append(Limiter(url or server.url(), rules, namespace=space, **options))
        return made[-1]

    yield make_one
    for limiter in made:
        limiter.close()
