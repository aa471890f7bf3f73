"""A client that waits, on the standard library alone.

    with Client("https://tactful.example.com", key="tk_live_...") as tactful:
        receipt = tactful.send(type="status", to="ada@example.com", text="It works.")

Safe to use from many threads: each request takes a connection for itself, and leaves it for the
next one.
"""

from __future__ import annotations

import http.client
import os
import select
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from tactful.client import calls
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
TIMEOUT_S: Final = 30.0
KEPT: Final = 8


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


class Client:
    """The service at `url`, for the holder of `key`.

    A request waits `timeout_s` for its connection and for each piece of its answer. Where the
    service is out of reach or asks to come again, it is tried `tries` times in all, with pauses
    that grow to 5 s; with the same idempotency key, so that nothing is stored twice. `tls` is for
    https with an authority of one's own; `pause` waits so many seconds.

    Methods raise RequestError and its kin where the service refuses something, Unavailable where it
    cannot be reached, ConfigError for a key that is not accepted.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = TIMEOUT_S,
        tries: int = calls.TRIES,
        tls: ssl.SSLContext | None = None,
        pause: Callable[[float], object] = _pause,
    ) -> None:
        self._service = calls.service(url, key)
        self._tries = tries
        self._pause = pause
        self._pool = Pool(self._service, timeout_s, tls)
        self.rules = Rules(self._done)

    def __repr__(self) -> str:
        return f"Client({self._service.url!r})"

    # Sending ----------------------------------------------------------------------------------

    def send(self, **fields: Unpack[Notification]) -> Receipt:
        """Submit one notification to one recipient; it is stored when this returns.

        What a rule rejects comes back as a receipt with the decision `reject`.
        """
        return self._done(calls.send(fields))

    def send_each(self, items: Iterable[Notification]) -> list[Receipt | RequestError]:
        """Submit many; a receipt, or what is wrong with it, for each, in order.

        They go in requests of up to 1,000. Where one of these fails, those before are stored.
        """
        return [result for call in calls.send_each(items) for result in self._done(call)]

    def broadcast(self, **fields: Unpack[Announcement]) -> Receipt:
        """Submit one notification to everyone registered now."""
        return self._done(calls.broadcast(fields))

    def cancel(self, delivery_id: str) -> int:
        """Call off a delivery that still waits; gives how many were."""
        return self._done(calls.cancel("deliveries", delivery_id))

    def cancel_all(self, notification_id: str) -> int:
        """Call off all of a notification that still waits; gives how many were."""
        return self._done(calls.cancel("notifications", notification_id))

    def pause(self, notification_id: str) -> int:
        """Hand over nothing more of a notification until it is resumed; gives how many wait."""
        return self._done(calls.pause(notification_id))

    def resume(self, notification_id: str) -> int:
        """Decide anew about all that was paused of a notification; gives how many."""
        return self._done(calls.resume(notification_id))

    def retry(self, delivery_id: str) -> bool:
        """Put a failed or unknown delivery back into the queue."""
        return self._done(calls.retry(delivery_id))

    # Questions --------------------------------------------------------------------------------

    def delivery(self, delivery_id: str) -> Delivery:
        """One delivery; raises NotFound."""
        return self._done(calls.delivery(delivery_id))

    def deliveries(
        self,
        *,
        notification_id: str | None = None,
        recipient: str | None = None,
        state: str | None = None,
    ) -> Iterator[Delivery]:
        """Deliveries in the order of acceptance, fetched page by page as they are asked for."""
        wanted = {"notification_id": notification_id, "recipient": recipient, "state": state}
        cursor: str | int | None = None
        while True:
            page = self._done(calls.deliveries(cursor, wanted))
            yield from map(calls.delivery_of, page.items)
            cursor = page.next
            if cursor is None:
                return

    def events(
        self,
        *,
        after: int = 0,
        delivery_id: str | None = None,
        notification_id: str | None = None,
        name: str | None = None,
    ) -> Iterator[Event]:
        """Events behind the one with `seq` = `after`, up to the newest that there is now."""
        wanted = {"delivery_id": delivery_id, "notification_id": notification_id, "name": name}
        cursor: str | int | None = after
        while True:
            page = self._done(calls.events(cursor, wanted))
            yield from map(calls.event_of, page.items)
            cursor = page.next
            if len(page.items) < calls.PAGE:
                return

    def why(self, delivery_id: str) -> Why:
        """Why a delivery is where it is; raises NotFound."""
        return self._done(calls.why(delivery_id))

    def stats(self, notification_id: str) -> Figures:
        """The figures of a notification; raises NotFound."""
        return self._done(calls.stats(notification_id))

    # Connections ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of all connections; harmless when repeated, and used again they are made anew."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _done(self, call: Call[T]) -> T:
        tried = 0
        while True:
            got = self._pool.ask(call)
            tried += 1
            wait_s = calls.again_after(call, got, tried, self._tries)
            if wait_s is None:
                return calls.outcome(call, got, self._service.url)
            self._pause(wait_s)


class Rules:
    """The rules in force, as mappings of the fields that docs/rules.md names."""

    def __init__(self, done: Callable[[Call[Any]], Any]) -> None:
        self._done = done

    def list(self) -> list[dict[str, Any]]:
        """All of them, by name."""
        found: list[dict[str, Any]] = self._done(calls.rules())
        return found

    def get(self, name: str) -> dict[str, Any]:
        """One of them; raises NotFound."""
        found: dict[str, Any] = self._done(calls.rule(name))
        return found

    def put(self, name: str, **fields: Any) -> int:
        """Add or change one; gives the version. Raises InvalidRule."""
        return int(self._done(calls.put_rule(name, fields)))

    def remove(self, name: str) -> int:
        """Take one out of force; gives the version. Raises NotFound."""
        return int(self._done(calls.remove_rule(name)))


class Pool:
    """Connections that nobody uses just now; the newest is taken first, and few are kept."""

    def __init__(
        self, service: calls.Service, timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        self._service = service
        self._timeout_s = timeout_s
        self._tls = tls
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._process = os.getpid()

    def ask(self, call: Call[Any]) -> Answer | UnsentError | LostError:
        """Send a request and read its answer, over one connection."""
        content, headers = call.content(), self._service.headers(call)
        connection = self._taken()
        try:
            if connection.sock is None:
                connection.connect()
        except OSError as error:
            connection.close()
            return UnsentError(f"cannot connect: {error}")
        try:
            connection.request(call.method, self._service.path + call.target, content, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, found, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return LostError(f"no answer came: {error or type(error).__name__}")
        self._left(connection)
        return answer

    def close(self) -> None:
        """Close those that are kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _taken(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._process != os.getpid():  # forked: the others belong to the parent
                self._idle, self._process = [], os.getpid()
            while self._idle:
                connection = self._idle.pop()
                if connection.sock is not None and not _has_ended(connection):
                    return connection
                connection.close()
        return self._made()

    def _made(self) -> http.client.HTTPConnection:
        host, port, timeout = self._service.host, self._service.port, self._timeout_s
        if not self._service.secure:
            return http.client.HTTPConnection(host, port, timeout=timeout)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)

    def _left(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed it: nothing else can be there to read between requests."""
    looking = select.poll()
    looking.register(connection.sock, select.POLLIN)
    return bool(looking.poll(0))
