"""Looking at a SQLite store, also one in use, without changing a byte of it.

The connection can only read: it brings no schema up to date, and moves nothing from the write-ahead
log into the database, as the last one of a store does when it is closed. SQLite may leave an index
of the log and an empty log beside the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from tactful.core.errors import ConfigError, Unavailable
from tactful.ports import Reader
from tactful.stores.named_sql import load_queries
from tactful.stores.sqlite.connection import (
    BUSY_TIMEOUT_MS,
    PACKAGE,
    check_version,
    path_of,
    schema_of,
)
from tactful.stores.sqlite.reading import SqliteReader


@contextmanager
def viewing(url: str) -> Iterator[Reader]:
    """A consistent view of the file that a URL names.

    Raises ConfigError if there is none, or if its schema is another one than this program's;
    Unavailable if it cannot be read.
    """
    check_version(apsw.sqlite_lib_version())
    path = path_of(url)
    schema = schema_of(url)
    if not schema.found:
        raise ConfigError(f"store: there is no store {path}")
    if schema.found < schema.newest:
        raise ConfigError(
            f"store: the schema is {schema.found}, this program needs {schema.newest}:"
            " run `tactful migrate`"
        )
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute("PRAGMA cache_size = -65536").fetchall()
            connection.execute("BEGIN")
            yield SqliteReader(connection, load_queries(PACKAGE))
        finally:
            connection.close()
    except apsw.Error as error:
        raise Unavailable(f"store {path}: {error}") from error
