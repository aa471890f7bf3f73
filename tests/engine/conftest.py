"""All stores, each with an engine in its parts on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_bench import Bench

from tactful.engine.settings import Settings
from tactful.ports import Store
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.sqlite.store import SqliteStore


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "postgres":
        made = PostgresStore(request.getfixturevalue("used_store_url"))
    else:
        made = SqliteStore(f"sqlite:///{tmp_path / 'tactful.db'}")
    yield made
    made.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    """An engine with the usual settings, on each of the stores."""
    return Bench(store)


@pytest.fixture
def make_bench(store: Store) -> Callable[[Settings], Bench]:
    """Makes engines with other settings on the same store."""
    return lambda settings: Bench(store, settings)


@pytest.fixture
def quick() -> Bench:
    """An engine in memory, where the store makes no difference."""
    return Bench(MemoryStore())
