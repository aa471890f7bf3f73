"""Who sends, and who has news.

Senders share an advisory lock of a session that they keep, which the server frees however they
end. Whoever gets it alone for an instant knows that nobody else is sending, unless the server has
just been started: then the others may only not have come back yet.

A listening process hears what others have committed. While its connection is lost, everything may
be news.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from tactful.core.errors import Unavailable
from tactful.stores.postgres.connection import GONE, Connection, connect
from tactful.stores.postgres.locks import SENDERS

log = logging.getLogger("tactful.stores.postgres")

BACK_S: Final = 10
"""Within so many seconds after the server's start its clients are back."""

_POLL_S: Final = 1.0

_TRY_ALONE: Final = "SELECT pg_try_advisory_lock(%s)"
_SHARE: Final = "SELECT pg_advisory_lock_shared(%s)"
_UNLOCK: Final = "SELECT pg_advisory_unlock(%s)"
_DOUBTFUL: Final = (
    "SELECT now() - pg_postmaster_start_time() < make_interval(secs => %s)"
    " AND EXISTS (SELECT 1 FROM due WHERE state = 'sending')"
)


class Presence:
    """One process among those that work on a database."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._lock = threading.Lock()
        self._session: Connection | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def join(self, alone: Callable[[], None] | None) -> bool:
        """Say that this process sends; gives whether it is the only one, having called `alone`."""
        with self._lock:
            session = self._sharing()
            if not _says(session, _TRY_ALONE, SENDERS):
                return False
            try:
                doubtful = _says(session, _DOUBTFUL, BACK_S)
                if alone is not None and not doubtful:
                    alone()
            finally:
                session.execute(_UNLOCK, (SENDERS,))
            return not doubtful

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from a thread of its own, when there may be news."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(wake,), name="tactful-listen", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Leave; harmless when repeated."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _sharing(self) -> Connection:
        """The session that holds the senders' lock, a new one if the old one was lost."""
        if self._session is not None:
            try:
                self._session.execute("SELECT 1")
            except GONE:
                self._session.close()
                self._session = None
        if self._session is None:
            session = connect(self._url)
            session.execute("SET lock_timeout = 0")
            session.execute(_SHARE, (SENDERS,))
            self._session = session
        return self._session

    def _run(self, wake: Callable[[], None]) -> None:
        while not self._closing.is_set():
            try:
                self._hear(wake)
            except (*GONE, Unavailable) as error:
                log.warning("not listening: %s", error)
                wake()
                self._closing.wait(_POLL_S)

    def _hear(self, wake: Callable[[], None]) -> None:
        """Listen until closing; raises when the connection is lost."""
        with connect(self._url) as connection:
            connection.execute(f"LISTEN {self._channel}")
            wake()
            while not self._closing.is_set():
                for _ in connection.notifies(timeout=_POLL_S, stop_after=1):
                    wake()
                with self._lock:
                    if self._session is not None:
                        self._sharing()


def _says(session: Connection, question: str, value: int) -> bool:
    row = session.execute(question, (value,)).fetchone()
    assert row is not None
    return bool(row[0])
