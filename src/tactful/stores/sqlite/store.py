"""The SQLite store.

One connection writes, behind a lock, with `BEGIN IMMEDIATE`: every transaction sees the newest
state and is serial, also across processes on one file. Another connection answers questions from a
snapshot, so that a long question does not hold up the sending.

Durable transactions commit with `synchronous=FULL`. Others with NORMAL: they survive the end of
the process, and the next durable commit takes them along to the disk. If a commit meets an I/O
error the store refuses further work: what the disk holds is then known only after a new start.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import apsw

from tactful.core.errors import Unavailable
from tactful.core.model import Millis
from tactful.ports import Hear, Reader, Tx
from tactful.stores.named_sql import load_queries
from tactful.stores.relational.copying import Tables
from tactful.stores.sqlite.connection import connect, migrate, path_of
from tactful.stores.sqlite.copying import SqliteTables
from tactful.stores.sqlite.presence import Presence
from tactful.stores.sqlite.reading import SqliteReader
from tactful.stores.sqlite.writing import SqliteTx


class SqliteStore:
    """`ports.Store` on one SQLite file, made and migrated when it is opened.

    Raises ConfigError for a URL or file it cannot use, Unavailable if it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = path_of(url)
        self._sql = load_queries("tactful.stores.sqlite")
        self._writer = connect(self.path, writer=True)
        try:
            self.schema = migrate(self._writer)
            self._reader = connect(self.path, writer=False)
        except BaseException as error:
            self._writer.close()
            if isinstance(error, apsw.Error):
                raise Unavailable(f"store {self.path}: {error}") from error
            raise
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._synchronous = 2
        self._broken: str | None = None
        self._closed = False
        self._presence = Presence(self.path)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        """See `ports.Store.transaction`."""
        with self._write_lock:
            self._check()
            level = 2 if durable else 1
            try:
                if level != self._synchronous:
                    self._writer.execute(f"PRAGMA synchronous = {level}").fetchall()
                    self._synchronous = level
                self._writer.execute("BEGIN IMMEDIATE")
                yield SqliteTx(self._writer, self._sql)
                self._writer.execute("COMMIT")
            except BaseException as error:
                self._undo()
                if isinstance(error, apsw.IOError):
                    self._broken = str(error)
                if isinstance(error, apsw.Error) and not isinstance(error, _BUGS):
                    raise Unavailable(f"store {self.path}: {error}") from error
                raise

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """See `ports.Store.reading`."""
        with self._read_lock:
            self._check()
            assert not self._reader.in_transaction, "a reading inside a reading"
            try:
                self._reader.execute("BEGIN")
                yield SqliteReader(self._reader, self._sql)
            except apsw.Error as error:
                if isinstance(error, _BUGS):
                    raise
                raise Unavailable(f"store {self.path}: {error}") from error
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    @contextmanager
    def outgoing(self, *, still: bool) -> Iterator[Tables]:
        """See `relational.copying.Copyable.outgoing`."""
        connection = self._writer if still else self._reader
        with self.transaction() if still else self.reading():
            yield SqliteTables(connection)

    @contextmanager
    def incoming(self) -> Iterator[Tables]:
        """See `relational.copying.Copyable.incoming`."""
        with self.transaction():
            yield SqliteTables(self._writer)

    def time(self) -> Millis | None:
        """See `ports.Store.time`: the machine's clock is as good."""
        return None

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`: nobody tells, a worker looks every second."""

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        with self._write_lock, self._reachable():
            self._presence.join(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        with self._reachable():
            return self._presence.gone(owners)

    def close(self) -> None:
        """See `ports.Store.close`."""
        with self._write_lock, self._read_lock:
            self._closed = True
            self._presence.close()
            self._reader.close()
            self._writer.close()

    def in_use(self) -> bool:
        """See `relational.copying.Copyable.in_use`."""
        with self._reachable():
            return self._presence.anybody()

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"store {self.path}: {error}") from error

    def _check(self) -> None:
        if self._closed:
            raise Unavailable(f"store {self.path}: is closed")
        if self._broken is not None:
            raise Unavailable(f"store {self.path}: stopped after an I/O error: {self._broken}")

    def _undo(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")


_BUGS = (
    apsw.ConstraintError,
    apsw.SQLError,
    apsw.MisuseError,
    apsw.RangeError,
    apsw.BindingsError,
    apsw.MismatchError,
)
