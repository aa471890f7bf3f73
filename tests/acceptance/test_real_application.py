"""PRO: a source of truth that survives, and delivery that is nobody's burden."""

import threading
from collections import Counter
from collections.abc import Callable

from acceptance_world import World
from proof.mail_room import Death, MailRoom, parsed

from tactful import Event, NotificationType, Recipient, State, Tactful
from tactful.testing import CaptureChannel

AUDIENCE = 2000


def test_pro_1_a_broadcast_survives_being_killed_in_the_middle(file_url: str) -> None:
    people = [f"user{number}@example.org" for number in range(AUDIENCE)]
    with MailRoom(habits="anybody") as room:
        app = Tactful(file_url, channels=[CaptureChannel("email", address_kind="email")])
        app.recipients.put_many([Recipient(who, email=who) for who in people])
        code = app.broadcast(type="news", subject="Today", text="As accepted.").notification_id
        app.close()

        # In the first step of the fan-out, twice in the middle, and near the end.
        for nth in (1, 600, 700, 600, 0):
            room.run(file_url, (), Death("taken", nth), "due")

        taken = Counter(mail.to for mail in room.mails)
        mails = {parsed(message)["Message-ID"] for message in room.sink.messages}
        words = {
            (mail["Subject"], mail.get_content().strip())
            for mail in map(parsed, room.sink.messages[::100])
        }
    app = Tactful(file_url, channels=[CaptureChannel("email", address_kind="email")])
    deliveries = app.deliveries(notification_id=code, limit=AUDIENCE * 2)
    rescued = {event.recipient for event in app.events(name="rescued", limit=AUDIENCE * 9)}

    assert [ending < 0 for ending in room.endings] == [True, True, True, True, False]
    assert sorted(delivery.recipient for delivery in deliveries) == sorted(people)
    assert Counter(delivery.state for delivery in deliveries) == {State.SENT: AUDIENCE}
    # None is lost. A second copy is one that was in the air at a kill, and it says so.
    assert set(taken) == set(people)
    assert {who for who, copies in taken.items() if copies > 1} <= rescued
    assert len(mails) == AUDIENCE
    assert words == {("Today", "As accepted.")}
    assert app.stats(code).sent == AUDIENCE
    app.close()


def test_pro_1_being_killed_again_and_again_loses_nobody(file_url: str) -> None:
    """A kill says nothing about messages that were only waiting for their turn."""
    people = [f"user{number}@example.org" for number in range(300)]
    with MailRoom(habits="anybody") as room:
        app = Tactful(file_url, channels=[CaptureChannel("email", address_kind="email")])
        app.send_many([{"type": "news", "to": who, "text": "For you."} for who in people])
        app.close()

        for nth in (*[10] * 10, 0):
            room.run(file_url, (), Death("taken", nth), "due")
        taken = {mail.to for mail in room.mails}
    app = Tactful(file_url, channels=[CaptureChannel("email", address_kind="email")])
    states = app.counts()
    app.close()

    assert [ending < 0 for ending in room.endings] == [True] * 10 + [False]
    assert states == {State.SENT: 300}
    assert taken == set(people)


def test_pro_1_what_was_accepted_is_there_after_a_restart(lasting: World) -> None:
    lasting.app.recipients.put_many([Recipient(f"user{number}") for number in range(10)])
    broadcast = lasting.app.broadcast(type="news", text="For all")
    single = lasting.send("news", "ann", "For Ann")
    lasting.restart()
    lasting.app.tick()

    assert lasting.app.stats(broadcast.notification_id).received == 10
    assert lasting.app.delivery(single.delivery_id or "").state is State.DELIVERED
    assert len(lasting.channel.messages) == 11
    lasting.restart()
    lasting.app.tick()
    assert len(lasting.channel.messages) == 11


def gated_world(make_world: Callable[..., World], url: str) -> tuple[World, threading.Event]:
    """A world whose gateway takes nothing before the event is set."""
    world, gate = make_world(url), threading.Event()

    def waits(_: object) -> None:
        assert gate.wait(60)

    world.outcome = waits
    return world, gate


def test_pro_2_sending_returns_before_delivery(make_world: Callable[..., World], url: str) -> None:
    world, gate = gated_world(make_world, url)
    world.app.recipients.put_many([Recipient(f"user{number}") for number in range(100)])
    with world.app:
        single = world.send("news", "ann")
        broadcast = world.app.broadcast(type="news", text="For all")
        state = world.app.delivery(single.delivery_id or "").state
        received = world.app.stats(broadcast.notification_id).received
        gate.set()
        assert world.app.drain(30)

    assert single.decision == "send"
    assert state in (State.QUEUED, State.SENDING)
    assert received == 0
    assert world.app.stats(broadcast.notification_id).received == 100


def test_pro_2_a_slow_listener_holds_nothing_up(world: World) -> None:
    held, go_on, heard = threading.Event(), threading.Event(), []

    def slow(event: Event) -> None:
        held.set()
        assert go_on.wait(60)
        heard.append(event.seq)

    world.app.types.put(NotificationType("news"))
    world.app.listen(slow)
    with world.app:
        world.send("news", "ann", "first")
        assert held.wait(30)
        for number in range(20):
            world.send("news", "ann", str(number))
        assert world.app.drain(30)
        delivered = len(world.app.inbox("ann"))
        heard_until_then = list(heard)
        go_on.set()
    while world.app.tick():
        pass

    assert delivered == 21
    assert heard_until_then == []
    assert heard == [event.seq for event in world.app.events()][-len(heard) :]
    assert len(heard) == 42


def test_pro_2_a_failing_listener_fails_alone(world: World) -> None:
    def fails(_: Event) -> None:
        raise RuntimeError("a bug of the listener")

    world.app.listen(fails)
    with world.app:
        for number in range(20):
            world.send("news", "ann", str(number))
        assert world.app.drain(30)

    assert len(world.app.inbox("ann")) == 20


def test_pro_2_a_named_listener_goes_on_where_it_was_after_a_restart(lasting: World) -> None:
    first: list[int] = []
    then: list[int] = []
    lasting.app.listen(lambda event: first.append(event.seq), name="audit")
    lasting.send("news", "ann")
    lasting.app.tick()
    lasting.restart()
    lasting.send("news", "ann")
    lasting.app.tick()
    lasting.restart()
    lasting.app.listen(lambda event: then.append(event.seq), name="audit")
    lasting.app.tick()

    assert first + then == [event.seq for event in lasting.app.events()]
    assert len(first) < len(first + then)


def test_pro_4_two_workers_share_the_load_and_send_each_message_once(
    make_world: Callable[..., World], file_url: str
) -> None:
    world = make_world(file_url)
    other = world.open()
    world.app.recipients.put_many([Recipient(f"user{number}") for number in range(1500)])
    with world.app, other:
        code = world.app.broadcast(type="news", text="Once").notification_id
        assert world.app.drain(60)
        assert other.drain(60)

    assert world.app.stats(code).received == 1500
    assert Counter(Counter(world.recipients).values()) == {1: 1500}
