"""Listeners: others who want to know.

Every fact is stored first and told afterwards, so neither a slow nor a failing listener touches the
one who sends. Each listener has its own place in the order of facts: it gets every event once it
has dealt with the one before. One that raises is asked again later, with growing pauses, while the
others go on; after `listener_tries` the event is set aside with a `listener.failed` fact.

A listener with a name keeps its place in the store, over restarts (at least once). One without a
name begins with what happens after it was added.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tactful.core.errors import RequestError
from tactful.core.model import Event, Millis
from tactful.core.names import name_key
from tactful.engine.context import Context

log = logging.getLogger("tactful.listeners")

Listener: TypeAlias = Callable[[Event], object]
OWN_EVENTS = "listener.failed"


@dataclass(slots=True)
class _Seat:
    """One listener and its place in the order of facts."""

    listener: Listener
    name: str | None
    only: frozenset[str]
    after: int
    failures: int = 0
    not_before: Millis = 0


class Listeners:
    """The listeners of one engine; nothing is shared with other engines."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seats: list[_Seat] = []
        self._lock = threading.Lock()
        self._telling = threading.Lock()

    def add(
        self, listener: Listener, *, name: str | None = None, events: Sequence[str] = ()
    ) -> None:
        """Tell `listener` all events, or those named; a `name` keeps its place in the store."""
        if not callable(listener):
            raise RequestError("listener", listener, "must be callable with one event")
        if name is not None:
            name = name_key(name, "name")
        with self._context.store.transaction() as tx:
            place = tx.note(_note(name)) if name is not None else None
            after = tx.last_event() if place is None else int(place)
            if name is not None and place is None:
                tx.set_note(_note(name), str(after))
        with self._lock:
            if name is not None and any(seat.name == name for seat in self._seats):
                raise RequestError("name", name, "is taken by another listener")
            self._seats.append(_Seat(listener, name, frozenset(events), after))

    def remove(self, listener: Listener) -> None:
        """Tell it no more; harmless if it was not told before."""
        with self._lock:
            self._seats = [seat for seat in self._seats if seat.listener != listener]

    def pump(self, limit: int = 1000) -> int:
        """Tell each listener what is new, up to `limit` events; gives how many were dealt with."""
        with self._lock:
            seats = list(self._seats)
        if not seats or not self._telling.acquire(blocking=False):
            return 0
        try:
            return sum(self._tell(seat, limit) for seat in seats)
        finally:
            self._telling.release()

    def next_try(self) -> Millis | None:
        """When the first listener that failed is to be asked again, or None."""
        with self._lock:
            return min((seat.not_before for seat in self._seats if seat.failures), default=None)

    def behind(self) -> dict[str, int]:
        """How many events each listener has still to be told, by its name; the most of equals.

        Those without a name are together under an empty one. Raises Unavailable.
        """
        with self._lock:
            places = [(seat.name or "", seat.after) for seat in self._seats]
        if not places:
            return {}
        with self._context.store.reading() as reader:
            last = reader.last_event()
        found: dict[str, int] = {}
        for name, after in places:
            found[name] = max(found.get(name, 0), last - after)
        return found

    def _tell(self, seat: _Seat, limit: int) -> int:
        now = self._context.timekeeper.glance()
        patience = self._context.settings.retry.cap_ms
        # Further off than any pause: the clock was wrong when that was worked out.
        if seat.failures and now < seat.not_before <= now + patience:
            return 0
        with self._context.store.reading() as reader:
            events = reader.events(after=seat.after, limit=limit)
        told = 0
        for event in events:
            if (not seat.only or event.name in seat.only) and not self._hears(seat, event, now):
                break
            seat.after = event.seq
            told += 1
        if told and seat.name is not None:
            with self._context.store.transaction(durable=False) as tx:
                tx.set_note(_note(seat.name), str(seat.after))
        return told

    def _hears(self, seat: _Seat, event: Event, now: Millis) -> bool:
        """Whether the listener is done with the event: dealt with it, or failed too often."""
        try:
            seat.listener(event)
        except Exception as error:
            seat.failures += 1
            log.exception("listener %s failed on event %d", seat.name, event.seq)
            if seat.failures < self._context.settings.listener_tries:
                pause = self._context.settings.retry.delay_ms(seat.failures, 0.0)
                seat.not_before = now + pause
                return False
            if event.name != OWN_EVENTS:
                self._set_aside(seat, event, error, now)
        seat.failures = 0
        return True

    def _set_aside(self, seat: _Seat, event: Event, error: Exception, now: Millis) -> None:
        facts = {
            "listener": seat.name or "",
            "seq": event.seq,
            "event": event.name,
            "error": f"{type(error).__name__}: {error}",
        }
        with self._context.store.transaction(durable=False) as tx:
            tx.add_events([Event(OWN_EVENTS, event.delivery_id, now, data=facts)])


def _note(name: str) -> str:
    return f"listener:{name}"
