"""Both stores keep every promise of the port."""

from __future__ import annotations

from pathlib import Path

from tactful.ports import Store
from tactful.stores.memory import MemoryStore
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.contracts.store import StoreContract


class TestMemoryStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return MemoryStore()


class TestSqliteStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return SqliteStore(f"sqlite:///{tmp_path}/tactful.db")

    def reopen(self, store: Store) -> Store | None:
        store.close()
        return SqliteStore(store.url)
