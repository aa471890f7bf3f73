"""All stores, each with a world on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance_world import World

from tactful import Rule

SAMPLE_RULES = (
    Rule("status", types=["status"], limit="2/minute", on_limit="reject"),
    Rule("news", types=["news"], limit="1/day", on_limit="reject"),
    Rule("marketing", types=["marketing"], limit="3/hour", on_limit="reject"),
)


_URLS = {"sqlite": "file_url", "postgres": "used_store_url"}


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """A store that outlives its process."""
    return f"sqlite:///{tmp_path / 'tactful.db'}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    return str(request.getfixturevalue(_URLS[request.param]))


@pytest.fixture(params=["sqlite", "postgres"])
def lasting_url(request: pytest.FixtureRequest) -> str:
    """A store that outlives its process."""
    return str(request.getfixturevalue(_URLS[request.param]))


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Makes worlds and closes them."""
    made: list[World] = []

    def make(url: str, **options: Any) -> World:
        made.append(World(url, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World], url: str) -> World:
    """A world on each of the stores."""
    return make_world(url)


@pytest.fixture
def lasting(make_world: Callable[..., World], lasting_url: str) -> World:
    """A world on a store that keeps what has to survive."""
    return make_world(lasting_url)


@pytest.fixture
def sample(world: World) -> World:
    """A world with the rules of the exercise, which rejects."""
    world.app.rules.put(*SAMPLE_RULES)
    return world
