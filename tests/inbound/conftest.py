"""Worlds for tests of feedback, on the stores that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inbound_world import World

from tactful import Settings


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(settings: Settings | None = None) -> World:
        made.append(World(f"sqlite:///{tmp_path}/world{len(made)}.db", settings))
        return made[-1]

    yield make
    for one in made:
        one.app.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    urls = {"sqlite": f"sqlite:///{tmp_path}/any.db", "memory": "memory://"}
    url = urls.get(request.param) or request.getfixturevalue("used_store_url")
    found = World(url)
    yield found
    found.app.close()
