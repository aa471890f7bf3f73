"""A1 and LIM-11 on one machine: as many threads as you like, exactly as many as allowed."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from acceptance_world import DAY, World, most_in

from tactful import Accepted, Message, Receipt, Rule, State, Tactful, errors
from tactful.ports import Reader
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel

THREADS = 50
ROUNDS = 100


def slow_gateway() -> CaptureChannel:
    """Takes 20 ms for each message, as many side by side as it likes."""
    pause = threading.Event()

    def takes_its_time(_: Message) -> Accepted:
        pause.wait(0.02)
        return Accepted(arrived=True)

    return CaptureChannel("post", takes_its_time, concurrency=16, batch=4)


def rounds(count: int, act: Callable[[int, int], Any]) -> list[list[Any]]:
    """In each round all threads act at the same moment; gives what they got, by round."""
    start = threading.Barrier(THREADS)
    found: list[list[Any]] = [[None] * THREADS for _ in range(count)]

    def run(thread: int) -> None:
        for number in range(count):
            start.wait(60)
            found[number][thread] = act(number, thread)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))
    return found


@pytest.mark.parametrize("on_limit", ["reject", "defer"])
def test_a_1_and_lim_11_fifty_threads_and_a_slow_gateway_give_one_in_every_round(
    url: str, on_limit: str
) -> None:
    # Of PostgreSQL, processes and threads together tell more: test_many_processes.
    count = ROUNDS // 5 if url.startswith("postgres") else ROUNDS
    channel = slow_gateway()
    app = Tactful(url, channels=[channel])
    app.rules.put(Rule("news", types=["news"], limit="1/day", on_limit=on_limit))

    def send(number: int, thread: int) -> Receipt:
        return app.send(type="news", to=f"user{number}", text=f"from {thread}")

    with app:
        receipts = rounds(count, send)
        assert app.drain(60)
    states = app.counts()
    app.close()

    others = count * (THREADS - 1)
    assert Counter(message.recipient for message in channel.messages) == {
        f"user{number}": 1 for number in range(count)
    }
    for answers in receipts:
        assert Counter(r.decision for r in answers) == {"send": 1, on_limit: THREADS - 1}
    rest = State.REJECTED if on_limit == "reject" else State.DEFERRED
    assert states == {State.DELIVERED: count, rest: others}
    if on_limit == "defer":
        for answers in receipts:
            slots = [answer.deliver_at for answer in answers]
            assert most_in(slots, DAY) == 1


def test_lim_11_a_limit_of_several_is_met_exactly(url: str) -> None:
    channel = slow_gateway()
    app = Tactful(url, channels=[channel])
    app.rules.put(Rule("news", types=["news"], limit="7/day", on_limit="reject"))
    start = threading.Barrier(THREADS)

    def send(thread: int) -> str:
        start.wait(60)
        return app.send(type="news", to=f"user{thread % 2}", text="x").decision

    with app, ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(send, range(THREADS)))
        assert app.drain(60)
    app.close()

    assert Counter(answers) == {"send": 14, "reject": 36}
    assert Counter(message.recipient for message in channel.messages) == {"user0": 7, "user1": 7}


def test_lim_11_fifty_threads_with_one_key_are_one_message(url: str) -> None:
    channel = slow_gateway()
    app = Tactful(url, channels=[channel])
    start = threading.Barrier(THREADS)

    def send(_: int) -> Receipt:
        start.wait(60)
        return app.send(type="news", to="ann", text="x", idempotency_key="k")

    with app, ThreadPoolExecutor(THREADS) as pool:
        receipts = list(pool.map(send, range(THREADS)))
        assert app.drain(60)
    app.close()

    assert len({receipt.delivery_id for receipt in receipts}) == 1
    assert sum(not receipt.replayed for receipt in receipts) == 1
    assert len(channel.messages) == 1


def test_lim_11_one_callers_mistake_is_not_anothers(url: str) -> None:
    """Callers share a commit; only the one whose key does not fit hears of it."""
    app = Tactful(url)
    app.send(type="news", to="ann", text="x", idempotency_key="taken")
    start = threading.Barrier(THREADS)

    def send(thread: int) -> str:
        start.wait(60)
        key = "taken" if thread % 10 == 0 else f"k{thread}"
        try:
            return app.send(type="news", to="ann", text="other", idempotency_key=key).decision
        except errors.IdempotencyConflict:
            return "conflict"

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(send, range(THREADS)))
    app.close()

    assert Counter(answers) == {"send": 45, "conflict": 5}


class WatchedStore(MemoryStore):
    """Calls `watch` whenever the worker is about to ask the store something."""

    watch: Callable[[], None] | None = None

    def reading(self) -> AbstractContextManager[Reader]:
        if self.watch is not None and threading.current_thread().name == "tactful-worker":
            self.watch()
        return super().reading()


def test_pro_2_drained_means_that_nothing_is_under_way() -> None:
    """However the threads fall: not between a claim and the hand-over either."""
    gate = threading.Event()
    store = WatchedStore()
    channel = CaptureChannel("post", lambda _: Accepted(arrived=gate.wait(60)))
    app = Tactful(store, channels=[channel])
    early: list[bool] = []
    asked = threading.Event()

    def ask() -> None:
        if app.drain(0) and not gate.is_set():
            early.append(True)

    def watch() -> None:
        other = threading.Thread(target=ask)
        other.start()
        other.join(0.5)
        if channel.messages:
            asked.set()

    app.send(type="news", to="ann", text="x")
    store.watch = watch
    with app:
        assert asked.wait(30)
        gate.set()
        assert app.drain(30)
    delivered = app.counts()
    app.close()

    assert delivered == {State.DELIVERED: 1}
    assert early == []


def test_con_7_two_engines_share_the_work_of_one_limit(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world(f"sqlite:///{tmp_path}/shared.db")
    other = world.open()
    world.app.rules.put(Rule("news", types=["news"], limit="3/day"))
    with world.app, other, ThreadPoolExecutor(8) as pool:
        apps = (world.app, other)
        list(
            pool.map(
                lambda n: apps[n % 2].send(type="news", to=f"user{n % 5}", text=str(n)),
                range(200),
            )
        )
        assert world.app.drain(60)
        assert other.drain(60)

    assert Counter(world.recipients) == {f"user{number}": 3 for number in range(5)}
    assert world.app.counts() == {State.DELIVERED: 15, State.DEFERRED: 185}
