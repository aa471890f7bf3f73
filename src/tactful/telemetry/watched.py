"""A store and channels that tell a probe how long they take; nothing else about them changes.

To watch at the ports costs the engine nothing where nobody does, and needs no line in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tactful.core.errors import Contended, Unavailable
from tactful.core.model import Accepted, Message, Millis, Outcome, Rejected, Retry
from tactful.ports import Channel, Hear, Probe, Reader, Store, Tx

_NAMES: Final = {Accepted: "accepted", Retry: "retry", Rejected: "rejected"}


class WatchedStore:
    """`ports.Store` over another one; `seconds` reads a clock that only runs."""

    def __init__(self, store: Store, probe: Probe, seconds: Callable[[], float]) -> None:
        self.inner = store
        self.url = store.url
        self._probe = probe
        self._seconds = seconds
        self._kinds = {True: "true", False: "false"}

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        """See `ports.Store.transaction`."""
        began = decided = self._seconds()
        about = self._kinds[durable]
        try:
            with self.inner.transaction(durable=durable) as tx:
                yield tx
                decided = self._seconds()
            ended = self._seconds()
            self._probe.took("commit", ended - decided, about)
            self._probe.took("transaction", ended - began, about)
        except Unavailable as error:
            self._note(error)
            raise

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """See `ports.Store.reading`."""
        try:
            with self.inner.reading() as reader:
                yield reader
        except Unavailable as error:
            self._note(error)
            raise

    def time(self) -> Millis | None:
        """See `ports.Store.time`."""
        return self.inner.time()

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`."""
        self.inner.listen(hear)

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        self.inner.join(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        return self.inner.gone(owners)

    def close(self) -> None:
        """See `ports.Store.close`."""
        self.inner.close()

    def _note(self, error: Unavailable) -> None:
        self._probe.happened("contended" if isinstance(error, Contended) else "unavailable")


class WatchedChannel:
    """`ports.Channel` over another one; `seconds` reads a clock that only runs."""

    def __init__(self, channel: Channel, probe: Probe, seconds: Callable[[], float]) -> None:
        self.inner = channel
        self.name = channel.name
        self.address_kind = channel.address_kind
        self.concurrency = channel.concurrency
        self.batch = channel.batch
        self._probe = probe
        self._seconds = seconds

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        self._probe.began("send", self.name)
        began = self._seconds()
        words: Counter[str] = Counter(raised=len(messages))
        try:
            outcomes = list(self.inner.send(messages))
            words = Counter(_NAMES.get(type(one), "unknown") for one in outcomes)
            return outcomes
        finally:
            self._probe.took("send", self._seconds() - began, self.name)
            for word, times in words.items():
                self._probe.happened(word, times, self.name)

    def close(self) -> None:
        """See `ports.Channel.close`."""
        self.inner.close()
