"""A worker that stops itself at a point of its work, as if the machine had frozen it.

Started as `python frozen_process.py URL PORT CLOCK POINT NTH`. Its clocks, also the one that
permits look at, are the file CLOCK. It stops before its NTH `transaction`, or before it asks
whether its NTH message still has its `permit`, or when it gets SIGUSR1. It works until its standard
input ends.
"""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from shared_clock import SharedClock

from tactful.channels.smtp import SmtpChannel
from tactful.core.model import Message, Outcome
from tactful.engine.compose import Composer
from tactful.engine.context import Context
from tactful.engine.identity import Ids
from tactful.engine.listeners import Listeners
from tactful.engine.rulebook import Rulebook
from tactful.engine.settings import Settings
from tactful.engine.timekeeper import Timekeeper
from tactful.ports import Store, Tx
from tactful.runtime.entropy import random_bits
from tactful.runtime.worker import Worker
from tactful.stores.chosen import open_store

LEASE_MS = 10_000


class Freezing:
    """Stops this process once, when it comes to a point for the `nth` time.

    It waits for the transaction that is under way: a frozen one holds up others until the server
    ends it, and a test would have to wait for that.
    """

    def __init__(self, point: str, nth: int) -> None:
        self.transaction = threading.RLock()
        self._point = point
        self._nth = nth
        self._numbers = count(1)

    def pass_by(self, point: str) -> None:
        if point == self._point and next(self._numbers) == self._nth:
            self.freeze()

    def freeze(self) -> None:
        with self.transaction:
            # Sent to this very thread, it takes effect before it goes on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


class FreezingStore:
    """A store whose transactions are points, one after the other."""

    def __init__(self, store: Store, freezing: Freezing) -> None:
        self._store = store
        self._freezing = freezing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def join(self, owner: str) -> None:
        self._freezing.pass_by("join")
        self._store.join(owner)
        self._freezing.pass_by("join")

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        with self._freezing.transaction:
            self._freezing.pass_by("transaction")
            with self._store.transaction(durable=durable) as tx:
                yield tx


class FreezingMail(SmtpChannel):
    """A channel to which each permit is a point."""

    freezing = Freezing("", 0)

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return super().send([self._watched(message) for message in messages])

    def _watched(self, message: Message) -> Message:
        def may_go() -> bool:
            self.freezing.pass_by("permit")
            return message.may_go()

        return replace(message, may_go=may_go)


def main(url: str, port: str, clock_file: str, point: str, nth: str) -> None:
    clock = SharedClock(Path(clock_file))
    freezing = Freezing(point, int(nth))
    signal.signal(signal.SIGUSR1, lambda *_: freezing.freeze())
    mail = FreezingMail(
        host="127.0.0.1", port=int(port), sender="tactful@example.org", connections=1, batch=2
    )
    mail.freezing = freezing
    store: Any = FreezingStore(open_store(url), freezing)
    context = Context(
        store,
        Rulebook(),
        {"email": mail},
        "email",
        Timekeeper(clock),
        Ids(random_bits(None)),
        Settings(lease_ms=LEASE_MS),
        lambda: None,
        "frozen",
        clock.now,
    )
    worker = Worker(context, Composer(), Listeners(context), lambda: None)
    worker.start()
    sys.stdin.read()
    worker.stop()
    mail.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
