"""B1 to B18: how a naive delivery system fails, each once more."""

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from acceptance_world import DAY, HOUR, START, World

from tactful import (
    Accepted,
    Event,
    Message,
    NotificationType,
    Recipient,
    Settings,
    State,
    Tactful,
    errors,
)
from tactful.testing import ManualClock

LOST = Accepted(arrived=False)


def people(world: World, count: int) -> list[str]:
    names = [f"user{number:04}" for number in range(count)]
    world.app.recipients.put_many(Recipient(name) for name in names)
    return names


def publish(world: World, **fields: Any) -> str:
    receipt = world.app.broadcast(**({"type": "news", "text": "Hello"} | fields))
    world.app.tick()
    return receipt.notification_id


def test_b_1_and_b_2_no_figure_divides_by_nothing(world: World) -> None:
    codes = [publish(world)]
    people(world, 3)
    codes.append(world.app.broadcast(type="news", text="Not yet").notification_id)
    world.outcome = lambda _: LOST
    codes.append(publish(world))

    for code in codes:
        figures = world.app.stats(code).to_dict()
        assert (figures["received_ratio"], figures["opened_ratio"]) == (0.0, 0.0)
    with pytest.raises(errors.NotFound):
        world.app.stats("no such message")


def test_b_3_a_second_engine_on_the_store_counts_nothing_twice(
    make_world: Callable[..., World], file_url: str
) -> None:
    world = make_world(file_url)
    other = world.open()
    heard: list[str] = []
    other.listen(lambda event: heard.append(event.name), events=["delivered"])
    people(world, 10)

    code = publish(world)
    other.tick()

    assert (other.stats(code).sent, other.stats(code).received) == (10, 10)
    assert heard == ["delivered"] * 10


def test_b_4_the_inbox_and_the_figures_are_one_truth(world: World) -> None:
    names = people(world, 20)
    world.outcome = lambda message: LOST if message.recipient in names[::3] else None
    code = publish(world)

    with_it = {name for name in names if len(world.app.inbox(name)) == 1}

    assert with_it == set(world.app.stats(code).received_by) == set(names) - set(names[::3])


def test_b_5_publishing_a_message_twice_is_publishing_it_once(world: World) -> None:
    names = people(world, 5)

    codes = {publish(world, idempotency_key="monday") for _ in range(3)}

    assert len(codes) == 1
    assert world.app.stats(codes.pop()).sent == 5
    assert [len(world.app.inbox(name)) for name in names] == [1] * 5


def test_b_6_nothing_is_opened_that_was_not_received(world: World) -> None:
    people(world, 4)
    world.outcome = lambda message: LOST if message.recipient < "user0002" else Accepted()
    code = publish(world)
    waiting = world.app.broadcast(type="news", text="x", deliver_at=START + DAY)
    world.app.tick()
    deliveries = world.app.deliveries()
    for delivery in deliveries:
        for _ in range(3):
            world.app.record("opened", delivery.id)

    stats = world.app.stats(code)
    # To have opened a message is to have received it, so late evidence counts for both.
    assert set(stats.opened_by) <= set(stats.received_by) <= set(stats.sent_to)
    assert stats.opened_ratio <= 1
    assert world.app.stats(waiting.notification_id).opened == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("lease_ms", -1), ("batch", 0), ("waiting_max", 1.5), ("ttl_ms", True), ("unknown_types", 7)],
)
def test_b_7_a_setting_out_of_its_bounds_is_refused(field: str, value: object) -> None:
    with pytest.raises(errors.ConfigError, match=field):
        Settings(**{field: value})


def test_b_8_a_failing_listener_stops_no_broadcast(world: World) -> None:
    def fails(event: Event) -> None:
        if event.recipient == "user0004":
            raise RuntimeError("a bug of the listener")

    heard: list[str] = []
    world.app.listen(fails)
    world.app.listen(lambda event: heard.append(event.recipient), events=["delivered"])
    names = people(world, 10)

    code = publish(world)

    assert world.app.stats(code).received == 10
    assert sorted(heard) == names


def test_b_9_people_and_messages_can_be_members_of_sets(world: World) -> None:
    ann = Recipient("ann", email="ann@example.org")
    world.app.recipients.put(ann)
    receipt = world.send("news", "ann")
    world.app.tick()

    assert len({ann, Recipient("ann", email="ann@example.org"), Recipient("ben")}) == 2
    assert len({*world.app.recipients}) == 1
    assert len({*world.channel.messages}) == 1
    assert len({*world.app.inbox("ann")}) == 1
    assert len({receipt, receipt}) == 1


def test_b_10_people_and_messages_can_be_compared_with_anything(world: World) -> None:
    world.send("news", "ann")
    world.app.tick()
    (message,), (item,) = world.channel.messages, world.app.inbox("ann")

    for thing in (Recipient("ann"), message, item):
        assert thing != "ann"
        assert thing is not None
        assert thing == thing  # noqa: PLR0124 - equality is what is tested


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    start = threading.Barrier(count)

    def run(_: int) -> Any:
        start.wait(30)
        return act()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_b_11_reading_one_message_in_many_threads_counts_once(world: World) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(30):
            receipt = world.send("news", "ann", str(number))
            world.app.tick()
            inbox = world.app.inbox("ann")
            answers = at_once(8, lambda inbox=inbox: inbox.mark_read(inbox[-1].id))

            assert answers.count(True) == 1
            assert world.app.stats(receipt.notification_id).opened_by == ("ann",)
    finally:
        sys.setswitchinterval(before)

    assert len(world.app.events(name="opened")) == 30


def test_b_12_listeners_go_with_their_engine(url: str) -> None:
    kept: list[weakref.ref[Tactful]] = []
    for _ in range(20):
        app = Tactful(url, clock=ManualClock(START))
        app.listen(lambda _: None)
        app.send(type="news", to="ann", text="x")
        app.tick()
        app.close()
        kept.append(weakref.ref(app))
        del app
    gc.collect()

    assert [ref() for ref in kept] == [None] * 20


def test_b_13_what_is_old_can_be_forgotten(world: World) -> None:
    for day in range(5):
        for number in range(20):
            world.clock.set(START + day * DAY)
            world.send("news", f"user{number}", idempotency_key=f"{day}-{number}")
        world.app.tick()
    waiting = world.send("news", "ann", deliver_at=START + 100 * DAY, ttl="300d")
    world.clock.set(START + 60 * DAY)
    world.app.prune(keep_ms=HOUR)

    assert [delivery.id for delivery in world.app.deliveries()] == [waiting.delivery_id]
    assert {event.delivery_id for event in world.app.events()} <= {waiting.delivery_id, ""}
    with world.app.store.reading() as reader:
        assert reader.history([f"user{number}" for number in range(20)], 0) == {}
        assert reader.remembered(["0-0"]) == {}


def test_b_13_what_a_rule_may_still_ask_for_is_not_forgotten(world: World) -> None:
    for _ in range(3):
        world.send("news", "ann")
    world.at(0)
    world.at(DAY)
    world.app.prune(keep_ms=0)
    assert world.app.counts() == {}

    assert world.send("news", "ann").decision == "send"


def test_b_14_a_seed_makes_two_runs_equal(make_world: Callable[..., World], url: str) -> None:
    def run(world: World) -> tuple[object, ...]:
        world.app.recipients.register("Ann")
        world.app.recipients.register("Ben")
        publish(world)
        world.send("news", "cem")
        world.at(HOUR)
        return (
            list(world.app.recipients),
            world.channel.messages,
            world.app.events(),
            world.app.deliveries(),
        )

    first = run(make_world("memory://", seed=7))
    second = run(make_world(url, seed=7))
    third = run(make_world("memory://", seed=8))

    assert first == second
    assert first != third


def test_b_15_reading_what_is_unknown_says_so(world: World) -> None:
    world.send("news", "ann")
    world.app.tick()

    assert world.app.inbox("ann").mark_read("no such message") is False
    with pytest.raises(errors.NotFound):
        world.app.why("no such message")
    with pytest.raises(errors.RequestError):
        world.app.record("eaten", world.channel.messages[0].id)


def test_b_16_what_is_lost_is_listed(world: World) -> None:
    names = people(world, 5)
    world.outcome = lambda message: LOST if message.recipient == names[1] else None
    code = publish(world)

    stats = world.app.stats(code)

    assert stats.lost_by == (names[1],)
    assert [d.recipient for d in world.app.deliveries(state=State.LOST)] == [names[1]]
    assert [event.recipient for event in world.app.events(name="lost")] == [names[1]]


def test_b_17_who_comes_later_gets_what_comes_later(world: World) -> None:
    people(world, 2)
    publish(world, text="before")
    world.app.recipients.put(Recipient("late"))
    publish(world, text="after")

    assert [str(item) for item in world.app.inbox("late")] == ["after"]
    assert [str(item) for item in world.app.inbox("user0000")] == ["before", "after"]


def test_b_18_one_person_registered_in_many_threads_is_one(world: World) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(20):
            person = Recipient(f"user{number}")
            new = at_once(8, lambda person=person: world.app.recipients.put_many([person]))

            assert sorted(new) == [0] * 7 + [1]
    finally:
        sys.setswitchinterval(before)

    assert len(world.app.recipients) == 20


def test_b_5_a_message_is_the_same_for_the_receiver_on_every_try(world: World) -> None:
    world.app.types.put(NotificationType("news"))
    receipt = world.send("news", "ann")
    world.app.tick()
    (message,) = world.channel.messages

    assert isinstance(message, Message)
    assert message.id == receipt.delivery_id
    assert message.notification_id == receipt.notification_id
