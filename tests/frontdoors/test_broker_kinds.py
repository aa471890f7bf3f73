"""Submissions in and events out over the other brokers, killed and started again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pika.exceptions
import pytest
import valkey

from nats_peer import until
from tactful import Tactful
from tactful.brokers.settings import Places, open_broker
from tactful.frontdoors.broker import BrokerDoor
from tactful.runtime.outbox import Outbox, behind
from tactful.testing.servers.process import PrivateServer
from tactful.testing.servers.rabbitmq import RabbitServer
from tactful.testing.servers.valkey import ValkeyServer

Put = Callable[[bytes, str], object]


def put_to_valkey(url: str, put: Callable[[Put], None]) -> None:
    with valkey.Valkey.from_url(url) as client:
        put(
            lambda body, key: client.xadd(
                "tactful.submissions", {"body": body, "idempotency-key": key}
            )
        )


def put_to_rabbit(url: str, put: Callable[[Put], None]) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channels: list[Any] = []

        def renew() -> None:
            channels[:] = [connection.channel()]
            channels[0].confirm_delivery()

        def taken(body: bytes, key: str) -> bool:
            properties = pika.BasicProperties(message_id=key, delivery_mode=2)
            try:
                channels[0].basic_publish("", "tactful.submissions", body, properties, True)
            except pika.exceptions.NackError:
                # The queue had no leader yet, and this channel does not ask for one again.
                renew()
                return False
            return True

        renew()
        put(lambda body, key: until(lambda: taken(body, key)))


def is_ready_to_die(server: PrivateServer) -> bool:
    """Whether all that a broker has said to have is on its disk: RabbitMQ's queues are late."""
    if not isinstance(server, RabbitServer):
        return True
    names = ("tactful.submissions", "tactful.refused", "rabbit_stream_coordinator")
    return all(server.has_noted(name) for name in names)


KINDS = [
    pytest.param(lambda: ValkeyServer(durable=True), put_to_valkey, id="valkey"),
    pytest.param(RabbitServer, put_to_rabbit, id="rabbitmq", marks=pytest.mark.rabbitmq),
]


@pytest.fixture
def app() -> Iterator[Tactful]:
    with Tactful() as app:
        yield app


@pytest.mark.parametrize(("make", "put"), KINDS)
def test_a_broker_that_is_killed_and_started_again_costs_only_time(
    app: Tactful, make: Callable[[], PrivateServer], put: Callable[..., None]
) -> None:
    """Half of the submissions come before it is killed, half after; each has a key, and a copy."""

    def half(first: int) -> Callable[[Put], None]:
        def work(hand_in: Put) -> None:
            for n in [*range(first, first + 100)] * 2:
                fields = {"type": "note", "to": f"p{n}@example.com", "text": "Hi"}
                hand_in(json.dumps(fields).encode(), f"key-{n}")

        return work

    with make() as server, ExitStack() as stack:
        broker = open_broker(server.url(), Places(settled_within_ms=2000))
        stack.callback(broker.close)
        stack.enter_context(Outbox(app.store, app.clock, broker, app.probe))
        stack.enter_context(BrokerDoor(app, broker))
        until(broker.check)
        app.send(type="note", to="first@example.com", text="Hi")
        until(lambda: _behind(app) == 0)
        put(server.url(), half(0))
        until(lambda: is_ready_to_die(server))
        server.kill()
        server.start()
        put(server.url(), half(100))
        until(lambda: len(app.deliveries(limit=1000)) >= 201, 90)
        app.drain(30)
        until(lambda: _behind(app) == 0, 90)

    assert len({one.recipient for one in app.deliveries(limit=1000)}) == 201
    assert len(app.deliveries(limit=1000)) == 201


def _behind(app: Tactful) -> int | None:
    with app.store.reading() as reader:
        return behind(reader)
