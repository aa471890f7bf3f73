"""Submissions that come at once are admitted together.

While one portion is with the engine, the next one gathers. So a service that is asked a lot pays
for a thread and a commit once for many, and one that is asked little for each at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from fastapi.concurrency import run_in_threadpool

T = TypeVar("T")
R = TypeVar("R")

PORTION: Final = 250


class Gathering(Generic[T, R]):
    """Hands portions of items to `admit`, in a thread, one portion at a time.

    `admit` gives a result for each item, in order; one that is an exception is raised to whoever
    asked for that item, and what it raises itself to all of them. For one event loop.
    """

    def __init__(self, admit: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._admit = admit
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._work: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """The result for this item."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._until_none_waits())
        return await answer

    async def _until_none_waits(self) -> None:
        try:
            while self._waiting:
                portion, self._waiting = self._waiting[:PORTION], self._waiting[PORTION:]
                await self._one(portion)
        finally:
            self._work = None

    async def _one(self, portion: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        found: Sequence[R | Exception]
        try:
            found = await run_in_threadpool(self._admit, [item for item, _ in portion])
        except Exception as error:
            found = [error] * len(portion)
        for (_, answer), result in zip(portion, found, strict=True):
            if answer.done():  # whoever asked has gone away; it is stored all the same
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
