"""The PostgreSQL store keeps every promise of the port, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tactful.ports import Store
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.contracts.store import StoreContract
from tactful.testing.contracts.store.rows import notification, row_id


class Databases(Protocol):
    """What the fixture `store_databases` gives."""

    def take(self) -> str: ...
    def give_back(self, url: str) -> None: ...


class TestPostgresStore(StoreContract):
    databases: Databases
    urls: list[str]

    @pytest.fixture(autouse=True)
    def _databases(self, store_databases: Databases) -> Iterator[None]:
        self.databases, self.urls = store_databases, []
        yield
        for url in self.urls:
            store_databases.give_back(url)

    def make_store(self, tmp_path: Path) -> Store:
        self.urls.append(self.databases.take())
        return PostgresStore(self.urls[-1])

    def reopen(self, store: Store) -> Store | None:
        store.close()
        return PostgresStore(store.url)

    def test_a_broadcast_is_carried_on_by_one_worker_at_a_time(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_notifications([notification(1, cursor=0, audience_end=9)])

        with store.transaction() as one, store.transaction() as other:
            assert [row.cursor for row in one.unfinished_broadcasts()] == [0]
            assert other.unfinished_broadcasts() == []
            one.advance_broadcast(row_id(1), 5)

        with store.transaction() as other:
            assert [row.cursor for row in other.unfinished_broadcasts()] == [5]
