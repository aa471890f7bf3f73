"""The live engine, and the one for test keys, of which nothing reaches anybody.

The other one has a store in memory, the rules, types and templates that are in force in the live
one, and channels of the same names that only answer. What test keys do counts against no limit but
their own, and is gone when the process ends.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request

from tactful.app import Tactful
from tactful.channels.rehearsal import Rehearsal
from tactful.engine.keys import ApiKey
from tactful.engine.requests import Receipt, Submission
from tactful.http.gather import Gathering
from tactful.ports import Channel


class Worlds:
    """Both engines; the one for tests is made when it is first asked for.

    `submissions` puts single ones that come at once into one portion for the live engine.
    """

    def __init__(self, live: Tactful, channels: Sequence[Channel]) -> None:
        self.live = live
        self.submissions: Gathering[Submission, Receipt] = Gathering(live.send_each)
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

    def _rehearsed(self) -> Tactful:
        with self._lock:
            if self._test is None:
                ways = [Rehearsal(channel, all_of_it=True) for channel in self._channels]
                self._test = Tactful(
                    "memory://", channels=ways, clock=self.live.clock, settings=self.live.settings
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


async def _worlds(request: Request) -> Worlds:
    found: Worlds = request.app.state.worlds
    return found


Both = Annotated[Worlds, Depends(_worlds)]
"""Both engines, as a dependency of a route."""
