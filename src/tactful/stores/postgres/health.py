"""What can be seen from inside of a PostgreSQL server that has to keep what it was given."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from tactful.core.errors import Unavailable
from tactful.core.model import Millis
from tactful.stores.postgres.connection import GONE, connect

_FACTS: Final = """
SELECT current_setting('server_version'), pg_is_in_recovery(),
    current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('full_page_writes'), current_setting('autovacuum')
"""
_TIME: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

# Of other users' sessions only a role with pg_read_all_stats sees more than that they exist.
_SESSIONS: Final = """
SELECT
    count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
    coalesce(max(extract(epoch FROM clock_timestamp() - state_change) * 1000)
        FILTER (WHERE state LIKE 'idle in transaction%'), 0)::bigint,
    coalesce(max(extract(epoch FROM clock_timestamp() - xact_start) * 1000), 0)::bigint
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_QUEUE: Final = """
SELECT coalesce(sum(n_live_tup), 0)::bigint, coalesce(sum(n_dead_tup), 0)::bigint
FROM pg_stat_user_tables WHERE relid = to_regclass('due')
"""


class Facts(NamedTuple):
    """How a server is set up and what goes on in the database; settings in its own words."""

    version: str
    standby: bool
    synchronous_commit: str
    fsync: str
    full_page_writes: str
    autovacuum: str
    idle_in_transaction: int
    longest_idle_ms: Millis
    oldest_transaction_ms: Millis
    queue_rows: int
    queue_dead_rows: int


class Examination:
    """A connection for questions; raises Unavailable, or ConfigError where no store can be."""

    def __init__(self, url: str) -> None:
        self._connection = connect(url)

    def time(self) -> Millis:
        """What the server's clock says, in one round trip."""
        return int(self._row(_TIME)[0])

    def facts(self) -> Facts:
        """All there is to see."""
        return Facts(*self._row(_FACTS), *self._row(_SESSIONS), *self._row(_QUEUE))

    def _row(self, sql: str) -> tuple[Any, ...]:
        try:
            (row,) = self._connection.execute(sql.encode()).fetchall()
        except GONE as error:
            raise Unavailable(f"store: {type(error).__name__}") from error
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
