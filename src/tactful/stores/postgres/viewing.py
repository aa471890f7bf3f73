"""Looking at a PostgreSQL store, also one in use, in a transaction that can only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tactful.core.errors import ConfigError, Unavailable
from tactful.ports import Reader
from tactful.stores.named_sql import load_queries
from tactful.stores.postgres.connection import GONE, PACKAGE, connect, first_line, schema_in
from tactful.stores.postgres.reading import PostgresReader
from tactful.stores.urls import without_password

# Whoever looks back thinks between two questions, and holds no locks meanwhile.
_PATIENCE: Final = "SET statement_timeout = '10min'; SET idle_in_transaction_session_timeout = 0"


@contextmanager
def viewing(url: str) -> Iterator[Reader]:
    """A consistent view of the database that a URL names.

    Raises ConfigError if there is no store in it, or if its schema is another one than this
    program's; Unavailable if it cannot be reached.
    """
    shown = without_password(url)
    try:
        with connect(url) as connection:
            connection.execute(_PATIENCE)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            schema = schema_in(connection)
            if not schema.found:
                raise ConfigError(f"store: there is no store {shown}")
            if schema.found < schema.newest:
                raise ConfigError(
                    f"store: the schema is {schema.found}, this program needs {schema.newest}:"
                    " run `tactful migrate`"
                )
            yield PostgresReader(connection, load_queries(PACKAGE))
            connection.execute("ROLLBACK")
    except GONE as error:
        raise Unavailable(f"store {shown}: {first_line(error)}") from error
