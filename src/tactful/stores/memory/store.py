"""The store itself: one lock, one transaction at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import RLock

from tactful.core.errors import Unavailable
from tactful.core.model import Millis
from tactful.ports import Hear, Reader, Tx
from tactful.stores.memory.deliveries import Deliveries
from tactful.stores.memory.facts import Facts
from tactful.stores.memory.moves import Moves
from tactful.stores.memory.settings import Settings
from tactful.stores.memory.takeover import TakeOver
from tactful.stores.memory.upkeep import Upkeep


class _Everything(Deliveries, Moves, Facts, TakeOver, Settings, Upkeep):
    """All verbs over the same tables."""


class MemoryStore:
    """A `Store` that keeps everything in this process and forgets it with the process.

    Readers and writers wait for each other. A transaction, or a reading, that is begun by a thread
    inside a transaction of its own is a bug (AssertionError): it could only see half of it.
    """

    def __init__(self, url: str = "memory://") -> None:
        self.url = url
        self._lock = RLock()
        self._tables = _Everything()
        self._writing = False
        self._viewed = False
        self._closed = False

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        """See `Store.transaction`; `durable` makes no difference here."""
        with self._lock:
            self._check()
            assert not self._writing, "a transaction inside a transaction"
            self._writing = True
            try:
                yield self._tables
            except BaseException:
                self._tables.journal.roll_back()
                raise
            else:
                self._tables.journal.commit()
            finally:
                self._writing = False

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """See `Store.reading`."""
        with self._lock:
            self._check()
            assert not self._writing, "a reading inside a transaction; ask the transaction itself"
            assert not self._viewed, "a reading inside a reading"
            self._viewed = True
            try:
                yield self._tables
            finally:
                self._viewed = False

    def time(self) -> Millis | None:
        """See `ports.Store.time`: the machine's clock is as good."""
        return None

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`: there is no other process."""

    def join(self, owner: str) -> None:
        """See `Store.join`; no other process can reach this store."""

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `Store.gone`; whoever asks is the only one."""
        return set(owners)

    def close(self) -> None:
        """See `Store.close`; what is stored goes with the object."""
        with self._lock:
            self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise Unavailable(f"store {self.url}: is closed")
