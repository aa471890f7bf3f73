"""Real servers for any test that asks for one. What cannot be started fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import (
    PostgresServer,
    create_database,
    database_url,
    drop_database,
)


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


@pytest.fixture
def postgres_store_url(postgres: str, postgres_template: str) -> Iterator[str]:
    """The URL of an empty store on PostgreSQL that only this test knows."""
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
