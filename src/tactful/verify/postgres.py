"""A history out of a PostgreSQL store, in a transaction that can only read.

The driver, `psycopg`, comes with the extra `postgres`. It is loaded when it is asked for: that
takes a while, and most stores are files.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from tactful.core.errors import ConfigError, Unavailable
from tactful.verify.history import History
from tactful.verify.tables import read_tables

PREFIXES = ("postgresql://", "postgres://")


def from_postgres(url: str) -> History:
    """Read the database that a URL names.

    Raises ConfigError without the driver or if it is no store, Unavailable if it is out of reach.
    What the server says may hold the URL's password, so it is not repeated.
    """
    try:
        psycopg: Any = import_module("psycopg")
    except ImportError:
        raise ConfigError("store: PostgreSQL needs `pip install 'tactful[postgres]'`") from None
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def ask(sql: str) -> Iterator[tuple[Any, ...]]:
                return iter(connection.execute(sql).fetchall())

            return read_tables(ask)
    except psycopg.ProgrammingError:  # the URL, or a table that is not there
        raise ConfigError("store: the URL names no PostgreSQL store of this program") from None
    except psycopg.Error as error:
        name = type(error).__name__
        raise Unavailable(f"store: PostgreSQL cannot be read ({name})") from None
