"""Events over a real JetStream: each at least once, in order, whatever is killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nats_peer import EVENTS, NatsPeer, until
from tactful import Tactful
from tactful.brokers.nats import JetStream
from tactful.core.errors import Unavailable
from tactful.ports import Broker, Outgoing, Unwatched
from tactful.runtime.clock import ManualClock
from tactful.runtime.outbox import HOLD_MS, Outbox, behind
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.faults import Crash, FaultyStore, Plan
from tactful.testing.servers.nats import NatsServer
from tactful.testing.servers.process import free_port

NOON = 1_800_000_000_000
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
def broker(server: NatsServer) -> Iterator[JetStream]:
    found = JetStream(server.url())
    found.publish([])  # so that there is a stream
    yield found
    found.close()
    NatsPeer(server.url()).delete(EVENTS)


def outbox(app: Tactful, broker: Broker) -> Outbox:
    return Outbox(app.store, app.clock, broker, Unwatched())


def published(server: NatsServer) -> list[dict[str, Any]]:
    """The events on the stream, without copies."""
    found = [json.loads(one.body) for one in NatsPeer(server.url()).kept(EVENTS)]
    return list({(one["source"], one["id"]): one for one in found}.values())


def stored(app: Tactful, after: int = 0) -> list[tuple[int, str]]:
    return [(event.seq, event.name) for event in app.events(after=after, limit=10_000)]


def seen(server: NatsServer) -> list[tuple[int, str]]:
    return [(e["data"]["seq"], e["type"].removeprefix("tactful.")) for e in published(server)]


def test_all_that_happens_is_published_in_order_as_cloudevents(
    server: NatsServer, broker: JetStream
) -> None:
    app = Tactful()
    app.send(type="note", to="before@example.com", text="Hi")
    first = app.events()[-1].seq
    with outbox(app, broker) as box:
        for n in range(200):
            app.send(type="note", to=f"p{n}@example.com", text="Hi")
        app.tick()
        until(lambda: behind_of(app) == 0)
    found = published(server)

    assert seen(server) == stored(app, after=first)
    assert {event["specversion"] for event in found} == {"1.0"}
    assert len({event["source"] for event in found}) == 1
    (kept, *_) = NatsPeer(server.url()).kept(EVENTS)
    assert kept.subject == f"tactful.events.{seen(server)[0][1]}"
    assert kept.headers["Content-Type"] == "application/cloudevents+json"
    assert box.pump() == 0


def behind_of(app: Tactful) -> int | None:
    with app.store.reading() as reader:
        return behind(reader)


def test_two_stores_at_one_broker_do_not_take_each_other_for_copies(
    server: NatsServer, broker: JetStream
) -> None:
    apps = [Tactful(), Tactful()]
    for app in apps:
        with outbox(app, broker):
            app.send(type="note", to="ada@example.com", text="Hi")
            until(lambda app=app: behind_of(app) == 0)

    kept = NatsPeer(server.url()).kept(EVENTS)
    assert len(kept) == sum(len(stored(app)) for app in apps)
    assert len({json.loads(one.body)["source"] for one in kept}) == 2


def test_of_two_processes_one_publishes_and_the_other_takes_over(
    server: NatsServer, broker: JetStream
) -> None:
    """The first one is killed when it has published, before it could write that down."""
    clock = ManualClock(NOON)
    app = Tactful(clock=clock)
    killed, other = outbox(app, Killed(broker)), outbox(app, broker)
    assert (killed.pump(), other.pump()) == (0, 0)
    app.send(type="note", to="ada@example.com", text="Hi")
    with pytest.raises(Crash):
        killed.pump()

    assert other.pump() == 0, "the first one may still be at it"
    clock.advance(HOLD_MS)
    assert other.pump() == len(stored(app))
    assert seen(server) == stored(app)
    assert NatsPeer(server.url()).count(EVENTS) == len(stored(app)), "copies are dropped"


class Killed:
    """A broker whose caller dies when it has published."""

    def __init__(self, inner: Broker) -> None:
        self._inner = inner

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self._inner.publish(messages)
        raise Crash


@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_is_killed_anywhere_has_lost_no_event(
    server: NatsServer, broker: JetStream, tmp_path: Path, when: Any
) -> None:
    """The N-th call to the store fails, N upwards until none does."""
    at, fired = 0, "at first"
    while fired:
        at += 1
        clock = ManualClock(NOON)
        app = Tactful(SqliteStore(f"sqlite:///{tmp_path}/{when}{at}.db"), clock=clock)
        outbox(app, broker).pump()
        app.send(type="note", to="ada@example.com", text="Hi")
        plan = Plan(at, when=when, error=Crash)
        with suppress(Crash):
            Outbox(FaultyStore(app.store, plan), clock, broker, Unwatched()).pump()
        fired = plan.fired
        clock.advance(HOLD_MS)
        outbox(app, broker).pump()
        name = _source(app)
        found = [e["data"]["seq"] for e in published(server) if e["source"] == name]

        assert found == [seq for seq, _ in stored(app)], fired
        app.close()
    assert at > 10


def _fails(box: Outbox) -> bool:
    """Whether the broker is away; while somebody else is at it nobody asks."""
    try:
        box.pump()
    except Unavailable:
        return True
    return False


def _source(app: Tactful) -> str:
    with app.store.reading() as reader:
        return f"/tactful/{reader.note('outbox:name')}"


def test_a_broker_that_is_away_holds_up_nothing_and_hears_all_later() -> None:
    app = Tactful()
    port = free_port()
    with outbox(app, JetStream(f"nats://127.0.0.1:{port}")) as box:
        app.send(type="note", to="ada@example.com", text="Hi")
        until(lambda: _fails(box))
        with app:
            app.send(type="note", to="bob@example.com", text="Hi")
            assert app.drain(PATIENCE_S)
    assert {state.value for state in app.counts()} == {"delivered"}

    with NatsServer() as server:
        broker = JetStream(server.url())
        while outbox(app, broker).pump():
            pass
        assert seen(server) == stored(app)
        broker.close()


def test_a_server_that_is_killed_and_started_again_costs_only_time() -> None:
    app = Tactful()
    with NatsServer() as server:
        broker = JetStream(server.url())
        with outbox(app, broker):
            for n in range(300):
                app.send(type="note", to=f"p{n}@example.com", text="Hi")
                if n == 150:
                    server.kill()
                if n == 250:
                    server.start()
            until(lambda: behind_of(app) == 0)
        broker.close()
        assert seen(server) == stored(app)
