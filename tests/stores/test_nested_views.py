"""A thread has one view of a store at a time: a second one is a bug, and is said to be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tactful.core.model import Recipient
from tactful.stores.chosen import open_store, view_of
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


def test_a_long_look_at_an_open_store_holds_up_neither_questions_nor_changes(
    tmp_path: Path, used_store_url: str
) -> None:
    """A preview of rules looks for seconds; everybody's questions once waited for its end."""
    for url in (f"sqlite:///{tmp_path / 'a.db'}", used_store_url):
        store = open_store(url)
        with view_of(store) as long:
            assert long.last_recipient() == 0
            with store.transaction() as tx:
                tx.put_recipients([Recipient("ada")])
            with store.reading() as reader:
                assert reader.last_recipient() == 1
            assert long.last_recipient() == 0
        store.close()

    with view_of(open_store("memory://")) as long:
        assert long.last_recipient() == 0
