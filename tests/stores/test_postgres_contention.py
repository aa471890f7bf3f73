"""Two transactions on PostgreSQL that wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tactful import Tactful
from tactful.core.errors import Contended
from tactful.ports import Store, Tx
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore

PATIENCE_S = 20


def test_one_of_two_that_wait_for_each_other_is_told_to_try_again(used_store_url: str) -> None:
    store = PostgresStore(used_store_url)
    both = threading.Barrier(2)
    outcomes: list[str] = []

    def meet(first: str, second: str) -> None:
        try:
            with store.transaction() as tx:
                tx.guard([first])
                both.wait(PATIENCE_S)
                tx.guard([second])
            outcomes.append("done")
        except Contended:
            outcomes.append("told")

    threads = [
        threading.Thread(target=meet, args=names) for names in (("ada", "bob"), ("bob", "ada"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    store.close()

    assert sorted(outcomes) == ["done", "told"]


class Crowded:
    """A store that lets others go first, so many times."""

    def __init__(self, store: Store, times: int) -> None:
        self._store, self.times = store, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        with self._store.transaction(durable=durable) as tx:
            yield tx
            if self.times:
                self.times -= 1
                raise Contended("another had to go first")


def test_a_caller_does_not_hear_of_it() -> None:
    store = Crowded(MemoryStore(), 0)
    app = Tactful(store)
    store.times = 3
    sent = app.send(type="news", to="ada", text="hello")
    store.times = 3
    cast = app.broadcast(type="news", text="hello all")
    assert (sent.decision, cast.decision) == ("send", "queued")
    assert app.counts() == {"queued": 1}
    app.close()
