"""The PostgreSQL store keeps every promise of the port, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tactful.ports import Store
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.contracts.store import StoreContract
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
