"""Valkey or Redis streams: `valkey://:password@host:6379/0`, `redis://`, with `s` for TLS.

Submissions are entries of a stream that a consumer group reads (XREADGROUP); what is settled is
acknowledged and deleted (XACK, XDEL). An entry that nobody settles within half a minute is claimed
by whoever looks next (XAUTOCLAIM). The fields of an entry are `body` and headers. It is known by
its stream and its id, which begins with the instant at which it was added.

Events are entries of one stream with the fields `id`, `topic`, `content-type` and `body`. Each
portion is one transaction (MULTI), so its order is that of the store; copies are not dropped. A
stream of events, or of what was refused, is cut at about a million entries.

What a server has acknowledged is as durable as its `appendfsync` says.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import valkey
from valkey.exceptions import ResponseError, ValkeyError

from tactful.brokers.settings import Places, checked, shown
from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, Millis
from tactful.ports import Incoming, Outgoing

R = TypeVar("R")

ANSWER_S: Final = 5.0
KEPT_MAX: Final = 1_000_000
BODY: Final = b"body"


class ValkeyStreams:
    """`ports.Broker` over the streams of Valkey or Redis. Connects when it is needed."""

    def __init__(self, url: str, places: Places | None = None) -> None:
        self.where = shown(checked(url))
        self._places = places if places is not None else Places()
        self._client: Any = valkey.Valkey.from_url(
            url, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S
        )
        # Two who are called the same do not take from each other: news are for one of them.
        self._reader = f"{socket.gethostname()}-{os.getpid()}-{id(self)}"
        self._reads = False

    def __repr__(self) -> str:
        return f"<ValkeyStreams {self.where}>"

    def take(self, limit: int, wait_s: float) -> Sequence[Incoming]:
        """See `Broker.take`."""
        return self._run(lambda: self._take(limit, wait_s))

    def done(self, messages: Sequence[Incoming]) -> None:
        """See `Broker.done`."""
        if messages:
            self._run(lambda: self._settle(messages, []))

    def later(self, messages: Sequence[Incoming], delay_ms: Millis) -> None:
        """See `Broker.later`.

        They are given an idle time that makes them due for the next claim after the delay.
        """
        if messages:
            idle = max(0, self._places.settled_within_ms - delay_ms)
            places = self._places
            self._run(
                lambda: self._client.xclaim(
                    places.submissions,
                    places.group,
                    self._reader,
                    0,
                    [message.handle for message in messages],
                    idle=idle,
                    justid=True,
                )
            )

    def refuse(self, messages: Sequence[tuple[Incoming, Outgoing]]) -> None:
        """See `Broker.refuse`."""
        if messages:
            self._run(lambda: self._settle([m for m, _ in messages], [t for _, t in messages]))

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """See `Broker.publish`."""
        if messages:
            self._run(lambda: self._publish(messages))

    def check(self) -> str:
        """See `Broker.check`."""
        found = self._run(lambda: self._client.info("server"))
        kind = "Valkey" if "valkey_version" in found else "Redis"
        return f"{kind} {found.get('valkey_version', found.get('redis_version'))}"

    def close(self) -> None:
        """See `Broker.close`."""
        if self._reads:
            self._reads = False
            with suppress(ValkeyError, OSError):
                self._leave()
        self._client.close()

    # Inside -----------------------------------------------------------------------------------

    def _run(self, work: Callable[[], R]) -> R:
        try:
            return work()
        except (ValkeyError, OSError) as error:
            raise Unavailable(f"broker {self.where}: {type(error).__name__}") from None

    def _leave(self) -> None:
        """Take our name off the group, unless there is something under it that comes again."""
        here = (self._places.submissions, self._places.group)
        if not self._client.xpending_range(*here, "-", "+", 1, consumername=self._reader):
            self._client.xgroup_delconsumer(*here, self._reader)

    def _take(self, limit: int, wait_s: float) -> list[Incoming]:
        places = self._places
        self._reads = True
        try:
            found = self._claimed(limit)
            if len(found) < limit:
                found += self._news(limit - len(found), 0.0 if found else wait_s)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._client.xgroup_create(places.submissions, places.group, id="0", mkstream=True)
            return []
        return found

    def _claimed(self, limit: int) -> list[Incoming]:
        """What somebody took and did not settle in time, or put back."""
        places = self._places
        _, entries, *_ = self._client.xautoclaim(
            places.submissions,
            places.group,
            self._reader,
            places.settled_within_ms,
            count=limit,
        )
        if not entries:
            return []
        tries = {
            one["message_id"]: one["times_delivered"]
            for entry, _ in entries
            for one in self._client.xpending_range(
                places.submissions, places.group, entry, entry, 1
            )
        }
        return [
            self._incoming(entry, fields, tries.get(entry, 1))
            for entry, fields in entries
            if fields
        ]

    def _news(self, limit: int, wait_s: float) -> list[Incoming]:
        found = self._client.xreadgroup(
            self._places.group,
            self._reader,
            {self._places.submissions: ">"},
            count=limit,
            block=max(1, int(min(wait_s, ANSWER_S / 2) * SECOND)) if wait_s > 0 else None,
        )
        return [
            self._incoming(entry, fields, 1) for _, entries in found for entry, fields in entries
        ]

    def _incoming(self, entry: bytes, fields: dict[bytes, bytes], tries: int) -> Incoming:
        headers = {
            name.decode("utf-8", "replace").lower(): value.decode("utf-8", "replace")
            for name, value in fields.items()
            if name != BODY
        }
        name = f"{self._places.submissions}:{entry.decode()}"
        return Incoming(fields.get(BODY, b""), headers, name, tries, entry)

    def _settle(self, messages: Sequence[Incoming], told: Sequence[Outgoing]) -> None:
        places = self._places
        entries: list[Any] = [message.handle for message in messages]
        with self._client.pipeline(transaction=True) as pipe:
            for one in told:
                pipe.xadd(places.refused, _fields(one), maxlen=KEPT_MAX, approximate=True)
            pipe.xack(places.submissions, places.group, *entries)
            pipe.xdel(places.submissions, *entries)
            pipe.execute()

    def _publish(self, messages: Sequence[Outgoing]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            for one in messages:
                pipe.xadd(self._places.events, _fields(one), maxlen=KEPT_MAX, approximate=True)
            pipe.execute()


def _fields(message: Outgoing) -> dict[str, str | bytes]:
    return {
        "id": message.id,
        "topic": message.topic,
        "content-type": message.media_type,
        "body": message.body,
    }
