"""Listeners: each hears everything in order, at its own pace, and holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from engine_bench import DAY, HOUR, SECOND, START, Bench

from tactful.core.errors import RequestError
from tactful.core.model import Event
from tactful.core.retry import RetryPolicy
from tactful.engine.settings import Settings

PATIENCE_S = 20


class Ear:
    """A listener that writes down what it hears, and fails while it is told to."""

    def __init__(self, fails: Callable[[Event], bool] = lambda _: False) -> None:
        self.heard: list[str] = []
        self.tries = 0
        self.fails = fails

    def __call__(self, event: Event) -> None:
        self.tries += 1
        if self.fails(event):
            raise ValueError("deaf")
        self.heard.append(event.name)


ALL = ["accepted", "delivered"]


@pytest.fixture
def declared(bench: Bench) -> Bench:
    """An engine whose type is known, so that a message is exactly two events."""
    bench.type("news")
    return bench


def test_everything_after_joining_is_heard_in_order(declared: Bench) -> None:
    declared.send()
    ear = Ear()
    declared.listeners.add(ear)
    declared.run()
    declared.send()

    assert declared.listeners.pump() == 2
    assert ear.heard == ["delivered", "accepted"]
    assert declared.listeners.pump() == 0


def test_only_what_was_asked_for_is_told(declared: Bench) -> None:
    ear = Ear()
    declared.listeners.add(ear, events=["delivered", "opened"])
    declared.send()
    declared.run()
    declared.listeners.pump()

    assert ear.heard == ["delivered"]


def test_nobody_to_tell_is_nothing_to_do(declared: Bench) -> None:
    declared.send()

    assert declared.listeners.pump() == 0


def test_a_listener_is_told_in_portions(declared: Bench) -> None:
    ear = Ear()
    declared.listeners.add(ear)
    for _ in range(5):
        declared.send()

    assert [declared.listeners.pump(2) for _ in range(4)] == [2, 2, 1, 0]
    assert ear.heard == ["accepted"] * 5


def test_a_name_keeps_its_place_over_restarts(declared: Bench) -> None:
    first = Ear()
    declared.listeners.add(first, name="Audit")
    declared.send()
    declared.listeners.pump()
    declared.run()

    after, again, fresh = Bench(declared.store), Ear(), Ear()
    after.listeners.add(again, name="audit")
    after.listeners.add(fresh, name="other")
    after.listeners.pump()

    assert (first.heard, again.heard, fresh.heard) == (["accepted"], ["delivered"], [])


def test_a_place_is_taken_when_the_name_first_comes(declared: Bench) -> None:
    """Also when nothing was told to it before the restart."""
    declared.listeners.add(Ear(), name="audit")
    declared.send()

    after, again = Bench(declared.store), Ear()
    after.listeners.add(again, name="audit")
    after.listeners.pump()

    assert again.heard == ["accepted"]


def test_a_name_is_taken_once(declared: Bench) -> None:
    declared.listeners.add(Ear(), name="audit")
    with pytest.raises(RequestError, match="is taken by another listener"):
        declared.listeners.add(Ear(), name=" AUDIT")
    with pytest.raises(RequestError, match="name"):
        declared.listeners.add(Ear(), name="")
    with pytest.raises(RequestError, match="must be callable"):
        declared.listeners.add("no function")  # type: ignore[arg-type]


def test_who_leaves_hears_no_more_and_their_name_is_free(declared: Bench) -> None:
    ear, other = Ear(), Ear()
    declared.listeners.add(ear, name="audit")
    declared.listeners.add(other)
    declared.listeners.remove(ear)
    declared.listeners.remove(ear)
    declared.send()
    declared.listeners.pump()

    assert (ear.heard, other.heard) == ([], ["accepted"])
    declared.listeners.add(ear, name="audit")
    declared.listeners.pump()
    assert ear.heard == ["accepted"]


def test_one_that_fails_is_asked_again_later_and_holds_up_no_other(declared: Bench) -> None:
    """It gets every event once it has dealt with the one before."""
    bad, good = Ear(lambda _: True), Ear()
    declared.listeners.add(bad)
    declared.listeners.add(good)
    declared.send()
    declared.run()
    declared.listeners.pump()
    assert (bad.tries, bad.heard, good.heard) == (1, [], ALL)

    declared.listeners.pump()
    assert bad.tries == 1
    assert declared.listeners.next_try() == START + 15 * SECOND
    bad.fails = lambda _: False
    declared.clock.advance(15 * SECOND)
    declared.listeners.pump()
    assert bad.heard == ALL
    assert declared.listeners.next_try() is None


def test_pauses_grow_with_each_failure_and_start_anew_after_success(declared: Bench) -> None:
    ear = Ear(lambda _: True)
    declared.listeners.add(ear)
    declared.send()
    instants = []
    for _ in range(4):
        declared.listeners.pump()
        instants.append(declared.listeners.next_try() or 0)
        declared.clock.set(instants[-1])

    pauses = [b - a for a, b in zip([START, *instants], instants, strict=False)]
    assert pauses == [15 * SECOND, 30 * SECOND, 60 * SECOND, 120 * SECOND]
    ear.fails = lambda event: event.name == "delivered"
    declared.run()
    declared.listeners.pump()
    assert (declared.listeners.next_try() or 0) - declared.now == 15 * SECOND


def test_an_event_that_fails_too_often_is_set_aside_with_a_fact(
    make_bench: Callable[[Settings], Bench],
) -> None:
    retry = RetryPolicy(base_ms=SECOND, cap_ms=SECOND)
    bench = make_bench(Settings(listener_tries=3, retry=retry))
    bench.type("news")
    ear = Ear(lambda event: event.name == "accepted")
    bench.listeners.add(ear, name="audit")
    receipt = bench.send()
    bench.run()
    for _ in range(5):
        bench.listeners.pump()
        bench.clock.advance(SECOND)

    assert ear.heard == ["delivered", "listener.failed"]
    assert ear.tries == 3 + 2
    with bench.store.reading() as reader:
        (event,) = reader.events(name="listener.failed")
    assert event.delivery_id == receipt.delivery_id
    assert dict(event.data) == {
        "listener": "audit",
        "seq": event.seq - 2,
        "event": "accepted",
        "error": "ValueError: deaf",
    }


def test_one_that_fails_on_everything_does_not_fail_for_ever(
    make_bench: Callable[[Settings], Bench],
) -> None:
    """A failure on the fact about its failure makes no further fact."""
    bench = make_bench(Settings(listener_tries=1))
    bench.type("news")
    bench.listeners.add(Ear(lambda _: True))
    bench.send()
    for _ in range(5):
        bench.listeners.pump()
        bench.clock.advance(HOUR)

    assert bench.events(name="listener.failed") == ["listener.failed"]


def test_what_was_heard_before_a_failure_is_not_told_again_after_a_restart(
    declared: Bench,
) -> None:
    ear = Ear(lambda event: event.name == "delivered")
    declared.listeners.add(ear, name="audit")
    declared.send()
    declared.run()
    declared.listeners.pump()

    after, again = Bench(declared.store), Ear()
    after.listeners.add(again, name="audit")
    after.listeners.pump()
    assert (ear.heard, again.heard) == (["accepted"], ["delivered"])


def test_a_listener_may_use_the_engine_that_tells_it(declared: Bench) -> None:
    def answer(event: Event) -> None:
        if event.name == "delivered" and event.recipient == "ada":
            declared.send(to="bob", text="ada has hers")

    declared.listeners.add(answer)
    declared.send(to="ada")
    declared.run()
    declared.listeners.pump()
    declared.run()

    assert declared.texts == ["w", "ada has hers"]


def test_two_engines_on_one_store_tell_their_own_listeners_everything(declared: Bench) -> None:
    other = Bench(declared.store)
    mine, theirs = Ear(), Ear()
    declared.listeners.add(mine)
    other.listeners.add(theirs)
    declared.send()
    other.send()
    declared.listeners.pump()
    other.listeners.pump()

    assert mine.heard == theirs.heard == ["accepted"] * 2


def test_nothing_is_told_twice_by_two_threads_at_once(declared: Bench) -> None:
    """Whoever comes while somebody is telling has nothing to do."""
    inside, go_on = threading.Event(), threading.Event()
    heard: list[int] = []

    def slow(event: Event) -> None:
        inside.set()
        assert go_on.wait(PATIENCE_S)
        heard.append(event.seq)

    declared.listeners.add(slow)
    declared.send()
    teller = threading.Thread(target=declared.listeners.pump)
    teller.start()
    assert inside.wait(PATIENCE_S)
    assert declared.listeners.pump() == 0
    go_on.set()
    teller.join(PATIENCE_S)
    assert len(heard) == 1


def test_events_of_long_ago_are_told_to_a_name_that_comes_back(declared: Bench) -> None:
    declared.listeners.add(Ear(), name="audit")
    declared.send()
    declared.clock.advance(DAY)

    after, again = Bench(declared.store), Ear()
    after.listeners.add(again, name="audit", events=["accepted"])
    after.listeners.pump()
    assert again.heard == ["accepted"]
