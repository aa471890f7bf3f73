"""A history out of a SQLite store, which is opened for reading only."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import apsw

from tactful.core.errors import ConfigError, Unavailable
from tactful.verify.history import History
from tactful.verify.tables import read_tables

PREFIX = "sqlite:///"


def from_sqlite(url: str) -> History:
    """Read the file that `sqlite:///relative.db` or `sqlite:////absolute.db` names.

    Raises ConfigError if there is none or if it is no store, Unavailable if it cannot be read.
    """
    path = Path(unquote(url.removeprefix(PREFIX)))
    if not path.is_file():
        raise ConfigError(f"store: there is no database {path}")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(15_000)
            connection.execute("BEGIN")
            return read_tables(connection.execute)
        finally:
            connection.close()
    except (apsw.SQLError, apsw.NotADBError) as error:
        raise ConfigError(f"store: {path} is no store of this program: {error}") from error
    except apsw.Error as error:
        raise Unavailable(f"store {path}: {error}") from error
