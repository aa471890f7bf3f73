"""A thread has one view of a store at a time: a second one is a bug, and is said to be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tactful.stores.memory.store import MemoryStore
from tactful.stores.sqlite.store import SqliteStore


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_reading_inside_a_reading_is_refused_and_harms_nobody(kind: str, tmp_path: Path) -> None:
    """It once waited for itself for ever, and everybody else with it."""
    store = MemoryStore() if kind == "memory" else SqliteStore(f"sqlite:///{tmp_path / 'a.db'}")
    with (
        pytest.raises(AssertionError, match="a reading inside a reading"),
        store.reading(),
        store.reading(),
    ):
        pass

    with store.reading() as reader:
        assert reader.counts() == {}
    store.close()
