"""The same client for programs on asyncio, over aiohttp (`pip install 'tactful[async]'`).

async with AsyncClient("https://tactful.example.com", key="tk_live_...") as tactful:
    receipt = await tactful.send(type="status", to="ada@example.com", text="It works.")
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import aiohttp

from tactful.client import calls
from tactful.client.blocking import KEPT, TIMEOUT_S
from tactful.client.calls import Answer, Call, LostError, UnsentError
from tactful.client.shapes import (
    Announcement,
    Delivery,
    Event,
    Figures,
    Notification,
    Receipt,
    Why,
)
from tactful.core.errors import RequestError

T = TypeVar("T")


class AsyncClient:
    """The service at `url`, for the holder of `key`; used by one event loop, by any of its tasks.

    Arguments, methods and errors are those of `Client`. It is closed by `close` or `async with`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = calls.TRIES,
        tls: ssl.SSLContext | None = None,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._service = calls.service(url, key)
        self._timeout = aiohttp.ClientTimeout(sock_connect=timeout_s, sock_read=timeout_s)
        self._tries = tries
        self._tls = tls
        self._pause = pause
        self._session: aiohttp.ClientSession | None = None
        self.rules = AsyncRules(self._done)

    def __repr__(self) -> str:
        return f"AsyncClient({self._service.url!r})"

    # Sending ----------------------------------------------------------------------------------

    async def send(self, **fields: Unpack[Notification]) -> Receipt:
        """Submit one notification to one recipient; it is stored when this returns."""
        return await self._done(calls.send(fields))

    async def send_each(self, items: Iterable[Notification]) -> list[Receipt | RequestError]:
        """Submit many; a receipt, or what is wrong with it, for each, in order."""
        return [result for call in calls.send_each(items) for result in await self._done(call)]

    async def broadcast(self, **fields: Unpack[Announcement]) -> Receipt:
        """Submit one notification to everyone registered now."""
        return await self._done(calls.broadcast(fields))

    async def cancel(self, delivery_id: str) -> int:
        """Call off a delivery that still waits; gives how many were."""
        return await self._done(calls.cancel("deliveries", delivery_id))

    async def cancel_all(self, notification_id: str) -> int:
        """Call off all of a notification that still waits; gives how many were."""
        return await self._done(calls.cancel("notifications", notification_id))

    async def pause(self, notification_id: str) -> int:
        """Hand over nothing more of a notification until it is resumed; gives how many wait."""
        return await self._done(calls.pause(notification_id))

    async def resume(self, notification_id: str) -> int:
        """Decide anew about all that was paused of a notification; gives how many."""
        return await self._done(calls.resume(notification_id))

    async def retry(self, delivery_id: str) -> bool:
        """Put a failed or unknown delivery back into the queue."""
        return await self._done(calls.retry(delivery_id))

    # Questions --------------------------------------------------------------------------------

    async def delivery(self, delivery_id: str) -> Delivery:
        """One delivery; raises NotFound."""
        return await self._done(calls.delivery(delivery_id))

    async def deliveries(
        self,
        *,
        notification_id: str | None = None,
        recipient: str | None = None,
        state: str | None = None,
    ) -> AsyncIterator[Delivery]:
        """Deliveries in the order of acceptance, fetched page by page as they are asked for."""
        wanted = {"notification_id": notification_id, "recipient": recipient, "state": state}
        cursor: str | int | None = None
        while True:
            page = await self._done(calls.deliveries(cursor, wanted))
            for item in page.items:
                yield calls.delivery_of(item)
            cursor = page.next
            if cursor is None:
                return

    async def events(
        self,
        *,
        after: int = 0,
        delivery_id: str | None = None,
        notification_id: str | None = None,
        name: str | None = None,
    ) -> AsyncIterator[Event]:
        """Events behind the one with `seq` = `after`, up to the newest that there is now."""
        wanted = {"delivery_id": delivery_id, "notification_id": notification_id, "name": name}
        cursor: str | int | None = after
        while True:
            page = await self._done(calls.events(cursor, wanted))
            for item in page.items:
                yield calls.event_of(item)
            cursor = page.next
            if len(page.items) < calls.PAGE:
                return

    async def why(self, delivery_id: str) -> Why:
        """Why a delivery is where it is; raises NotFound."""
        return await self._done(calls.why(delivery_id))

    async def stats(self, notification_id: str) -> Figures:
        """The figures of a notification; raises NotFound."""
        return await self._done(calls.stats(notification_id))

    # Connections ------------------------------------------------------------------------------

    async def close(self) -> None:
        """Let go of all connections; harmless when repeated, and used again they are made anew."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _done(self, call: Call[T]) -> T:
        tried = 0
        while True:
            got = await self._asked(call)
            tried += 1
            wait_s = calls.again_after(call, got, tried, self._tries)
            if wait_s is None:
                return calls.outcome(call, got, self._service.url)
            await self._pause(wait_s)

    async def _asked(self, call: Call[Any]) -> Answer | UnsentError | LostError:
        """Send a request and read its answer."""
        if self._session is None:
            # A loop with many tasks needs more connections at once than are worth keeping.
            connector = aiohttp.TCPConnector(limit=KEPT * 16)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        try:
            async with self._session.request(
                call.method,
                self._service.url + call.target,
                data=call.content(),
                headers=self._service.headers(call),
                allow_redirects=False,
                ssl=self._tls if self._tls is not None else True,
            ) as response:
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, found, await response.read())
        except aiohttp.ClientConnectorError as error:
            return UnsentError(f"cannot connect: {error}")
        except (aiohttp.ClientError, TimeoutError) as error:
            return LostError(f"no answer came: {error or type(error).__name__}")


class AsyncRules:
    """The rules in force, as mappings of the fields that docs/rules.md names."""

    def __init__(self, done: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        self._done = done

    async def list(self) -> list[dict[str, Any]]:
        """All of them, by name."""
        found: list[dict[str, Any]] = await self._done(calls.rules())
        return found

    async def get(self, name: str) -> dict[str, Any]:
        """One of them; raises NotFound."""
        found: dict[str, Any] = await self._done(calls.rule(name))
        return found

    async def put(self, name: str, **fields: Any) -> int:
        """Add or change one; gives the version. Raises InvalidRule."""
        return int(await self._done(calls.put_rule(name, fields)))

    async def remove(self, name: str) -> int:
        """Take one out of force; gives the version. Raises NotFound."""
        return int(await self._done(calls.remove_rule(name)))
