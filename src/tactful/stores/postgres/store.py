"""The PostgreSQL store.

Any number of processes on any number of machines work on one database. Transactions run at once;
what must not meet takes locks (`writing`). All commits are durable, also those that need not be: a
server that crashes may lose commits that were acknowledged before they reached the disk, and a
hand-over that had begun must never look as if it had not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg

from tactful.core.errors import Contended, Unavailable
from tactful.core.model import Millis
from tactful.ports import Hear, Reader, Tx
from tactful.stores.named_sql import load_queries
from tactful.stores.postgres.connection import (
    CONNECTIONS,
    GONE,
    PACKAGE,
    Connection,
    Pool,
    connect,
    first_line,
    migrate,
    require_same,
)
from tactful.stores.postgres.copying import PostgresTables
from tactful.stores.postgres.presence import Presence
from tactful.stores.postgres.reading import PostgresReader
from tactful.stores.postgres.sweeping import Sweeper
from tactful.stores.postgres.weeks import Weeks
from tactful.stores.postgres.writing import CHANNEL, PostgresTx
from tactful.stores.relational.copying import Tables
from tactful.stores.urls import without_password


class PostgresStore:
    """`ports.Store` on a PostgreSQL database, 15 or later.

    An empty database gets its tables; one of an older version must be migrated first
    (`tactful migrate`, or `migrated=True`). `connections` are those for transactions: at most so
    many at once. They go through `pool`, if that is given: the URL of the same database behind a
    pool of connections, which may give each transaction another session. What needs a session of
    its own (who sends, who listens, vacuums, migrations) never does. Raises ConfigError for a URL
    or database that it cannot use, Unavailable if the server cannot be reached.
    """

    def __init__(
        self,
        url: str,
        *,
        migrated: bool = False,
        pool: str = "",
        connections: int = CONNECTIONS,
    ) -> None:
        self.url = url
        self._shown = without_password(url)
        self._sql = load_queries(PACKAGE)
        self._pool = Pool(pool or url, connections, pooled=bool(pool))
        self._presence = Presence(url, CHANNEL)
        self._sweeper = Sweeper(url)
        self._weeks = Weeks(url)
        try:
            with self._connection() as connection:
                if pool:
                    with connect(url) as direct:
                        require_same(direct, connection)
                        self.schema = migrate(direct, only_new=not migrated)
                else:
                    self.schema = migrate(connection, only_new=not migrated)
        except BaseException:
            self._pool.close()
            raise

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        """See `ports.Store.transaction`; every commit is durable."""
        del durable
        with self._unavailable(), self._pool.transaction() as connection:
            tx = PostgresTx(connection, self._sql, self._weeks)
            yield tx
            tx.commit()
        self._sweeper.left(tx.left_queue)
        if tx.history_before is not None:
            with self._unavailable():
                self._weeks.drop(tx.history_before)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """See `ports.Store.reading`."""
        with self._unavailable(), self._pool.view() as connection:
            yield PostgresReader(connection, self._sql)

    @contextmanager
    def outgoing(self, *, still: bool) -> Iterator[Tables]:
        """See `relational.copying.Copyable.outgoing`."""
        with self._unavailable(), self._pool.view() as connection:
            tables = PostgresTables(connection)
            tables.hold("SHARE" if still else "")
            yield tables

    @contextmanager
    def incoming(self) -> Iterator[Tables]:
        """See `relational.copying.Copyable.incoming`."""
        with self._unavailable(), self._pool.transaction() as connection:
            tables = PostgresTables(connection)
            tables.hold("EXCLUSIVE")
            yield tables
            connection.execute("COMMIT")

    def time(self) -> Millis:
        """See `ports.Store.time`: the server's clock."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        with self._unavailable():
            self._presence.join(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        with self._unavailable():
            return self._presence.gone(owners)

    def in_use(self) -> bool:
        """See `relational.copying.Copyable.in_use`."""
        with self._unavailable():
            return self._presence.anybody()

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`."""
        self._presence.listen(hear)

    def close(self) -> None:
        """See `ports.Store.close`."""
        self._presence.close()
        self._sweeper.close()
        self._pool.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._unavailable(), self._pool.connection() as connection:
            yield connection

    @contextmanager
    def _unavailable(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.DeadlockDetected as error:
            raise Contended(f"store {self._shown}: {first_line(error)}") from error
        except psycopg.errors.CheckViolation as error:
            if error.diag.constraint_name is not None:
                raise
            # No partition for a row: somebody has dropped the week that this process knew.
            self._weeks.forget()
            raise Contended(f"store {self._shown}: {first_line(error)}") from error
        except GONE as error:
            raise Unavailable(f"store {self._shown}: {first_line(error)}") from error
