"""What holds for every request, whichever route answers it: a time cap, and headers of caution.

The engine works in threads, which nobody can interrupt. When the time is up the caller is told so
and the work goes on by itself: what was submitted may well be stored, and the same idempotency key
tells.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tactful.http.intake import ARRIVING
from tactful.http.problems import Problem

log = logging.getLogger("tactful.http")

CAUTION: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""What answers say to browsers where a route has not said something else."""
DATA: Final = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""And those that are data and no page."""


class Guard:
    """ASGI middleware; no request takes longer than `timeout_s`, and no bug gets further."""

    def __init__(self, app: ASGIApp, timeout_s: float) -> None:
        self.app = app
        self._timeout_s = timeout_s
        self._left_alone: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the specification of ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        answer = _Answer(scope, send)
        work = asyncio.create_task(self._work(scope, receive, answer))
        try:
            await asyncio.wait({work}, timeout=self._timeout_s)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if not work.done():
            self._left_alone.add(work)
            work.add_done_callback(self._left_alone.discard)
            arriving = ARRIVING in state
            if arriving:
                work.cancel()
            await answer.instead(_late(arriving=arriving), receive)

    async def _work(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self.app(scope, receive, answer.of_work)
        except Exception as error:
            log.error("a request met a bug: %s", type(error).__name__, exc_info=error)
            problem = Problem(500, "internal", "this is a bug; it has been logged")
            await answer.instead(problem, receive)


class _Answer:
    """The way back to the caller; the first who answers is heard."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._begun = False
        self._closed = False

    async def of_work(self, message: Message) -> None:
        """What the work has to say, unless it is too late."""
        if not self._closed:
            await self._tell(message)

    async def instead(self, problem: Problem, receive: Receive) -> None:
        """The last word, where nothing has been said."""
        self._closed = True
        if not self._begun:
            await problem.response()(self._scope, receive, self._tell)

    async def _tell(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            headers = MutableHeaders(scope=message)
            more = CAUTION | self._scope["state"].get("headers", {})
            if "json" in headers.get("content-type", "json"):
                more |= DATA
            for name, value in more.items():
                headers.setdefault(name, value)
        await self._send(message)


def _late(*, arriving: bool) -> Problem:
    if arriving:
        return Problem(408, "too_slow", "the request did not arrive in time")
    detail = "it took too long; it may be done all the same, and the same `Idempotency-Key` tells"
    return Problem(504, "timeout", detail)
