"""One engine's place at a store that all engines of a process share."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager

from tactful.core.model import Millis
from tactful.ports import Hear, Reader, Store, Tx


class Seat:
    """A `Store` of one engine among others.

    `taken` are the names of those who sit; an engine that ends without a word has its name taken
    out of it.
    """

    def __init__(self, store: Store, name: str, taken: set[str]) -> None:
        self.url = store.url
        self._store = store
        self._name = name
        self._taken = taken

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Tx]:
        """See `ports.Store.transaction`."""
        return self._store.transaction(durable=durable)

    def reading(self) -> AbstractContextManager[Reader]:
        """See `ports.Store.reading`."""
        return self._store.reading()

    def time(self) -> Millis | None:
        """See `ports.Store.time`."""
        return self._store.time()

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`."""
        self._store.listen(hear)

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        assert owner == self._name
        self._taken.add(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        return set(owners) - self._taken

    def close(self) -> None:
        """The store stays open for the others."""
        self._taken.discard(self._name)
