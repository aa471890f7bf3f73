"""Real servers for any test that asks for one. What cannot be started fails the test."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings

from tactful.sim.scale import run_scale
from tactful.sim.scenario import Population, Scenario
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import (
    PostgresServer,
    create_database,
    database_url,
    drop_database,
)

# How long an example takes is the machine's doing.
settings.register_profile("tests", deadline=None, print_blob=True)
settings.load_profile("tests")

TESTS = Path(__file__).parent
MEASURED = ("core", "engine", "contract", "inbound", "channels/test_endpoints.py")
"""Whatever core and engine do is shown by these, and by those of them that need no server.
Elsewhere, measuring would only take time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        measured = any(item.path.is_relative_to(TESTS / place) for place in MEASURED)
        if not measured or "postgres" in item.name:
            item.add_marker("no_cover")


@pytest.fixture(scope="session", autouse=True)
def hang_up() -> None:
    """Run under `nohup`, the processes that tests start would not hear SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def scale_compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Scale mode as it is after its first run, which compiles for half a minute.

    Of several processes that run tests one does it, and the others wait for what it keeps.
    """
    place = tmp_path_factory.getbasetemp()
    shared = place.parent if "PYTEST_XDIST_WORKER" in os.environ else place
    with (shared / "scale.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_scale(Scenario(population=Population(1)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL on which databases may be made: a private one of this process.

    `TACTFUL_TEST_POSTGRES_URL` names another one, whose user has to be allowed to make databases.
    """
    given = os.environ.get("TACTFUL_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with PostgresServer() as server:
        yield server.url()


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> Iterator[str]:
    """The name of a database with the tables of a store in it, to be copied."""
    name = f"tactful_template_{uuid4().hex}"
    create_database(postgres, name)
    PostgresStore(database_url(postgres, name)).close()
    yield name
    drop_database(postgres, name)


class StoreDatabases:
    """Databases with an empty store in them. To empty one is twenty times faster than a new one."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        self._made: list[str] = []

    def take(self) -> str:
        """The URL of one that nobody else knows."""
        if self._free:
            return self._free.pop()
        name = f"tactful_{uuid4().hex}"
        create_database(self._server, name, template=self._template)
        self._made.append(name)
        return database_url(self._server, name)

    def give_back(self, url: str) -> None:
        """It is emptied, whoever may still be connected with it."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_ALONE)
            connection.execute(_EMPTY)
        self._free.append(url)

    def close(self) -> None:
        for name in self._made:
            drop_database(self._server, name)


_ALONE = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = """
DELETE FROM notifications; DELETE FROM deliveries; DELETE FROM due; DELETE FROM attempts;
DELETE FROM events; DELETE FROM recipients; DELETE FROM addresses; DELETE FROM suppressions;
DELETE FROM policies; DELETE FROM idempotency; DELETE FROM cells; DELETE FROM notes;
INSERT INTO notes VALUES ('clock', '0');
ALTER TABLE events ALTER COLUMN seq RESTART;
ALTER TABLE recipients ALTER COLUMN seq RESTART;
"""


@pytest.fixture(scope="session")
def store_databases(postgres: str, postgres_template: str) -> Iterator[StoreDatabases]:
    """Empty stores on PostgreSQL, to be taken and given back."""
    databases = StoreDatabases(postgres, postgres_template)
    yield databases
    databases.close()


@pytest.fixture
def used_store_url(store_databases: StoreDatabases) -> Iterator[str]:
    """The URL of an empty store on PostgreSQL, for tests that leave its tables as they are."""
    url = store_databases.take()
    yield url
    store_databases.give_back(url)


@pytest.fixture
def postgres_store_url(postgres: str, postgres_template: str) -> Iterator[str]:
    """The URL of an empty store on PostgreSQL, to do anything with."""
    name = f"tactful_{uuid4().hex}"
    create_database(postgres, name, template=postgres_template)
    yield database_url(postgres, name)
    drop_database(postgres, name)


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that only this test knows."""
    name = f"tactful_{uuid4().hex}"
    create_database(postgres, name)
    yield database_url(postgres, name)
    drop_database(postgres, name)
