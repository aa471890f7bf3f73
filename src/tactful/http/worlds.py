"""The live engine, and the one for test keys, of which nothing reaches anybody.

The other one has a store in memory, the rules, types and templates that are in force in the live
one, and channels of the same names that only answer. What test keys do counts against no limit but
their own, and is gone when the process ends.

It cannot grow for ever: what has finished is kept for an hour, and after `HELD_MAX` events and
recipients it begins anew, empty.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import Depends, Request

from tactful.app import Tactful
from tactful.channels.rehearsal import Rehearsal
from tactful.core.errors import RequestError
from tactful.core.model import HOUR, Millis
from tactful.engine.keys import ApiKey
from tactful.engine.requests import Receipt, Submission
from tactful.http.gather import Gathering
from tactful.ports import Channel

KEEP_MS: Final[Millis] = HOUR
HELD_MAX: Final = 500_000
"""How many events and recipients the world of test keys has had when it begins anew."""


class Worlds:
    """Both engines; the one for tests is made when it is first asked for.

    `submissions` puts single ones that come at once into one portion for the live engine, each with
    the span that asks for it.
    """

    def __init__(
        self, live: Tactful, channels: Sequence[Channel], held_max: int = HELD_MAX
    ) -> None:
        self.live = live
        self._held_max = held_max
        self.submissions: Gathering[tuple[Submission, str], Receipt] = Gathering(self._admit)
        self._channels = channels
        self._lock = threading.Lock()
        self._test: Tactful | None = None
        self._epoch = -1

    def of(self, key: ApiKey) -> Tactful:
        """The engine that the holder of a key speaks to; raises Unavailable."""
        return self._rehearsed() if key.is_test else self.live

    def close(self) -> None:
        """Let go of the engine for tests; the live one is somebody else's."""
        with self._lock:
            if self._test is not None:
                self._test.close()
                self._test = None

    async def submit(self, fields: Submission) -> Receipt:
        """Submit one to the live engine, with others that come now; raises RequestError."""
        tracer = self.live.tracer
        return await self.submissions.submit((fields, tracer.current() if tracer else ""))

    def _admit(self, asked: Sequence[tuple[Submission, str]]) -> list[Receipt | RequestError]:
        fields, traces = zip(*asked, strict=True)
        return self.live.send_each(fields, traces=traces)

    def _rehearsed(self) -> Tactful:
        with self._lock:
            if self._test is not None and _held(self._test) > self._held_max:
                self._test.close()
                self._test, self._epoch = None, -1
            if self._test is None:
                ways = [Rehearsal(channel, all_of_it=True) for channel in self._channels]
                settings = self.live.settings
                brief = replace(settings, keep_ms=min(settings.keep_ms, KEEP_MS))
                self._test = Tactful(
                    "memory://", channels=ways, clock=self.live.clock, settings=brief
                )
                self._test.start()
            with self.live.store.reading() as reader:
                epoch = reader.epoch()
            if epoch != self._epoch:
                self._test.types.apply(self.live.types.list())
                self._test.templates.apply(self.live.templates.list())
                self._test.rules.apply(self.live.rules.list())
                self._epoch = epoch
            return self._test


def _held(world: Tactful) -> int:
    """How many events and recipients there have been: all else comes with one of them."""
    with world.store.reading() as reader:
        return reader.last_event() + reader.last_recipient()


async def _worlds(request: Request) -> Worlds:
    found: Worlds = request.app.state.worlds
    return found


Both = Annotated[Worlds, Depends(_worlds)]
"""Both engines, as a dependency of a route."""
