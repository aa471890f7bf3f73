"""Connections to PostgreSQL: how they are set up, kept, and given out.

Every connection has limits of its own, so that nobody waits for ever and a worker that stands still
in the middle of a transaction holds up the others for seconds, not for as long as it stands. The
planner is kept on the indexes: every hot query has one, and a plan that was made while the queue
was empty would read it whole when it is full.

Behind a pool that gives a client another session for each transaction (PgBouncer in transaction
mode), a session keeps nothing: the same settings go with each transaction, and nothing is prepared.
"""

from __future__ import annotations

import re
import select
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from tactful.core.errors import ConfigError, Unavailable
from tactful.stores.named_sql import Schema, load_migrations, pending
from tactful.stores.postgres.locks import MIGRATING

LEAST_VERSION: Final = 150_000
# What stands before an @ too many would be taken for a host, and shown as one.
_READABLE: Final = re.compile(r"\w+://([^@/?#]*@)?[^@]*", re.DOTALL)
_UNREADABLE: Final = (
    "store: the URL cannot be read; it must be postgresql://user:password@host:port/database, with"
    " @ : / ? # % and blanks in a name or password written as %40 %3A %2F %3F %23 %25 %20"
)
PACKAGE: Final = "tactful.stores.postgres"
CONNECTIONS: Final = 16
"""How many one process has at once, unless something else is said."""
LEAST_CONNECTIONS: Final = 2
"""Whoever is in a transaction may have to ask for the time."""
_WAIT_S: Final = 15.0
_SETTINGS: Final = {
    "statement_timeout": "'30s'",
    "lock_timeout": "'10s'",
    "idle_in_transaction_session_timeout": "'10s'",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "timezone": "'UTC'",
}
# For how long the server waits for whoever was cut off in the middle of a message, which no other
# limit bounds.
_KEEPALIVES: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_FOR_SESSION: Final = ";".join(f"SET {n} = {v}" for n, v in (_SETTINGS | _KEEPALIVES).items())
_FOR_TRANSACTION: Final = ";".join(f"SET LOCAL {n} = {v}" for n, v in _SETTINGS.items())
_WHERE: Final = "SELECT current_database(), pg_postmaster_start_time()"

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_OPEN: Final = (TransactionStatus.INTRANS, TransactionStatus.INERROR)

GONE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""Trouble with the server or with others, not with what was asked: trying again may help."""


def connect(url: str, *, pooled: bool = False) -> Connection:
    """A connection with its settings; raises Unavailable, or ConfigError for a URL or server that
    cannot be used.

    With `pooled` it has none, and prepares nothing.

    What cannot be read of a URL is not repeated: it may be a part of the password.
    """
    if not _READABLE.fullmatch(url):
        raise ConfigError(_UNREADABLE)
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            prepare_threshold=None if pooled else 5,
            connect_timeout=5,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )
    except psycopg.ProgrammingError:
        raise ConfigError(_UNREADABLE) from None
    except psycopg.OperationalError as error:
        raise Unavailable(f"store: {first_line(error)}") from None
    if connection.info.server_version < LEAST_VERSION:
        version = connection.info.server_version // 10_000
        connection.close()
        raise ConfigError(f"store: PostgreSQL {version} is too old; 15 or later is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise ConfigError(f"store: the database's encoding must be UTF8, not {encoding}")
    if not pooled:
        connection.execute(_FOR_SESSION.encode())
    return connection


class Pool:
    """Connections for the threads of one process, opened when they are wanted.

    At most `most` at once. With `pooled` they are those of a pool that may give each transaction
    another session.
    """

    def __init__(self, url: str, most: int = CONNECTIONS, *, pooled: bool = False) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < LEAST_CONNECTIONS:
            bound = f"must be a whole number of at least {LEAST_CONNECTIONS}"
            raise ConfigError(f"store_connections: {bound}, not {most!r}")
        self._url = url
        self._most = most
        self._pooled = pooled
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One for the caller alone; raises Unavailable."""
        if not self._places.acquire(timeout=_WAIT_S):
            raise Unavailable(
                f"store: all {self._most} connections of this process were in use for"
                f" {_WAIT_S:g} s; give it more (store_connections)"
            )
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._places.release()

    def transaction(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that the caller commits; it is rolled back if not."""
        return self._begun("BEGIN")

    def view(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction that sees one instant and changes nothing."""
        return self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Connection]:
        settings = f"; {_FOR_TRANSACTION}" if self._pooled else ""
        with self.connection() as connection:
            connection.execute(f"{begin}{settings}".encode())
            try:
                yield connection
            finally:
                if connection.info.transaction_status in _OPEN:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise Unavailable("store: is closed")
            while self._idle:
                connection = self._idle.pop()
                if not _has_news(connection):
                    return connection
                connection.close()
        return connect(self._url, pooled=self._pooled)

    def _give_back(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            with self._lock:
                if not self._closed:
                    self._idle.append(connection)
                    return
        connection.close()


def require_same(one: Connection, pooled: Connection) -> None:
    """Raises ConfigError if two connections lead to different databases."""
    if one.execute(_WHERE).fetchall() != pooled.execute(_WHERE).fetchall():
        raise ConfigError("store_pool: leads to another database than store")


def schema_of(url: str) -> Schema:
    """How far the database of a URL is; makes and changes nothing.

    Raises ConfigError for what `migrate` would refuse, Unavailable if it cannot be reached.
    """
    with connect(url) as connection:
        return schema_in(connection)


def schema_in(connection: Connection) -> Schema:
    """The same of a database one is connected with."""
    with _refusing():
        ((there,),) = connection.execute("SELECT to_regclass('migrations') IS NOT NULL").fetchall()
        done = _done(connection) if there else {}
    steps = pending(PACKAGE, done)
    return Schema(len(done), len(done) + len(steps))


def _done(connection: Connection) -> dict[int, str]:
    """The checksums of the migrations that were applied."""
    rows = connection.execute("SELECT number, checksum FROM migrations").fetchall()
    return dict(rows)


@contextmanager
def _refusing() -> Iterator[None]:
    """What the database does not let us do is a matter of its set-up."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"store: {first_line(error)}: the user must own the database, or be granted this"
        ) from None
    except psycopg.errors.ProgrammingError as error:
        raise ConfigError(
            f"store: {first_line(error)}: Tactful needs a database that nothing else uses"
        ) from None


def _has_news(connection: Connection) -> bool:
    """Whether the server has said anything to an idle connection: its end, as a rule."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def migrate(connection: Connection, *, only_new: bool = False) -> int:
    """Bring the schema up to date; gives its number.

    Each migration of a database that has tables already is a transaction of its own, so that the
    locks of one are not held while the next one reads whole tables.

    With `only_new` a schema that is older than this program is not touched: other processes may
    still work on it. Raises ConfigError for such a one, for one that is newer than this program,
    and for one that was migrated by a file that has been changed since.
    """
    with _refusing():
        while _migrate_on(connection, only_new=only_new):
            only_new = False
    return len(load_migrations(PACKAGE))


def _migrate_on(connection: Connection, *, only_new: bool) -> bool:
    """The next migration, or all in a database without tables; gives whether there are more."""
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY,"
            " name TEXT NOT NULL, checksum TEXT NOT NULL)"
        )
        done = _done(connection)
        steps = pending(PACKAGE, done)
        if steps and done and only_new:
            raise ConfigError(
                f"store: the schema is {len(done)}, this program needs {steps[-1].number}:"
                " run `tactful migrate`"
            )
        for step in steps[:1] if done else steps:
            connection.execute(step.sql.encode())
            connection.execute(
                "INSERT INTO migrations VALUES (%s, %s, %s)",
                (step.number, step.name, step.checksum),
            )
    return bool(done) and len(steps) > 1


def first_line(error: psycopg.Error) -> str:
    """What happened, without the server's hints and places."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
