"""Opening a SQLite file so that what is committed is really there.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL file when two connections write and checkpoint at the same
instant (fixed in 3.51.3); `apsw` brings its own SQLite, and an affected one is refused. Every
pragma's answer is read and checked: an unread `journal_mode` cursor hides an I/O error.

Only the writing connection checkpoints; readers never do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import apsw

from tactful.core.errors import ConfigError, Unavailable
from tactful.stores.named_sql import Schema, load_migrations, pending
from tactful.stores.urls import without_password

PACKAGE = "tactful.stores.sqlite"
SQLITE_LEAST = (3, 51, 3)
APPLICATION_ID = 0x54414354  # "TACT"
BUSY_TIMEOUT_MS = 15_000
FORMS = "sqlite:///path/to/file.db, postgresql://user@host/database or memory://"


def path_of(url: str) -> Path:
    """The file that `sqlite:///relative.db` or `sqlite:////absolute.db` names.

    Raises ConfigError for any other form.
    """
    prefix = "sqlite:///"
    path = unquote(url[len(prefix) :]) if url.startswith(prefix) else ""
    if not path or "?" in path or path == ":memory:":
        raise ConfigError(f"store: must be {FORMS} (got {without_password(url)!r})")
    return Path(path)


def check_version(version: str) -> None:
    """Raises ConfigError if this SQLite has the WAL-reset bug."""
    if tuple(int(part) for part in version.split(".")[:3]) < SQLITE_LEAST:
        least = ".".join(map(str, SQLITE_LEAST))
        raise ConfigError(
            f"SQLite {version} can corrupt a file with several writers; {least} or later is needed"
        )


def connect(path: Path, *, writer: bool) -> apsw.Connection:
    """A connection with checked settings; raises Unavailable or ConfigError."""
    check_version(apsw.sqlite_lib_version())
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if writer else 0)
    try:
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=512)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != [("wal",)]:
            raise ConfigError(
                f"store: {path} cannot use a write-ahead log (journal_mode is {mode})"
            )
        settings = {
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1 if writer else None,
            "cache_size": -65536 if writer else -16384,
            "temp_store": 2,
        }
        for name, value in settings.items():
            if value is None:
                continue
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
            got = connection.execute(f"PRAGMA {name}").fetchall()
            if got != [(value,)]:
                raise ConfigError(f"store: PRAGMA {name} is {got}, not {value}")
        if not writer:
            connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    except apsw.Error as error:
        raise Unavailable(f"store {path}: {error}") from error
    return connection


def schema_of(url: str) -> Schema:
    """How far the file of a URL is; makes and changes nothing.

    Raises ConfigError for what `migrate` would refuse, Unavailable if it cannot be read.
    """
    path = path_of(url)
    done: dict[int, str] = {}
    if path.is_file() and path.stat().st_size:
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            try:
                connection.set_busy_timeout(BUSY_TIMEOUT_MS)
                done = _done(connection)
            finally:
                connection.close()
        except apsw.Error as error:
            raise Unavailable(f"store {path}: {error}") from error
    steps = pending(PACKAGE, done)
    return Schema(len(done), len(done) + len(steps))


def _done(connection: apsw.Connection) -> dict[int, str]:
    """The checksums of the migrations that were applied."""
    ((identity,),) = connection.execute("PRAGMA application_id").fetchall()
    if identity != APPLICATION_ID:
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if identity or tables:
            raise ConfigError("store: the file belongs to another program")
        return {}
    rows: list[Any] = connection.execute("SELECT number, checksum FROM migrations").fetchall()
    return dict(rows)


def migrate(connection: apsw.Connection) -> int:
    """Bring the schema up to date; gives its number.

    Raises ConfigError if the file belongs to something else, is newer than this program, or has
    been migrated by a file that was changed since.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _done(connection)
        if not done:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}").fetchall()
            connection.execute(
                "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                " checksum TEXT NOT NULL) STRICT"
            )
        for step in pending(PACKAGE, done):
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?)", (step.number, step.name, step.checksum)
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(load_migrations(PACKAGE))
