"""The PostgreSQL store keeps every promise of the port, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tactful.ports import Store
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.contracts.store import StoreContract
from tactful.testing.contracts.store.rows import notification, row_id
from tactful.testing.servers.postgres import create_database, database_url, drop_database


class TestPostgresStore(StoreContract):
    server: str
    template: str
    names: list[str]

    @pytest.fixture(autouse=True)
    def _databases(self, postgres: str, postgres_template: str) -> Iterator[None]:
        self.server, self.template, self.names = postgres, postgres_template, []
        yield
        for name in self.names:
            drop_database(postgres, name)

    def make_store(self, tmp_path: Path) -> Store:
        self.names.append(f"tactful_{uuid4().hex}")
        create_database(self.server, self.names[-1], template=self.template)
        return PostgresStore(database_url(self.server, self.names[-1]))

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
