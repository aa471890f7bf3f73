"""What one worker cannot know: who has come since, and whether its last commit was made."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tactful import Message, Outcome, State, Tactful
from tactful.core.errors import Unavailable
from tactful.ports import Store, Tx
from tactful.stores.memory import MemoryStore
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing import CaptureChannel
from tactful.testing.servers.postgres import PostgresServer

PATIENCE_S = 8


class Door:
    def __init__(self) -> None:
        self.inside, self.opened = threading.Event(), threading.Event()

    def __call__(self, message: Message) -> Outcome | None:
        self.inside.set()
        assert self.opened.wait(PATIENCE_S)
        return None


class Slow:
    """A store that somebody else joins while it looks for who is gone."""

    def __init__(self, store: Store, meanwhile: Any) -> None:
        self._store, self._meanwhile = store, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def gone(self, owners: Collection[str]) -> set[str]:
        found = self._store.gone(owners)
        self._meanwhile()
        return found


def test_who_was_alone_does_not_take_from_who_came_since(tmp_path: Path) -> None:
    """Nobody else sends; another worker joins and begins a hand-over; and then the first one
    releases the leases "of nobody": the other one's. Two copies would go out while both live.
    """
    url = f"sqlite:///{tmp_path / 't.db'}"
    door = Door()
    second = Tactful(url, channels=[CaptureChannel("post", door)], owner="second")
    sent = second.send(type="news", to="ada", text="once")

    def meanwhile() -> None:
        second.start()
        assert door.inside.wait(PATIENCE_S)

    post = CaptureChannel("post")
    first = Tactful(Slow(SqliteStore(url), meanwhile), channels=[post], owner="first")
    first.tick()
    taken = [message.id for message in post.messages]
    door.opened.set()
    second.drain(PATIENCE_S)
    second.close()
    first.close()

    assert taken == [], f"{sent.delivery_id} is being sent by somebody who lives"


class Deaf:
    """A store that commits, and whose answer is lost, once after `armed` is set."""

    def __init__(self, store: Store) -> None:
        self._store, self.armed = store, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        leased = False
        with self._store.transaction(durable=durable) as tx:
            plain = tx.lease

            def lease(leases: Any) -> None:
                nonlocal leased
                leased = leased or bool(leases)
                plain(leases)

            tx.lease = lease  # type: ignore[method-assign]
            yield tx
        if leased and self.armed.is_set():
            self.armed.clear()
            raise Unavailable("the answer to COMMIT was lost")


def test_a_claim_whose_commit_was_not_answered_is_not_lost_for_a_lease() -> None:
    """The attempt is written, nobody sends: it waits 15 minutes for the end of its own lease."""
    store = Deaf(MemoryStore("memory://"))
    post = CaptureChannel("post")
    app = Tactful(store, channels=[post], owner="me")
    sent = app.send(type="news", to="ada", text="soon")
    store.armed.set()
    never = threading.Event()
    with app:
        for _ in range(100 * PATIENCE_S):
            if post.messages:
                break
            never.wait(0.01)
    row = app.delivery(sent.delivery_id or "")
    assert row is not None
    assert row.state is State.DELIVERED, (row.state, row.begun, row.owner)


def test_after_a_restart_of_the_server_the_next_call_works() -> None:
    """Each idle connection of the pool costs one call that fails, although the server is there."""
    with PostgresServer() as server:
        app = Tactful(server.url())
        app.counts()
        server.restart()
        try:
            app.send(type="news", to="ada", text="hello")
        finally:
            app.close()


def test_ticks_at_once_leave_each_other_alone() -> None:
    """What another thread was just claiming was taken for claimed unawares, and sent twice."""
    post = CaptureChannel("post", batch=1)
    app = Tactful("memory://", channels=[post])
    app.send_many([{"type": "news", "to": f"p{n}", "text": "once"} for n in range(500)])
    together = threading.Barrier(4)

    def tick() -> None:
        together.wait(PATIENCE_S)
        app.tick()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(message.address for message in post.messages) == sorted(
        f"p{n}" for n in range(500)
    )
    assert all(message.attempt == 1 for message in post.messages)
