"""The worker with its real threads: it starts, stops, drains, and survives what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tactful import Accepted, Event, Message, Outcome, Rule, State, Tactful
from tactful.core.errors import Unavailable
from tactful.ports import Reader, Store, Tx
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel, ManualClock

PATIENCE_S = 8
START = 1_767_225_600_000
HOUR = 3_600_000


class Door:
    """What becomes of messages at a channel: whoever comes in waits until the door is opened."""

    def __init__(
        self, *, open_: bool = False, stops: Callable[[Message], bool] | None = None
    ) -> None:
        self.inside = threading.Event()
        self.opened = threading.Event()
        self.passed = threading.Event()
        self._stops = stops or (lambda _: True)
        if open_:
            self.opened.set()

    def __call__(self, message: Message) -> Outcome | None:
        if self._stops(message):
            self.inside.set()
            assert self.opened.wait(PATIENCE_S)
        self.passed.set()
        return None


class Flaky:
    """A store that cannot be reached while it is `down`; it counts who tried."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url
        self.down = threading.Event()
        self.asked = threading.Semaphore(0)

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Tx]:
        self._check()
        return self._store.transaction(durable=durable)

    def reading(self) -> AbstractContextManager[Reader]:
        self._check()
        return self._store.reading()

    def time(self) -> None:
        return None

    def listen(self, wake: object) -> None:
        pass

    def join(self, owner: str) -> None:
        self._store.join(owner)

    def gone(self, owners: Collection[str]) -> set[str]:
        return self._store.gone(owners)

    def close(self) -> None:
        self._store.close()

    def _check(self) -> None:
        if self.down.is_set():
            self.asked.release()
            raise Unavailable("out of reach")


@pytest.fixture
def make_app() -> Iterator[Callable[..., Tactful]]:
    made: list[Tactful] = []

    def make(store: Any = "memory://", *channels: CaptureChannel, **options: Any) -> Tactful:
        made.append(Tactful(store, channels=channels, **options))
        return made[-1]

    yield make
    for app in made:
        app.close()


MakeApp = Callable[..., Tactful]


def say(app: Tactful, to: str = "ada", **more: Any) -> str:
    receipt = app.send(**{"type": "news", "to": to, "text": to, **more})
    assert receipt.delivery_id is not None
    return receipt.delivery_id


def state(app: Tactful, delivery_id: str) -> State | None:
    found = app.delivery(delivery_id)
    return found.state if found else None


def arrives(app: Tactful, delivery_id: str) -> None:
    """Return once it has been delivered and recorded."""
    comes_to(app, delivery_id, State.DELIVERED)


def comes_to(app: Tactful, delivery_id: str, wanted: State) -> None:
    """Return once it is in this state."""
    never = threading.Event()
    for _ in range(100 * PATIENCE_S):
        if state(app, delivery_id) is wanted:
            return
        never.wait(0.01)
    raise AssertionError(f"it was not {wanted} in time")


# Start, stop, drain --------------------------------------------------------------------------


def test_it_sends_in_the_background_what_is_due(make_app: MakeApp) -> None:
    post = CaptureChannel("post")
    app = make_app("memory://", post)
    with app:
        for n in range(50):
            say(app, f"p{n}")
        assert app.drain(PATIENCE_S)

    assert len(post.messages) == 50
    assert app.counts() == {State.DELIVERED: 50}


def test_it_wakes_up_for_what_comes_and_for_what_becomes_due(make_app: MakeApp) -> None:
    door = Door(open_=True)
    app = make_app("memory://", CaptureChannel("post", door))
    with app:
        say(app)
        assert door.passed.wait(PATIENCE_S)
        door.passed.clear()
        say(app, deliver_at=app.clock.now() + 80)
        assert door.passed.wait(PATIENCE_S)


def test_it_starts_and_stops_as_often_as_one_likes(make_app: MakeApp) -> None:
    post = CaptureChannel("post")
    app = make_app("memory://", post)
    for round_ in range(1, 4):
        app.start()
        app.start()
        say(app)
        assert app.drain(PATIENCE_S)
        app.stop()
        app.stop()
        assert len(post.messages) == round_
    app.close()
    app.close()


def test_nothing_is_sent_after_it_has_stopped(make_app: MakeApp) -> None:
    post = CaptureChannel("post")
    app = make_app("memory://", post)
    app.start()
    app.stop()
    kept = say(app)

    assert state(app, kept) is State.QUEUED
    assert post.messages == []
    assert app.tick() == {"delivered": 1}


def test_stopping_lets_what_is_under_way_finish_and_be_recorded(make_app: MakeApp) -> None:
    door = Door()
    app = make_app("memory://", CaptureChannel("post", door))
    app.start()
    going = say(app)
    assert door.inside.wait(PATIENCE_S)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(app.stop)
        waiting = say(app, "bob")
        assert not stopped.done()
        door.opened.set()
        stopped.result(PATIENCE_S)

    assert state(app, going) is State.DELIVERED
    assert State.SENDING not in app.counts()
    app.tick()
    assert state(app, waiting) is State.DELIVERED


def test_draining_gives_up_when_its_time_is_over(make_app: MakeApp) -> None:
    door = Door()
    app = make_app("memory://", CaptureChannel("post", door))
    app.start()
    say(app)
    assert door.inside.wait(PATIENCE_S)

    assert app.drain(0.02) is False
    door.opened.set()
    assert app.drain(PATIENCE_S) is True


def test_draining_without_a_worker_works_in_the_callers_thread(make_app: MakeApp) -> None:
    post = CaptureChannel("post", lambda _: Accepted(threading.current_thread().name))
    app = make_app("memory://", post)
    sent = say(app)

    assert app.drain()
    found = app.delivery(sent)
    assert found is not None
    assert found.ref == threading.current_thread().name


# Lanes ---------------------------------------------------------------------------------------


def test_a_slow_channel_slows_no_other(make_app: MakeApp) -> None:
    slow, fast = Door(), Door(open_=True)
    app = make_app("memory://", CaptureChannel("slow", slow), CaptureChannel("fast", fast))
    app.start()
    say(app, channels="slow")
    assert slow.inside.wait(PATIENCE_S)
    for n in range(20):
        say(app, f"p{n}", channels="fast")

    assert fast.passed.wait(PATIENCE_S)
    slow.opened.set()
    assert app.drain(PATIENCE_S)


def test_what_is_urgent_goes_before_what_waits_for_a_lane_already(make_app: MakeApp) -> None:
    door = Door()
    post = CaptureChannel("post", door, concurrency=1, batch=5)
    app = make_app("memory://", post)
    app.send_many([{"type": "news", "to": f"p{n}", "text": "news"} for n in range(50)])
    app.start()
    assert door.inside.wait(PATIENCE_S)
    urgent = say(app, "ada", priority="critical")
    comes_to(app, urgent, State.SENDING)
    door.opened.set()

    assert app.drain(PATIENCE_S)
    assert [message.recipient for message in post.messages].index("ada") <= 5


def test_a_channel_is_called_by_no_more_threads_than_it_takes(make_app: MakeApp) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def count(_: Message) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        with lock:
            now -= 1

    app = make_app("memory://", CaptureChannel("post", count, concurrency=3, batch=1))
    with app:
        for n in range(100):
            say(app, f"p{n}")
        assert app.drain(PATIENCE_S)
    assert most <= 3


def test_what_takes_longer_than_its_lease_is_not_sent_twice(make_app: MakeApp) -> None:
    """The lease is renewed while this process is sending."""
    clock, door = ManualClock(START), Door(stops=lambda message: message.recipient == "ada")
    post = CaptureChannel("post", door, batch=1)
    app = make_app("memory://", post, clock=clock)
    app.start()
    sent = say(app)
    assert door.inside.wait(PATIENCE_S)
    for _ in range(3):
        clock.advance(HOUR)
        arrives(app, say(app, "wake"))
    door.opened.set()
    assert app.drain(PATIENCE_S)

    assert [m.recipient for m in post.messages].count("ada") == 1
    assert "rescued" not in [event.name for event in app.events(delivery_id=sent)]


def test_a_digest_that_takes_longer_than_its_lease_is_not_sent_twice(make_app: MakeApp) -> None:
    clock = ManualClock(START)
    door = Door(stops=lambda message: "<a>" in message.text)
    post = CaptureChannel("post", door)
    app = make_app("memory://", post, clock=clock)
    app.rules.put(Rule("one", "1/hour", on_limit="digest", types=["news"]))
    say(app)
    app.tick()
    members = [say(app, text=text) for text in ("<a>", "<b>", "<c>")]
    app.start()
    clock.advance(HOUR)
    say(app, "wake")
    assert door.inside.wait(PATIENCE_S)

    for _ in range(3):
        clock.advance(HOUR)
        arrives(app, say(app, "wake", type="other"))
    door.opened.set()
    assert app.drain(PATIENCE_S)

    names = [event.name for key in members for event in app.events(delivery_id=key)]
    assert "rescued" not in names
    assert sum("<b>" in message.text for message in post.messages) == 1


# Trouble -------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_reached_for_a_while_is_survived(make_app: MakeApp) -> None:
    store, door = Flaky(MemoryStore()), Door(open_=True)
    app = make_app(store, CaptureChannel("post", door))
    app.start()
    store.down.set()
    for _ in range(3):
        if not store.asked.acquire(timeout=2 * PATIENCE_S / 3):
            break
    store.down.clear()
    say(app)

    assert door.passed.wait(PATIENCE_S), "the worker did not come back"
    assert app.drain(PATIENCE_S)


def test_outcomes_are_kept_until_the_store_takes_them(make_app: MakeApp) -> None:
    """What was sent while the store was away is recorded later, and not sent again."""
    store, door = Flaky(MemoryStore()), Door()
    post = CaptureChannel("post", door)
    app = make_app(store, post)
    app.start()
    sent = say(app)
    assert door.inside.wait(PATIENCE_S)
    store.down.set()
    door.opened.set()
    assert store.asked.acquire(timeout=PATIENCE_S)
    store.down.clear()

    assert app.drain(PATIENCE_S)
    assert state(app, sent) is State.DELIVERED
    assert len(post.messages) == 1


def test_a_channel_that_is_gone_after_a_restart_stops_no_other(make_app: MakeApp) -> None:
    store = MemoryStore()
    first = make_app(store, CaptureChannel("post"), CaptureChannel("fax"))
    lost = say(first, channels="fax", priority="high")
    kept = say(first, channels="post")

    door = Door(open_=True)
    again = make_app(store, CaptureChannel("post", door))
    again.start()

    assert door.passed.wait(PATIENCE_S), "the worker died of a channel that is gone"
    again.stop()
    assert state(again, kept) is State.DELIVERED
    assert state(again, lost) is not State.DELIVERED


def test_a_channel_with_a_wrong_answer_does_not_stop_the_worker(make_app: MakeApp) -> None:
    door = Door(open_=True)

    class Nothing(CaptureChannel):
        def send(self, messages: Any) -> Any:
            return None

    app = make_app("memory://", CaptureChannel("post", door), Nothing("void"))
    with app:
        bad = say(app, channels="void")
        app.drain(0.5)
        say(app, channels="post")
        assert door.passed.wait(PATIENCE_S)
        app.drain(0.5)
    found = app.delivery(bad)
    assert found is not None
    assert (found.state, found.crashes) == (State.DEFERRED, 1)


def test_what_a_process_left_behind_goes_at_once_when_the_next_one_starts(
    make_app: MakeApp, tmp_path: Path
) -> None:
    """Nobody else can be sending it: there is no need to wait for its lease."""
    url = f"sqlite:///{tmp_path / 'tactful.db'}"

    def dies(_: Message) -> Outcome:
        raise SystemExit

    first = make_app(url, CaptureChannel("post", dies))
    left = say(first)
    with pytest.raises(SystemExit):
        first.tick()
    assert state(first, left) is State.SENDING
    first.close()

    post = CaptureChannel("post")
    again = make_app(url, post)
    again.tick()
    assert [(m.id, m.attempt, m.maybe_duplicate) for m in post.messages] == [(left, 2, True)]


def test_a_second_process_leaves_alone_what_the_first_is_sending(
    make_app: MakeApp, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'tactful.db'}"
    door, other = Door(), CaptureChannel("post")
    first, second = make_app(url, CaptureChannel("post", door)), make_app(url, other)
    first.start()
    say(first)
    assert door.inside.wait(PATIENCE_S)

    second.tick()
    assert other.messages == []
    door.opened.set()
    assert first.drain(PATIENCE_S)


def test_two_workers_on_one_file_send_each_once_and_never_over_the_limit(
    make_app: MakeApp, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'tactful.db'}"
    post = CaptureChannel("post")
    one, other = make_app(url, post), make_app(url, post)
    one.rules.put(Rule("three", "3/hour"))
    with one, other:
        for n in range(30):
            say(one if n % 2 else other, f"p{n % 5}")
        assert one.drain(PATIENCE_S)
        assert other.drain(PATIENCE_S)

    assert len({message.id for message in post.messages}) == len(post.messages) == 15
    assert {m.recipient for m in post.messages} == {f"p{n}" for n in range(5)}


# Listeners -----------------------------------------------------------------------------------


def test_a_slow_listener_slows_no_sending(make_app: MakeApp) -> None:
    post = CaptureChannel("post")
    app = make_app("memory://", post)
    busy, go_on = threading.Event(), threading.Event()

    def slow(_: Event) -> None:
        busy.set()
        assert go_on.wait(PATIENCE_S)

    app.listen(slow)
    app.start()
    say(app)
    assert busy.wait(PATIENCE_S)
    for n in range(10):
        arrives(app, say(app, f"p{n}"))
    go_on.set()


def test_listeners_survive_a_store_that_is_away(make_app: MakeApp) -> None:
    store, told = Flaky(MemoryStore()), threading.Event()
    app = make_app(store, CaptureChannel("post"))
    app.listen(lambda event: told.set(), events=["delivered"])
    app.start()
    store.down.set()
    for _ in range(3):
        store.asked.acquire(timeout=PATIENCE_S / 3)
    store.down.clear()
    say(app)
    app.tick()

    assert told.wait(PATIENCE_S)


def test_leaving_closes_the_channels(make_app: MakeApp) -> None:
    closed = []

    class Closing(CaptureChannel):
        def close(self) -> None:
            closed.append(self.name)

    app = make_app("memory://", Closing("post"), Closing("mail"))
    with app:
        assert closed == []
    assert sorted(closed) == ["mail", "post"]
