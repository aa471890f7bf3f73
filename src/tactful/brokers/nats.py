"""NATS JetStream: `nats://user:password@one:4222,two:4222`, or `tls://`.

Submissions are taken by a durable pull consumer with explicit acknowledgement; what the consumer
has out at once is bounded (`max_ack_pending`), and what is not settled within half a minute comes
again.
A message is known by its stream, its number there and the instant at which it was stored: numbers
begin anew when a stream does.

A stream that has the subject already is used as it is. Otherwise one is made: submissions go from
theirs when they are settled; events stay for a week, what was refused for a month.

Events carry their id as `Nats-Msg-Id`, by which the stream drops copies that come within its window
(two minutes by default). A portion is published at once; each event after the first asks that the
one before it is the last on the stream (`Nats-Expected-Last-Msg-Id`), so that no gap is ever filled
late. Where others publish to the same stream, that holds up a portion, and the rest of it goes one
by one.

The client library knows asyncio only: see `loop`. A connection that breaks is given up; the next
call makes another one, to the next server of the URL.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError
from nats.js.errors import Error as JetStreamError

from tactful.brokers.loop import LoopThread
from tactful.brokers.settings import Places, checked, shown
from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, Millis
from tactful.ports import Incoming, Outgoing

log = logging.getLogger("tactful.broker")

R = TypeVar("R")

CONNECT_S: Final = 3.0
ANSWER_S: Final = 5.0
PATIENCE_S: Final = 30.0
DAY_S: Final = 86_400.0
EVENTS_KEPT_S: Final = 7 * DAY_S
REFUSED_KEPT_S: Final = 30 * DAY_S
STATUS: Final = "Status"
NO_CONSUMER: Final = ("503", "409")
"""Answers to a request for messages after which it is worth a look whether the consumer exists."""
WRONG_LAST: Final = (10_070, 10_071)


class _Session:
    """One connection with what was set up over it."""

    def __init__(self, client: Client, gone: asyncio.Event) -> None:
        self.client = client
        self.gone = gone
        self.js: JetStreamContext = client.jetstream(timeout=ANSWER_S)
        self.streams: dict[str, str] = {}
        self.stream = ""
        self.inbox: Subscription | None = None
        self.base = ""
        self.asked = 0


class _Link:
    """A connection that is made when it is needed, and made anew when it has failed."""

    def __init__(self, where: str, servers: Sequence[str]) -> None:
        self._where = where
        self._servers = list(servers)
        self._session: _Session | None = None
        self._connecting: asyncio.Lock | None = None

    async def run(self, work: Callable[[_Session], Coroutine[Any, Any, R]]) -> R:
        """What some work gives; raises Unavailable."""
        try:
            session = await self._open()
            return await _while_it_lasts(session, work(session))
        except (NatsError, OSError, TimeoutError) as error:
            if not isinstance(error, JetStreamError):  # that was answered, so somebody is there
                await self.close()
            # Its text may hold what was sent; its kind says enough.
            what = error.description if isinstance(error, APIError) else ""
            why = what or type(error).__name__
            raise Unavailable(f"broker {self._where}: {why}") from None

    def anew(self) -> _Link:
        """Another one to the same servers, for another event loop."""
        return _Link(self._where, self._servers)

    async def close(self) -> None:
        """Let go of it; the next work gets another one."""
        session, self._session = self._session, None
        if session is not None and not session.client.is_closed:
            try:
                await asyncio.wait_for(session.client.close(), CONNECT_S)
            except (NatsError, OSError, TimeoutError) as error:
                log.debug("the connection ended with %s", type(error).__name__)

    async def _open(self) -> _Session:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._session is None or not self._session.client.is_connected:
                await self.close()
                self._session = await self._connect()
            return self._session

    async def _connect(self) -> _Session:
        """A connection to the first server that lets us in; the next time another one is first."""
        error: Exception = OSError()
        for _ in self._servers:
            server = self._servers[0]
            self._servers = [*self._servers[1:], server]
            client, gone = Client(), asyncio.Event()

            async def closed(gone: asyncio.Event = gone) -> None:
                gone.set()

            login = client.connect(
                server,
                name="tactful",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=_quiet,
                closed_cb=closed,
            )
            try:
                await asyncio.wait_for(login, CONNECT_S)
                return _Session(client, gone)
            except (NatsError, OSError, TimeoutError) as found:
                error = found
                await client.close()
        raise error


class JetStream:
    """`ports.Broker` over NATS JetStream. Nothing is connected before it is needed."""

    def __init__(self, url: str, places: Places | None = None) -> None:
        self.where = shown(checked(url))
        self._places = places if places is not None else Places()
        scheme, _, servers = url.partition("://")
        found = [f"{scheme}://{one}" for one in servers.split(",")]
        login = found[0].rpartition("@")[0]
        if login:  # given once for all of them
            found = [one if "@" in one else f"{login}@{one.partition('://')[2]}" for one in found]
        self._loop = LoopThread("nats")
        # Two, so that who takes and who publishes do not end each other's connection.
        self._taking, self._publishing = _Link(self.where, found), _Link(self.where, found)
        self._used = False

    def __repr__(self) -> str:
        return f"<JetStream {self.where}>"

    # The port ---------------------------------------------------------------------------------

    def take(self, limit: int, wait_s: float) -> Sequence[Incoming]:
        """See `Broker.take`."""
        found = self._run(
            lambda session: self._pull(session, limit, wait_s), patience_s=PATIENCE_S + wait_s
        )
        return [_incoming(message) for message in found]

    def done(self, messages: Sequence[Incoming]) -> None:
        """See `Broker.done`."""
        self._each(messages, lambda message: message.ack())

    def later(self, messages: Sequence[Incoming], delay_ms: Millis) -> None:
        """See `Broker.later`."""
        self._each(messages, lambda message: message.nak(delay_ms / SECOND))

    def refuse(self, messages: Sequence[tuple[Incoming, Outgoing]]) -> None:
        """See `Broker.refuse`."""

        async def work(session: _Session) -> None:
            subject = self._places.refused
            await self._stream(session, subject, REFUSED_KEPT_S)
            for message, told in messages:
                headers = {"Nats-Msg-Id": told.id, "Content-Type": told.media_type}
                await session.js.publish(subject, told.body, ANSWER_S, headers=headers)
                await _of(message).term()
            await session.client.flush()

        self._run(work)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """See `Broker.publish`."""
        self._run(lambda session: self._publish(session, messages), over=self._publishing)

    def check(self) -> str:
        """See `Broker.check`."""

        async def work(session: _Session) -> str:
            info = await session.js.account_info()
            v = session.client.connected_server_version
            return f"NATS {v.major}.{v.minor}.{v.patch} with JetStream, {info.streams} streams"

        return self._run(work)

    def close(self) -> None:
        """See `Broker.close`."""
        if self._used:
            self._used = False
            for link in (self._taking, self._publishing):
                with suppress(Unavailable):
                    self._loop.run(link.close(), PATIENCE_S)
            self._taking, self._publishing = self._taking.anew(), self._publishing.anew()
        self._loop.stop()

    def _run(
        self,
        work: Callable[[_Session], Coroutine[Any, Any, R]],
        *,
        over: _Link | None = None,
        patience_s: float = PATIENCE_S,
    ) -> R:
        self._used = True
        return self._loop.run((over or self._taking).run(work), patience_s)

    # Streams ----------------------------------------------------------------------------------

    async def _stream(self, session: _Session, subject: str, kept_s: float | None = None) -> str:
        """The stream of a subject, which is made where there is none; gives its name.

        It keeps messages for some time, or, as a queue, until they are settled.
        """
        if subject not in session.streams:
            try:
                name = await session.js.find_stream_name_by_subject(subject)
            except NotFoundError:
                name = subject.removesuffix(".>").replace(".", "_")
                policy = api.RetentionPolicy
                await session.js.add_stream(
                    name=name,
                    subjects=[subject],
                    retention=policy.LIMITS if kept_s else policy.WORK_QUEUE,
                    max_age=kept_s,
                    num_replicas=self._places.replicas,
                )
            session.streams[subject] = name
        return session.streams[subject]

    # Taking -----------------------------------------------------------------------------------

    async def _consumer(self, session: _Session) -> None:
        """Has the consumer and a place where its messages come in."""
        if session.inbox is None:
            subject = self._places.submissions
            session.stream = await self._stream(session, subject)
            try:
                await session.js.consumer_info(session.stream, self._places.group)
            except NotFoundError:
                await session.js.add_consumer(
                    session.stream,
                    durable_name=self._places.group,
                    ack_policy=api.AckPolicy.EXPLICIT,
                    ack_wait=self._places.settled_within_ms / SECOND,
                    max_ack_pending=self._places.pending,
                    filter_subject=subject,
                )
            session.base = session.client.new_inbox()
            session.inbox = await session.client.subscribe(f"{session.base}.*")

    async def _pull(self, session: _Session, limit: int, wait_s: float) -> list[Msg]:
        await self._consumer(session)
        found = await self._ask(session, {"batch": limit, "no_wait": True}, ANSWER_S)
        if found or wait_s <= 0:
            return found
        await self._consumer(session)  # that answer may have been that it is gone
        expires = {"expires": int(wait_s * 1_000_000_000)}
        first = await self._ask(session, {"batch": 1, **expires}, wait_s + ANSWER_S)
        if first and limit > 1:
            first += await self._ask(session, {"batch": limit - 1, "no_wait": True}, ANSWER_S)
        return first

    async def _ask(self, session: _Session, how: dict[str, Any], wait_s: float) -> list[Msg]:
        """What one request brings; raises TimeoutError where not even its end is told."""
        assert session.inbox is not None, "the consumer is there"
        session.asked += 1
        reply = f"{session.base}.{session.asked}"
        next_ = f"$JS.API.CONSUMER.MSG.NEXT.{session.stream}.{self._places.group}"
        await session.client.publish(next_, json.dumps(how).encode(), reply)
        found: list[Msg] = []
        while len(found) < how["batch"]:
            message = await session.inbox.next_msg(wait_s)
            status = (message.headers or {}).get(STATUS) if not message.data else None
            if status is None:
                found.append(message)
            elif message.subject == reply:  # else the end of an earlier request
                if status in NO_CONSUMER:
                    await session.inbox.unsubscribe()
                    session.inbox = None
                    session.streams.pop(self._places.submissions, None)
                break
        return found

    def _each(
        self, messages: Sequence[Incoming], how: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> None:
        async def work(session: _Session) -> None:
            for message in messages:
                await how(_of(message))
            await session.client.flush()

        if messages:
            self._run(work)

    # Publishing -------------------------------------------------------------------------------

    async def _publish(self, session: _Session, messages: Sequence[Outgoing]) -> None:
        await self._stream(session, f"{self._places.events}.>", EVENTS_KEPT_S)
        left = list(messages)
        while left:
            kept = await self._portion(session, left)
            left = left[kept:]

    async def _portion(self, session: _Session, messages: Sequence[Outgoing]) -> int:
        """Publish these in one go; gives how many the stream has, at least one."""
        waiting = []
        before = ""
        for message in messages:
            headers = {"Nats-Msg-Id": message.id, "Content-Type": message.media_type}
            if before:
                headers["Nats-Expected-Last-Msg-Id"] = before
            subject = f"{self._places.events}.{message.topic}"
            answer = await session.js.publish_async(
                subject, message.body, ANSWER_S, headers=headers
            )
            answer.add_done_callback(_heard)
            waiting.append(answer)
            before = message.id
        _, late = await asyncio.wait(waiting, timeout=ANSWER_S)
        if late:
            raise TimeoutError
        for place, answer in enumerate(waiting):
            error = answer.exception()
            if isinstance(error, APIError) and error.err_code in WRONG_LAST and place:
                return place
            if error is not None:
                raise error
        return len(messages)


def _heard(answer: asyncio.Future[Any]) -> None:
    """Where the connection ends meanwhile nobody asks for it any more, which is no news."""
    if not answer.cancelled():
        answer.exception()


async def _while_it_lasts(session: _Session, work: Coroutine[Any, Any, R]) -> R:
    """What some work gives; raises ConnectionClosedError as soon as the connection is gone.

    What waits for a message would wait on otherwise.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(session.gone.wait())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ConnectionClosedError
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _incoming(message: Msg) -> Incoming:
    # $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<delivered>.<seq>.<cseq>.<time>.<pending>,
    # or, without the two after ACK, of older servers.
    parts = message.reply.split(".")[2:]
    if len(parts) > 7:
        parts = parts[2:]
    stream, _, tries, seq, _, stored_at = parts[:6]
    headers = {name.lower(): value for name, value in (message.headers or {}).items()}
    name = f"{stream}:{seq}:{stored_at}"
    return Incoming(message.data, headers, name, int(tries), message)


def _of(message: Incoming) -> Msg:
    assert isinstance(message.handle, Msg), "it was taken here"
    return message.handle


async def _quiet(error: Exception) -> None:
    """Whoever called hears of it; the library would write it to the log as well."""
