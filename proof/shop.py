"""Another program at JetStream: it hands submissions in, twice if need be, and reads events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

R = TypeVar("R")

SUBMISSIONS, EVENTS, REFUSED = "tactful_submissions", "tactful_events", "tactful_refused"
SUBJECT = "tactful.submissions"
ANSWER_S = 1.0
AGAIN_S = 0.1
PORTION = 200


class Shop:
    """Each call has a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def publish(self, number: int, pause_s: float) -> None:
        """So many submissions, each with a key of its own, again until it is acknowledged.

        Each third is handed in once more, as whoever has not heard the answer would.
        """

        async def work(js: JetStreamContext) -> None:
            for place in range(number):
                fields = {"type": "note", "to": f"p{place}@example.org", "text": f"<{place}>"}
                body = json.dumps(fields).encode()
                for _ in range(2 if place % 3 == 0 else 1):
                    await _surely(js, body, f"order-{place}")
                await asyncio.sleep(pause_s)

        self._do(work)

    def events(self) -> list[dict[str, Any]]:
        """All that is in the stream of events."""

        async def work(js: JetStreamContext) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            reader = await js.pull_subscribe("tactful.events.>", stream=EVENTS)
            wanted = (await js.stream_info(EVENTS)).state.messages
            while len(found) < wanted:
                for one in await reader.fetch(min(PORTION, wanted - len(found)), timeout=10):
                    found.append(json.loads(one.data))
                    await one.ack()
            return found

        return self._do(work)

    def count(self, stream: str) -> int:
        """How many messages are in a stream; 0 if it was never made."""

        async def work(js: JetStreamContext) -> int:
            with suppress(nats.js.errors.NotFoundError):
                return int((await js.stream_info(stream)).state.messages)
            return 0

        return self._do(work)

    def _do(self, work: Callable[[JetStreamContext], Coroutine[Any, Any, R]]) -> R:
        async def connected() -> R:
            client = await nats.connect(
                self._url, error_cb=_quiet, reconnect_time_wait=AGAIN_S, max_reconnect_attempts=-1
            )
            try:
                return await work(client.jetstream(timeout=5))
            finally:
                await client.close()

        return asyncio.run(connected())


async def _surely(js: JetStreamContext, body: bytes, key: str) -> None:
    while True:
        try:
            await js.publish(SUBJECT, body, ANSWER_S, headers={"Idempotency-Key": key})
        except (TimeoutError, NatsError, OSError):
            await asyncio.sleep(AGAIN_S)
        else:
            return


async def _quiet(error: Exception) -> None:
    """Servers are killed on purpose."""


def identities(events: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """By which a reader knows copies."""
    return [(one["source"], one["id"]) for one in events]
