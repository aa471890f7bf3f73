"""RabbitMQ: `amqp://user:password@host:5672/vhost`, or `amqps://`.

Submissions wait in a quorum queue and are acknowledged one by one (basic.get, basic.ack). RabbitMQ
gives a message back when the connection of its taker ends, and counts how often; many of its
versions drop a message that was given back too often. So what is to come again later is kept here,
unacknowledged, until it is due. Nothing names a message: without a key of its own, one that comes
again is admitted again.

Events go, with publisher confirms, to a topic exchange, and from there into a stream queue of the
same name, which keeps a week, and wherever else a queue is bound. What is refused waits in a quorum
queue.

Taking and publishing have a connection each. One that fails is given up; the next call makes
another one. A settlement belongs to the connection over which its message was taken: after that has
ended the message comes again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import pika  # type: ignore[import-untyped]
from pika.exceptions import AMQPError, ChannelClosedByBroker  # type: ignore[import-untyped]

from tactful.brokers.settings import Places, checked, shown
from tactful.core.errors import ConfigError, Unavailable
from tactful.core.model import SECOND, Millis
from tactful.ports import Incoming, Outgoing

R = TypeVar("R")

ANSWER_S: Final = 10.0
GLANCE_S: Final = 0.1
"""Between two looks into an empty queue."""
PERSISTENT: Final = 2
NOT_FOUND: Final = 404
QUORUM: Final = {"x-queue-type": "quorum"}
STREAM: Final = {"x-queue-type": "stream", "x-max-age": "7D", "x-max-length-bytes": 2_000_000_000}


class _Mark(NamedTuple):
    """By what a message is settled: the channel that it came over, and its number there."""

    channel: Any
    tag: int


class _Line:
    """A connection with one channel; made when it is needed, given up when it fails."""

    def __init__(self, where: str, parameters: Any) -> None:
        self._where = where
        self._parameters = parameters
        self._lock = threading.Lock()
        self._connection: Any = None
        self._channel: Any = None
        self._sure: set[str] = set()

    def run(self, work: Callable[[_Line, Any], R]) -> R:
        """What some work with the channel gives; raises Unavailable."""
        with self._lock:
            try:
                return work(self, self.channel())
            except (AMQPError, OSError) as error:
                self._drop()
                said = getattr(error, "reply_text", "") or type(error).__name__
                raise Unavailable(f"broker {self._where}: {said}") from None

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._drop()

    def channel(self) -> Any:
        """A channel that is open."""
        if self._connection is None or not self._connection.is_open:
            self._drop()
            self._connection = pika.BlockingConnection(self._parameters)
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def sure(self, queue: str, arguments: Mapping[str, Any], exchange: str = "") -> Any:
        """Have a queue, and what is bound to it, made where there is none; gives the channel."""
        channel = self.channel()
        if queue in self._sure:
            return channel
        # On a channel of its own: a question whose answer is no closes it, with all that it has.
        asking = self._connection.channel()
        try:
            asking.queue_declare(queue, passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise
            asking = self._connection.channel()
            asking.queue_declare(queue, durable=True, arguments=dict(arguments))
        if exchange:
            asking.exchange_declare(exchange, "topic", durable=True)
            asking.queue_bind(queue, exchange, "#")
        asking.close()
        self._sure.add(queue)
        return channel

    def wait(self, seconds: float) -> None:
        """Let some time pass, in which the connection is kept alive."""
        self._connection.process_data_events(time_limit=seconds)

    def call_later(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something called during a `wait` after that time, if the connection lasts."""
        self._connection.call_later(seconds, what)

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._sure.clear()
        if connection is not None and connection.is_open:
            with suppress(AMQPError, OSError):
                connection.close()


class RabbitQueues:
    """`ports.Broker` over RabbitMQ. Connects when it is needed."""

    def __init__(self, url: str, places: Places | None = None) -> None:
        # It writes down at length what is told here in a few words.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self.where = shown(checked(url))
        self._places = places if places is not None else Places()
        try:
            parameters = pika.URLParameters(url)
        except ValueError:
            raise ConfigError("broker.url: must be like amqp://user:password@host/vhost") from None
        parameters.socket_timeout = ANSWER_S
        parameters.stack_timeout = ANSWER_S
        parameters.blocked_connection_timeout = ANSWER_S
        self._taking = _Line(self.where, parameters)
        self._publishing = _Line(self.where, parameters)
        self._held: list[Incoming] = []
        self._due: list[Incoming] = []

    def __repr__(self) -> str:
        return f"<RabbitQueues {self.where}>"

    def take(self, limit: int, wait_s: float) -> Sequence[Incoming]:
        """See `Broker.take`."""
        return self._taking.run(lambda line, _: self._take(line, limit, wait_s))

    def done(self, messages: Sequence[Incoming]) -> None:
        """See `Broker.done`."""
        if messages:
            self._taking.run(lambda _, channel: _settle(channel, messages))

    def later(self, messages: Sequence[Incoming], delay_ms: Millis) -> None:
        """See `Broker.later`."""

        def work(line: _Line, channel: Any) -> None:
            for one in messages:
                _tag(channel, one)
                again = replace(one, tries=one.tries + 1)
                self._held.append(again)
                line.call_later(delay_ms / SECOND, partial(self._release, again))

        if messages:
            self._taking.run(work)

    def _release(self, message: Incoming) -> None:
        """Its time has come, unless its connection has ended in between."""
        if any(one is message for one in self._held):
            self._held = [one for one in self._held if one is not message]
            self._due.append(message)

    def refuse(self, messages: Sequence[tuple[Incoming, Outgoing]]) -> None:
        """See `Broker.refuse`."""

        def work(line: _Line, _: Any) -> None:
            channel = line.sure(self._places.refused, QUORUM)
            for message, told in messages:
                _publish(channel, "", self._places.refused, told)
                _settle(channel, [message])

        if messages:
            self._taking.run(work)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """See `Broker.publish`."""
        events = self._places.events

        def work(line: _Line, _: Any) -> None:
            channel = line.sure(events, STREAM, exchange=events)
            for one in messages:
                _publish(channel, events, one.topic, one)

        if messages:
            self._publishing.run(work)

    def check(self) -> str:
        """See `Broker.check`."""
        return self._publishing.run(lambda _, channel: "RabbitMQ, it lets us in")

    def close(self) -> None:
        """See `Broker.close`."""
        self._taking.close()
        self._publishing.close()
        self._held, self._due = [], []

    def _take(self, line: _Line, limit: int, wait_s: float) -> list[Incoming]:
        places = self._places
        letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": places.refused}
        line.sure(places.refused, QUORUM)
        channel = line.sure(places.submissions, {**QUORUM, **letters})
        line.wait(0)
        # What came over a connection that has ended is given back by RabbitMQ.
        self._held = [one for one in self._held if _mark(one).channel is channel]
        self._due = [one for one in self._due if _mark(one).channel is channel]
        found, self._due = self._due[:limit], self._due[limit:]
        room = places.pending - len(self._held) - len(self._due)
        looks = round(wait_s / GLANCE_S)
        while len(found) < min(limit, room):
            method, properties, body = channel.basic_get(places.submissions)
            if method is not None:
                found.append(_incoming(channel, method, properties, body))
            elif found or looks <= 0:
                break
            else:
                looks -= 1
                line.wait(GLANCE_S)
        return found


def _incoming(channel: Any, method: Any, properties: Any, body: bytes) -> Incoming:
    headers = {str(name).lower(): str(value) for name, value in (properties.headers or {}).items()}
    for name in ("message_id", "content_type"):
        if getattr(properties, name):
            headers.setdefault(name.replace("_", "-"), getattr(properties, name))
    before = headers.pop("x-delivery-count", "0")
    tries = 1 + (int(before) if before.isdigit() else 0)
    mark = _Mark(channel, method.delivery_tag)
    return Incoming(body, headers, None, max(tries, 1 + bool(method.redelivered)), mark)


def _mark(message: Incoming) -> _Mark:
    assert isinstance(message.handle, _Mark), "it was taken here"
    return message.handle


def _tag(channel: Any, message: Incoming) -> int:
    """The number of a message on the channel that it came over; no other one knows it."""
    mark = _mark(message)
    if mark.channel is not channel:
        raise OSError("its connection has ended; it comes again")
    return mark.tag


def _settle(channel: Any, messages: Sequence[Incoming]) -> None:
    for message in messages:
        channel.basic_ack(_tag(channel, message))


def _publish(channel: Any, exchange: str, key: str, message: Outgoing) -> None:
    properties = pika.BasicProperties(
        message_id=message.id, content_type=message.media_type, delivery_mode=PERSISTENT
    )
    channel.basic_publish(exchange, key, message.body, properties, mandatory=True)
