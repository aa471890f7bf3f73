"""All stores, and an engine on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from watched_engine import NOON, engine_on

from tactful import Tactful
from tactful.runtime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "postgres":
        return str(request.getfixturevalue("used_store_url"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'notify.db'}"


@pytest.fixture
def app(url: str, clock: ManualClock) -> Iterator[Tactful]:
    made = engine_on(url, clock)
    yield made
    made.close()
