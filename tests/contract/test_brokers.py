"""Every broker keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pika
import pytest
import valkey

from nats_peer import EVENTS, REFUSED, NatsPeer
from tactful.brokers.nats import JetStream
from tactful.brokers.rabbitmq import RabbitQueues
from tactful.brokers.settings import Places
from tactful.brokers.valkey import ValkeyStreams
from tactful.ports import Broker
from tactful.testing.contracts.broker import BrokerContract
from tactful.testing.servers.nats import NatsServer
from tactful.testing.servers.rabbitmq import RabbitServer
from tactful.testing.servers.valkey import ValkeyServer

SOON = Places(settled_within_ms=1000)
NOBODY = "127.0.0.1:1"
"""Where no server listens; a port that is free for now may be another test's at once."""


class TestJetStream(BrokerContract):
    server: NatsServer

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with NatsServer() as self.server:
            self.secret = self.server.password
            self.peer = NatsPeer(self.server.url())
            yield

    def make_broker(self) -> Broker:
        return JetStream(self.server.url(), SOON)

    def make_unreachable(self) -> Broker:
        return JetStream(f"nats://test:{self.secret}@{NOBODY}", SOON)

    def put(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.peer.put([(body, headers)])

    def events(self) -> Sequence[tuple[str, bytes]]:
        kept = self.peer.kept(EVENTS)
        return [(one.subject.removeprefix("tactful.events."), one.body) for one in kept]

    def refused(self) -> Sequence[bytes]:
        return [one.body for one in self.peer.kept(REFUSED)]


class TestValkeyStreams(BrokerContract):
    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with ValkeyServer() as server, valkey.Valkey.from_url(server.url()) as self.client:
            self.url = server.url()
            self.secret = self.url.partition("://:")[2].partition("@")[0]
            yield

    def make_broker(self) -> Broker:
        return ValkeyStreams(self.url, SOON)

    def make_unreachable(self) -> Broker:
        return ValkeyStreams(f"valkey://:{self.secret}@{NOBODY}/0", SOON)

    def put(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.client.xadd("tactful.submissions", {**(headers or {}), "body": body})

    def events(self) -> Sequence[tuple[str, bytes]]:
        found = self.client.xrange("tactful.events")
        return [(fields[b"topic"].decode(), fields[b"body"]) for _, fields in found]

    def refused(self) -> Sequence[bytes]:
        return [fields[b"body"] for _, fields in self.client.xrange("tactful.refused")]


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    with RabbitServer() as server:
        yield server


@pytest.mark.rabbitmq
class TestRabbitQueues(BrokerContract):
    names_messages = False

    @pytest.fixture(autouse=True)
    def _server(self, rabbit: RabbitServer) -> Iterator[None]:
        self.secret = rabbit.password
        self.url = rabbit.url()
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            self.channel = connection.channel()
            yield
            for name in ("submissions", "events", "refused"):
                self.channel.queue_delete(f"tactful.{name}")
            self.channel.exchange_delete("tactful.events")

    def make_broker(self) -> Broker:
        return RabbitQueues(self.url, SOON)

    def make_unreachable(self) -> Broker:
        return RabbitQueues(f"amqp://test:{self.secret}@{NOBODY}/%2F", SOON)

    def put(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        properties = pika.BasicProperties(headers=dict(headers or {}))
        self.channel.basic_publish("", "tactful.submissions", body, properties)

    def events(self) -> Sequence[tuple[str, bytes]]:
        self.channel.basic_qos(prefetch_count=1000)
        first = {"x-stream-offset": "first"}
        found = []
        for method, _, body in self.channel.consume(
            "tactful.events", arguments=first, inactivity_timeout=1
        ):
            if method is None:
                break
            self.channel.basic_ack(method.delivery_tag)
            found.append((method.routing_key, body))
        self.channel.cancel()
        return found

    def refused(self) -> Sequence[bytes]:
        found = []
        while (answer := self.channel.basic_get("tactful.refused", auto_ack=True))[0] is not None:
            found.append(answer[2])
        return found
