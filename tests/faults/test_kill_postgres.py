"""Senders, and their server, are killed while they work on PostgreSQL; the books are right.

Several senders work on one database. What a dead one held is released in its name, as the
supervisor of a group does; what the living hold is not touched by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate, count
from random import Random
from uuid import uuid4

import pytest
from judged import check_store, judge, play, seeds
from proof.lives import Case, draw_death, open_app
from proof.on_postgres import await_back, await_gone, named

from tactful import State
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import PostgresServer


def bury(url: str, owner: str) -> set[tuple[str, int]]:
    """Release what a dead sender held; gives the attempts of it that had begun."""
    await_gone(url, owner)
    app = open_app(url)
    held = [row for row in app.deliveries(state=State.SENDING, limit=10_000) if row.owner == owner]
    now = app.clock.now()
    with app.store.transaction() as tx:
        released = tx.release(now, owners=[owner])
        others = [row for row in tx.deliveries(state=State.SENDING) if row.owner != owner]
    app.close()
    assert released == len(held)
    assert [row for row in others if row.due_at <= now] == []
    return {(row.id, row.attempts) for row in held if row.begun}


def kill_one_of_two(url: str, seed: int, kills: int) -> int:
    """Gives how many were really killed. The other one lives from the beginning to the end."""
    in_hand: set[tuple[str, int]] = set()

    def live(case: Case, draw: Random) -> None:
        with case.room.colleague(named(url, "living"), "living"):
            for number in range(kills):
                owner = f"mortal{number}"
                case.live(draw_death(draw), url=named(url, owner), owner=owner)
                in_hand.update(bury(url, owner))
                check_store(url)
            case.live(url=named(url, "last"), owner="last")

    books, killed = play(url, seed, live)
    tally = judge(books, seed, killed)
    late = [event for event in books.events if event.name == "late"]

    assert books.unanswered() <= in_hand, f"{seed=}: of the living one, too"
    assert late == [], f"{seed=}"
    return tally.killed


def kill_the_only_one(url: str, seed: int, kills: int) -> int:
    """Gives how many were really killed; each finds what the one before left."""

    def live(case: Case, draw: Random) -> None:
        for number in range(kills):
            owner = f"mortal{number}"
            case.live(draw_death(draw), url=named(url, owner))
            await_gone(url, owner)
            check_store(url)
        case.live()

    await_back(url)
    books, killed = play(url, seed, live)
    return judge(books, seed, killed).killed


def test_nothing_is_lost_or_too_much_whenever_one_of_two_senders_is_killed(
    postgres_store_url: str,
) -> None:
    (seed,) = seeds(1)

    kill_one_of_two(postgres_store_url, seed, 4)  # it judges; some seeds kill late, and seldom


def test_nothing_is_lost_or_too_much_whenever_the_only_sender_is_killed(
    postgres_store_url: str,
) -> None:
    (seed,) = seeds(1)

    kill_the_only_one(postgres_store_url, seed, 4)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("history", range(5))
@pytest.mark.parametrize("kill", [kill_the_only_one, kill_one_of_two])
def test_nothing_is_lost_or_too_much_in_many_deaths_on_postgres(
    kill: Callable[[str, int, int], int], history: int, postgres_store_url: str
) -> None:
    """All of these histories together: about a hundred deaths."""
    (seed,) = seeds(1)
    print(f"{history=} {kill.__name__}")

    assert kill(postgres_store_url, seed, 12) > 2


# The server dies -------------------------------------------------------------------------------


class Crashes:
    """A PostgreSQL of its own that can be crashed from any thread.

    A server ends with the thread that started it: that is one which lives as long as this.
    """

    def __init__(self, keeper: ThreadPoolExecutor) -> None:
        self._keeper = keeper
        self._server = PostgresServer()
        keeper.submit(self._server.start).result()

    def crash(self) -> Future[None]:
        """All its processes are killed, and it starts again; done when it answers."""
        return self._keeper.submit(self._crash)

    def close(self) -> None:
        self._keeper.submit(self._server.close).result()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty store that is gone afterwards."""
        name = f"tactful_{uuid4().hex}"
        self._server.create_database(name)
        PostgresStore(self._server.url(name)).close()
        yield self._server.url(name)
        self._server.drop_database(name)

    def _crash(self) -> None:
        self._server.kill()
        self._server.start()


@pytest.fixture(scope="module")
def server() -> Iterator[Crashes]:
    with ThreadPoolExecutor(1) as keeper:
        crashes = Crashes(keeper)
        yield crashes
        crashes.close()


def crash_often(server: Crashes, seed: int, crashes: int) -> None:
    """The server dies when a mail is on its way or at any time around, and its sender lives on."""
    done: list[Future[None]] = []

    def live(case: Case, draw: Random) -> None:
        places = set(accumulate(draw.randint(2, 12) for _ in range(crashes)))
        events = count()

        def watch(event: str) -> None:
            if event in ("envelope", "taken") and next(events) in places:
                done.append(server.crash())
                if draw.random() < 0.5:
                    done[-1].result()  # the mail server waits with its answer

        case.room.watch = watch
        case.live()

    with server.database() as url:
        books, _ = play(url, seed, live)
    judge(books, seed, 0)

    assert len(done) == crashes
    assert books.unanswered() == set(), f"{seed=}: its sender lived"


def test_nothing_is_lost_or_too_much_when_the_server_is_killed_under_a_sender(
    server: Crashes,
) -> None:
    (seed,) = seeds(1)
    crash_often(server, seed, 3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("history", range(10))
def test_nothing_is_lost_or_too_much_in_many_deaths_of_the_server(
    server: Crashes, history: int
) -> None:
    (seed,) = seeds(1)
    print(f"{history=}")
    crash_often(server, seed, 8)
