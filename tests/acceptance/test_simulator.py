"""SIM: users, messages, inboxes, statistics and events of a notification system."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from acceptance_world import DAY, World

from tactful import (
    Accepted,
    Event,
    NotificationType,
    Recipient,
    Rejected,
    Retry,
    Settings,
    State,
    Tactful,
    Unknown,
    errors,
)

LOST = Accepted(arrived=False)


def register(world: World, count: int) -> list[Recipient]:
    return [world.app.recipients.register(f"User {number}") for number in range(count)]


def publish(world: World, text: str = "Hello", **fields: object) -> str:
    receipt = world.app.broadcast(type="news", text=text, **fields)
    world.app.tick()
    return receipt.notification_id


def read_all(world: World, who: str) -> int:
    inbox = world.app.inbox(who)
    return sum(inbox.mark_read(item.id) for item in inbox)


def test_sim_1_registering_by_name_gives_a_unique_id(world: World) -> None:
    ann, other = register(world, 1)[0], world.app.recipients.register("User 0")

    assert str(ann) == str(other) == "User 0"
    assert ann.id != other.id
    assert world.app.recipients.get(ann.id) == ann
    assert len(world.app.recipients) == 2


def test_sim_1_the_same_id_twice_is_one_user(world: World) -> None:
    ann = Recipient("ann", name="Ann")

    assert world.app.recipients.put_many([ann, ann]) == 1
    assert world.app.recipients.put_many([ann]) == 0
    assert [str(person) for person in world.app.recipients] == ["Ann"]


def test_sim_2_the_users_are_listed_in_the_order_of_registration(world: World) -> None:
    people = register(world, 7)

    assert list(world.app.recipients) == people
    assert len(world.app.recipients) == 7
    world.app.recipients.remove(people[3].id)
    assert list(world.app.recipients) == people[:3] + people[4:]


def test_sim_3_each_message_has_a_code_of_its_own_and_its_body_as_text(world: World) -> None:
    (ann,) = register(world, 1)
    codes = [publish(world, "The same"), publish(world, "The same")]

    inbox = world.app.inbox(ann.id)

    assert len(set(codes)) == 2
    assert [item.notification_id for item in inbox] == codes
    assert [str(item) for item in inbox] == ["The same", "The same"]


def test_sim_4_a_broadcast_reaches_every_inbox_but_those_that_lost_it(world: World) -> None:
    people = register(world, 5)
    unlucky = people[2].id
    world.outcome = lambda message: LOST if message.recipient == unlucky else None

    publish(world)

    assert [len(world.app.inbox(person.id)) for person in people] == [1, 1, 0, 1, 1]


def test_sim_4_a_single_user_can_be_written_to(world: World) -> None:
    ann, ben = register(world, 2)

    world.send("news", ann.id, "Only for Ann")
    world.app.tick()

    assert [str(item) for item in world.app.inbox(ann.id)] == ["Only for Ann"]
    assert len(world.app.inbox(ben.id)) == 0


def test_sim_5_it_is_known_who_was_sent_received_and_opened_a_message(world: World) -> None:
    ann, ben, cem = (person.id for person in register(world, 3))
    world.outcome = lambda message: LOST if message.recipient == cem else None
    code = publish(world)
    read_all(world, ben)

    stats = world.app.stats(code)

    assert set(stats.sent_to) == {ann, ben, cem}
    assert set(stats.received_by) == {ann, ben}
    assert stats.lost_by == (cem,)
    assert stats.opened_by == (ben,)
    assert (stats.waiting, stats.not_sent) == ((), ())


def test_sim_6_ten_sent_eight_received_four_opened(world: World) -> None:
    people = [person.id for person in register(world, 10)]
    world.outcome = lambda message: LOST if message.recipient in people[:2] else None
    code = publish(world)
    for person in people[2:6]:
        read_all(world, person)

    assert world.app.stats(code).to_dict() == {
        "sent": 10,
        "received": 8,
        "lost": 2,
        "opened": 4,
        "received_ratio": 0.80,
        "opened_ratio": 0.50,
        "opened_of_sent": 0.40,
    }


def test_sim_6_ratios_have_two_decimals(world: World) -> None:
    people = [person.id for person in register(world, 3)]
    world.outcome = lambda message: LOST if message.recipient == people[0] else None

    assert world.app.stats(publish(world)).received_ratio == 0.67


def test_sim_7_ratios_are_defined_where_nothing_was_sent_or_received(world: World) -> None:
    nobody = publish(world)
    register(world, 3)
    world.outcome = lambda _: LOST
    all_lost = publish(world)
    waiting = world.app.broadcast(type="news", text="Not yet").notification_id

    for code in (nobody, all_lost, waiting):
        stats = world.app.stats(code)
        assert (stats.received_ratio, stats.opened_ratio, stats.opened_of_sent) == (0, 0, 0)
    assert world.app.stats(all_lost).lost == 3


def test_sim_8_an_inbox_is_a_sequence_in_the_order_of_arrival(world: World) -> None:
    (ann,) = register(world, 1)
    for text in "abc":
        publish(world, text)

    inbox = world.app.inbox(ann.id)

    assert len(inbox) == 3
    assert str(inbox[0]) == "a"
    assert [str(item) for item in inbox] == ["a", "b", "c"]
    assert [str(item) for item in inbox[1:]] == ["b", "c"]


def test_sim_8_reading_twice_counts_once(world: World) -> None:
    (ann,) = register(world, 1)
    code = publish(world, "a")
    publish(world, "b")
    inbox = world.app.inbox(ann.id)

    assert [inbox.mark_read(inbox[0].id) for _ in range(3)] == [True, False, False]

    now = world.app.inbox(ann.id)
    assert [str(item) for item in now.read] == ["a"]
    assert [str(item) for item in now.unread] == ["b"]
    assert world.app.stats(code).opened == 1


def test_sim_8_an_inbox_holds_all_that_has_arrived_however_much_it_is(world: World) -> None:
    world.app.send_many([{"type": "news", "to": "ann", "text": str(n)} for n in range(1001)])
    world.app.tick()

    inbox = world.app.inbox("ann")

    assert len(inbox) == 1001
    assert inbox.mark_read(inbox[-1].id)


def test_sim_14_listeners_hear_named_facts_with_their_data_in_order(world: World) -> None:
    heard: list[tuple[str, str, str]] = []
    world.app.types.put(NotificationType("news"))
    world.app.listen(lambda e: heard.append(("first", e.name, e.recipient)))
    world.app.listen(lambda e: heard.append(("second", e.name, e.recipient)), events=["opened"])
    (ann,) = register(world, 1)
    code = publish(world)
    read_all(world, ann.id)
    world.app.tick()

    names = [name for who, name, _ in heard if who == "first"]
    assert names == ["broadcast.accepted", "accepted", "delivered", "opened"]
    assert [entry for entry in heard if entry[0] == "second"] == [("second", "opened", ann.id)]
    assert {e.notification_id for e in world.app.events(name="opened")} == {code}


def test_sim_14_a_listener_that_left_hears_no_more(world: World) -> None:
    heard: list[Event] = []
    world.app.listen(heard.append)
    world.send("news", "ann")
    world.app.tick()
    before = len(heard)
    world.app.unlisten(heard.append)
    world.app.unlisten(print)  # was never told anything
    world.send("news", "ann")
    world.app.tick()

    assert len(heard) == before > 0


def test_sim_14_a_fact_about_something_unknown_is_harmless(world: World) -> None:
    assert world.app.record("delivered", "no such delivery") is False
    assert world.app.record(Event("opened", "no such delivery", 0)) is False
    assert world.app.inbox("no such user").mark_read("no such message") is False
    assert world.app.events() == []


def test_sim_15_a_failing_listener_stops_neither_the_broadcast_nor_the_sender(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=Settings(listener_tries=3))
    asked: list[int] = []
    calm: list[int] = []

    def fails(event: Event) -> None:
        asked.append(event.seq)
        raise RuntimeError("a bug of the listener")

    world.app.listen(fails, events=["delivered"])
    world.app.listen(lambda event: calm.append(event.seq), events=["delivered"])
    register(world, 10)

    code = publish(world)

    assert world.app.stats(code).received == 10
    assert len(calm) == 10
    assert len(asked) == 1
    for hour in range(1, 30):
        world.at(hour * DAY)
    # Each event was offered three times before it was set aside, and each in its turn.
    assert asked == [seq for seq in calm for _ in range(3)]
    assert len(world.app.events(name="listener.failed")) == 10


def test_sim_16_two_engines_do_not_hear_each_other(
    make_world: Callable[..., World], tmp_path: object
) -> None:
    one, two = make_world("memory://"), make_world(f"sqlite:///{tmp_path}/two.db")
    heard: dict[str, list[Event]] = {"one": [], "two": []}
    one.app.types.put(NotificationType("news"))
    one.app.listen(heard["one"].append)
    two.app.listen(heard["two"].append)

    one.send("news", "ann")
    for world in (one, two):
        world.app.tick()

    assert [event.name for event in heard["one"]] == ["accepted", "delivered"]
    assert heard["two"] == []


def test_sim_16_nothing_is_left_of_a_closed_engine(url: str) -> None:
    before = set(threading.enumerate())
    app = Tactful(url)
    app.listen(lambda _: None)
    with app:
        app.send(type="news", to="ann", text="Hello")
        assert app.drain(30)
    app.close()
    gone = weakref.ref(app)
    del app
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    gc.collect()

    assert set(threading.enumerate()) <= before
    assert gone() is None


FACTS = ("delivered", "lost", "bounced", "opened", "clicked")


@pytest.mark.parametrize("fact", FACTS)
def test_sim_17_a_fact_about_what_was_not_sent_changes_nothing(world: World, fact: str) -> None:
    world.outcome = lambda message: Rejected("no") if message.text == "fails" else None
    waiting = world.send("news", "ann", deliver_at=world.clock.now() + DAY)
    failed = world.send("news", "ann", "fails")
    world.app.tick()

    for receipt in (waiting, failed):
        assert receipt.delivery_id is not None
        before = world.app.delivery(receipt.delivery_id)
        assert world.app.record(fact, receipt.delivery_id) is False
        assert world.app.delivery(receipt.delivery_id) == before


def test_sim_17_opened_lies_within_received_within_sent_at_any_time(world: World) -> None:
    world.outcome = lambda _: Accepted()
    people = register(world, 20)
    code = publish(world)
    ids = [delivery.id for delivery in world.app.deliveries(notification_id=code)]
    done = threading.Event()
    breaches: list[object] = []

    def watch() -> None:
        while not done.is_set():
            stats = world.app.stats(code)
            sent, received = set(stats.sent_to), set(stats.received_by)
            if not set(stats.opened_by) <= received <= sent:
                breaches.append(stats)

    def report(offset: int) -> None:
        for place in range(len(ids)):
            for fact in ("lost", "opened", "clicked", "delivered", "bounced"):
                world.app.record(fact, ids[(place + offset) % len(ids)])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(8)))
    done.set()
    watcher.join()

    stats = world.app.stats(code)
    assert breaches == []
    assert stats.sent == len(people)
    assert stats.opened <= stats.received <= stats.sent
    assert stats.received + stats.lost == stats.sent


def test_sim_18_the_same_key_twice_is_one_message(world: World) -> None:
    people = register(world, 4)
    first = world.app.broadcast(type="news", text="Once", idempotency_key="k")
    again = world.app.broadcast(type="news", text="Once", idempotency_key="k")
    world.app.tick()
    later = world.app.broadcast(type="news", text="Once", idempotency_key="k")
    world.app.tick()

    assert {first.notification_id} == {again.notification_id, later.notification_id}
    assert (first.replayed, again.replayed, later.replayed) == (False, True, True)
    assert [len(world.app.inbox(person.id)) for person in people] == [1, 1, 1, 1]
    with pytest.raises(errors.IdempotencyConflict):
        world.app.broadcast(type="news", text="Something else", idempotency_key="k")


def test_sim_19_who_registers_after_a_broadcast_is_not_in_its_audience(world: World) -> None:
    early = register(world, 2)
    receipt = world.app.broadcast(type="news", text="Hello")
    late = world.app.recipients.register("Late")
    world.app.tick()

    assert set(world.app.stats(receipt.notification_id).sent_to) == {p.id for p in early}
    assert len(world.app.inbox(late.id)) == 0
    publish(world, "Next")
    assert [str(item) for item in world.app.inbox(late.id)] == ["Next"]


def test_sim_19_who_registers_while_it_goes_out_is_not_in_its_audience(world: World) -> None:
    # More people than one step of the fan-out reaches.
    people = [Recipient(f"user{number:04}") for number in range(1200)]
    world.app.recipients.put_many(people)

    def joins(_: object) -> None:
        world.app.recipients.put(Recipient("late"))

    world.outcome = joins

    stats = world.app.stats(publish(world))

    assert stats.sent == 1200
    assert "late" not in stats.sent_to


def test_sim_19_who_is_removed_before_their_turn_gets_nothing(world: World) -> None:
    ann, ben = register(world, 2)
    receipt = world.app.broadcast(type="news", text="Hello")
    world.app.recipients.remove(ann.id)
    world.app.tick()

    assert world.app.stats(receipt.notification_id).sent_to == (ben.id,)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Accepted(), State.SENT),
        (Accepted(arrived=True), State.DELIVERED),
        (LOST, State.LOST),
        (Rejected("no such mailbox"), State.FAILED),
        (Retry("busy"), State.DEFERRED),
        (Unknown("no answer"), State.DEFERRED),
    ],
)
def test_sim_17_each_outcome_has_its_state(world: World, outcome: object, state: State) -> None:
    world.outcome = lambda _: outcome
    receipt = world.send("news", "ann")
    world.app.tick()

    assert world.app.delivery(receipt.delivery_id or "").state is state
