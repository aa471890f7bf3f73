"""A worker that is kept free for what is critical, and those that leave it to that one."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tactful import Recipient, State, Tactful
from tactful.core.errors import RequestError
from tactful.core.model import Priority
from tactful.runtime.pace import LEFT_MS
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.postgres.writing import CHANNEL
from tactful.testing import CaptureChannel, ManualClock

PATIENCE_S = 20


class Post(CaptureChannel):
    """A channel that says to whom something went."""

    def __init__(self) -> None:
        self._gone: queue.SimpleQueue[str] = queue.SimpleQueue()
        super().__init__("post", lambda message: self._gone.put(message.recipient))

    def next(self) -> str:
        """To whom the next one goes."""
        return self._gone.get(timeout=PATIENCE_S)

    def everybody(self) -> set[str]:
        """To whom anything has gone."""
        return {message.recipient for message in self.messages}


Make = Callable[..., tuple[Tactful, Post]]


@pytest.fixture
def clock() -> ManualClock:
    """Stands still unless it is moved."""
    return ManualClock(1_767_225_600_000)


@pytest.fixture
def make(clock: ManualClock) -> Iterator[Make]:
    """Makes engines on one clock, each with what it sends through."""
    made: list[Tactful] = []

    def engine(store: Any) -> tuple[Tactful, Post]:
        post = Post()
        made.append(Tactful(store, channels=[post], clock=clock))
        return made[-1], post

    yield engine
    for app in made:
        app.close()


def say(app: Tactful, to: str, priority: str) -> None:
    app.send(type="note", to=to, text="x", priority=priority)


def test_the_rest_is_left_alone_by_the_worker_for_what_is_critical(make: Make) -> None:
    app, post = make(MemoryStore())
    say(app, "ada", "critical")
    say(app, "bob", "high")
    app.start("urgent")
    assert post.next() == "ada"
    say(app, "eve", "critical")
    assert post.next() == "eve"
    app.stop()

    app.tick()
    assert post.next() == "bob", "whoever has stopped leaves nothing to others"


def test_what_is_critical_is_left_to_its_worker_for_a_while_and_no_longer(
    make: Make, clock: ManualClock
) -> None:
    app, post = make(MemoryStore())
    say(app, "ada", "critical")
    say(app, "bob", "low")
    app.start("rest")
    assert post.next() == "bob"

    clock.advance(LEFT_MS - 1)
    say(app, "eve", "low")
    assert post.next() == "eve"

    clock.advance(1)
    assert app.drain(PATIENCE_S)
    assert post.next() == "ada"


def test_two_on_one_postgresql_divide_the_work(make: Make, used_store_url: str) -> None:
    submitter, _ = make(used_store_url)
    urgent, quick = make(used_store_url)
    rest, slow = make(used_store_url)
    people = (Recipient(f"p{n}", addresses={"post": f"p{n}"}) for n in range(9))
    submitter.recipients.put_many(people)
    urgent.start("urgent")
    rest.start("rest")
    submitter.broadcast(type="note", text="x")
    for number in range(5):
        say(submitter, f"a{number}", "critical")
    # Each waits for what it sends itself; what the other has in hand is no longer due.
    assert urgent.drain(PATIENCE_S)
    assert rest.drain(PATIENCE_S)

    assert submitter.counts() == {State.DELIVERED: 14}
    assert quick.everybody() == {f"a{number}" for number in range(5)}
    assert slow.everybody() == {f"p{number}" for number in range(9)}


def test_postgresql_tells_how_urgent_the_news_is(make: Make, used_store_url: str) -> None:
    app, _ = make(used_store_url)
    heard: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    other = PostgresStore(used_store_url)
    other.listen(heard.put)
    try:
        assert heard.get(timeout=PATIENCE_S) is None, "there may be something from before"
        say(app, "ada", "critical")
        assert heard.get(timeout=PATIENCE_S) == Priority.CRITICAL
        submissions = [
            {"type": "note", "to": f"p{p}", "text": "x", "priority": p} for p in ("low", "high")
        ]
        app.send_many(submissions)
        assert heard.get(timeout=PATIENCE_S) == Priority.HIGH
        with psycopg.connect(used_store_url, autocommit=True) as connection:
            connection.execute(f"NOTIFY {CHANNEL}, 'of another version'")
        assert heard.get(timeout=PATIENCE_S) is None
        app.recipients.put(Recipient("eve"))
        app.broadcast(type="note", text="x", priority="critical")
        assert heard.get(timeout=PATIENCE_S) is None, "a broadcast is carried on by whoever can"
    finally:
        other.close()


def test_a_share_that_there_is_not(make: Make) -> None:
    app, _ = make(MemoryStore())
    with pytest.raises(RequestError, match="share: must be one of all, urgent, rest"):
        app.start("most")  # type: ignore[arg-type]
