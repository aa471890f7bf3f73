"""Another program at a NATS server: it hands submissions in and reads what is there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

R = TypeVar("R")
SUBMISSIONS = "tactful_submissions"
EVENTS = "tactful_events"
REFUSED = "tactful_refused"
PATIENCE_S = 60.0
AWAY = (TimeoutError, ServiceUnavailableError)
"""A cluster that has no leader for a moment."""


def until(true: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Ask again until the answer is yes."""
    never, end = threading.Event(), time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end, "it took too long"
        never.wait(0.05)


class Kept(NamedTuple):
    """A message of a stream."""

    subject: str
    headers: Mapping[str, str]
    body: bytes


class NatsPeer:
    """Each call has a connection of its own to one of the servers."""

    def __init__(self, *urls: str) -> None:
        self._urls = list(urls)

    def put(
        self,
        items: Iterable[tuple[bytes, Mapping[str, str] | None]],
        subject: str = "tactful.submissions",
    ) -> None:
        """Publish submissions in order; returns when all are acknowledged."""

        async def work(js: JetStreamContext) -> None:
            waiting = [
                await js.publish_async(subject, body, headers=dict(headers or {}))
                for body, headers in items
            ]
            await asyncio.gather(*waiting)

        self.do(work)

    def put_surely(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Publish one submission, again and again until it is acknowledged."""

        async def work(js: JetStreamContext) -> None:
            one = partial(js.publish, "tactful.submissions", body, 1.0, headers=dict(headers))
            await _surely(one, (TimeoutError, NatsError, OSError))

        self.do(work)

    def kept(self, stream: str) -> list[Kept]:
        """All that is in a stream."""

        async def work(js: JetStreamContext) -> list[Kept]:
            state = (await js.stream_info(stream)).state
            found = []
            for seq in range(state.first_seq, state.last_seq + 1):
                one = await _surely(partial(js.get_msg, stream, seq), AWAY)
                found.append(Kept(one.subject or "", one.headers or {}, one.data or b""))
            return found

        return self.do(work)

    def count(self, stream: str) -> int:
        """How many messages are in a stream."""

        async def work(js: JetStreamContext) -> int:
            return (await js.stream_info(stream)).state.messages

        return self.do(work)

    def has(self, stream: str) -> bool:
        """Whether there is such a stream, and somebody answers."""
        try:
            return self.count(stream) >= 0
        except (NatsError, OSError):
            return False

    def purge(self, stream: str) -> None:
        """Throw away what is in a stream."""

        async def work(js: JetStreamContext) -> None:
            await js.purge_stream(stream)

        self.do(work)

    def delete(self, stream: str) -> None:
        """Throw a stream away, and all who read it."""

        async def work(js: JetStreamContext) -> None:
            await js.delete_stream(stream)

        self.do(work)

    def forget(self, stream: str, consumer: str) -> None:
        """Throw a consumer away; its stream keeps what is in it."""

        async def work(js: JetStreamContext) -> None:
            await js.delete_consumer(stream, consumer)

        self.do(work)

    def leader(self, stream: str, *, whole: bool = False) -> str:
        """Which server of a cluster leads a stream; empty while there is none.

        With `whole` also empty while a member is away or has not caught up.
        """

        async def work(js: JetStreamContext) -> str:
            found = (await js.stream_info(stream)).cluster
            if found is None or (whole and not all(one.current for one in found.replicas or ())):
                return ""
            return found.leader or ""

        try:
            return self.do(work)
        except (NatsError, OSError):
            return ""

    def do(self, work: Callable[[JetStreamContext], Coroutine[Any, Any, R]]) -> R:
        """What some work gives over a new connection."""

        async def connected() -> R:
            client = await nats.connect(self._urls, error_cb=_quiet, reconnect_time_wait=0.1)
            try:
                return await work(client.jetstream(timeout=5))
            finally:
                await client.close()

        return asyncio.run(connected())


async def _surely(
    ask: Callable[[], Coroutine[Any, Any, R]], while_: tuple[type[Exception], ...]
) -> R:
    """What this gives, asked again and again while it fails so."""
    while True:
        try:
            return await ask()
        except while_:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.1)


async def _quiet(error: Exception) -> None:
    """Servers are killed on purpose."""
