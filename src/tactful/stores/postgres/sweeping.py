"""The queue is swept by those who empty it.

Every delivery that passes through leaves dead rows in `due`, and dead entries in its indexes that
each search for what is due has to step over. Autovacuum comes once a minute, where the server has
not been told otherwise; by then a busy queue of ten thousand has left a hundred megabytes. So
whoever has taken many deliveries off the queue has it vacuumed, in a thread and on a connection
of its own: one vacuum for so many deliveries, however many processes there are.

A vacuum reads the indexes whole. A long queue is therefore swept in proportion to its length.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from tactful.core.errors import Unavailable
from tactful.stores.postgres.connection import GONE, Connection, connect

log = logging.getLogger("tactful.stores.postgres")

LEAST: Final = 5_000
"""So many deliveries leave the queue between two sweeps of one process, at least."""

SHARE: Final = 4
"""Of a longer queue, one part in so many."""

_PATIENT: Final = "SET statement_timeout = 0"
# Somebody who vacuums already will do; the file is not cut off, since it is filled up again.
_SWEEP: Final = "VACUUM (SKIP_LOCKED, TRUNCATE false) due"
_LENGTH: Final = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'due'::regclass"


class Sweeper:
    """Vacuums the queue of a database when enough has left it; safe to use from many threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._left = 0
        self._enough = LEAST
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def left(self, count: int) -> None:
        """So many deliveries have left the queue, which has been committed."""
        if not count:
            return
        with self._lock:
            self._left += count
            if self._left < self._enough or self._closing:
                return
            self._left = 0
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tactful-sweep", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop, after a sweep that is under way; harmless when repeated."""
        with self._lock:
            self._closing = True
            thread = self._thread
        self._wanted.set()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._wanted.wait() and not self._closing:
            try:
                with connect(self._url) as connection:
                    connection.execute(_PATIENT)
                    self._sweep_on(connection)
            except (*GONE, Unavailable) as error:
                # Autovacuum will do it, later.
                self._wanted.clear()
                log.debug("the queue was not swept: %s", error)

    def _sweep_on(self, connection: Connection) -> None:
        """Sweep whenever that is wanted; raises when the connection is lost."""
        while self._wanted.wait() and not self._closing:
            self._wanted.clear()
            connection.execute(_SWEEP)
            ((length,),) = connection.execute(_LENGTH).fetchall()
            self._enough = max(LEAST, length // SHARE)
