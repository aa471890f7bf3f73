"""Who sends, and who has news.

Every sender holds an advisory lock of its own in a session that it keeps, which the server frees
however the sender ends: a name whose lock nobody holds is that of a sender who is gone, unless the
server has just been started; then it may only not have come back yet. The locks are only looked at
by others, never waited for, so a process that is stopped holds up no other one.

A listening process hears what others have committed. While its connection is lost, everything may
be news.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from typing import Final

from tactful.core.errors import Unavailable
from tactful.ports import Hear
from tactful.stores.postgres.connection import GONE, Connection, connect
from tactful.stores.postgres.locks import SENDERS

log = logging.getLogger("tactful.stores.postgres")

BACK_S: Final = 10
"""Within so many seconds after the server's start its clients are back."""

_POLL_S: Final = 1.0

# Shared, so that nobody ever waits: names that have the same hash hold the same lock.
_HOLD: Final = "SELECT pg_advisory_lock_shared(%s, hashtext(%s))"
_HELD: Final = """
SELECT objid::bigint::bit(32)::int FROM pg_locks
WHERE locktype = 'advisory' AND classid = %(kind)s AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_GONE: Final = f"""
SELECT name FROM unnest(%(names)s::text[]) AS name
WHERE now() - pg_postmaster_start_time() >= make_interval(secs => %(back)s)
    AND hashtext(name) NOT IN ({_HELD})
"""
_ANYBODY: Final = f"""
SELECT EXISTS ({_HELD}) OR (
    now() - pg_postmaster_start_time() < make_interval(secs => %(back)s)
    AND EXISTS (SELECT 1 FROM due WHERE state = 'sending')
)
"""


class Presence:
    """One process among those that work on a database."""

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._lock = threading.Lock()
        self._owners: set[str] = set()
        self._session: Connection | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        with self._lock:
            session = self._present()
            if owner not in self._owners:
                session.execute(_HOLD, (SENDERS, owner))
                self._owners.add(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        with self._lock:
            values = {"names": list(owners), "back": BACK_S, "kind": SENDERS}
            return {name for (name,) in self._present().execute(_GONE, values).fetchall()}

    def anybody(self) -> bool:
        """Whether anybody sends, or may be on the way back."""
        with self._lock:
            values = {"back": BACK_S, "kind": SENDERS}
            return self._present().execute(_ANYBODY, values).fetchall() == [(True,)]

    def listen(self, hear: Hear) -> None:
        """Have `hear` called, from a thread of its own, when there may be news."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(hear,), name="tactful-listen", daemon=True
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

    def _present(self) -> Connection:
        """The session that holds the locks, a new one if the old one was lost."""
        if self._session is not None:
            try:
                self._session.execute("SELECT 1")
            except GONE:
                self._session.close()
                self._session = None
        if self._session is None:
            session = connect(self._url)
            for owner in self._owners:
                session.execute(_HOLD, (SENDERS, owner))
            self._session = session
        return self._session

    def _run(self, hear: Hear) -> None:
        while not self._closing.is_set():
            try:
                self._hear(hear)
            except (*GONE, Unavailable) as error:
                log.warning("not listening: %s", error)
                hear(None)
                self._closing.wait(_POLL_S)

    def _hear(self, hear: Hear) -> None:
        """Listen until closing; raises when the connection is lost."""
        with connect(self._url) as connection:
            connection.execute(f"LISTEN {self._channel}")
            hear(None)
            while not self._closing.is_set():
                for notice in connection.notifies(timeout=_POLL_S, stop_after=1):
                    hear(int(notice.payload) if notice.payload.isdecimal() else None)
                with self._lock:
                    if self._session is not None:
                        self._present()
