"""Tells endpoints what happens: see `engine.endpoints` for what is promised.

A courier holds an endpoint for a minute at a time, so that of several workers one tells it. Between
two events nothing is written down; after a crash an endpoint may get the last ones again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tactful.channels.egress import Egress, EgressError, Session, Target
from tactful.channels.webhook import retry_after_ms, signed_headers, signing_keys
from tactful.core.errors import RequestError, Unavailable
from tactful.core.model import MINUTE, SECOND, Event, Millis
from tactful.engine.context import Context
from tactful.engine.endpoints import (
    ENDPOINT,
    SET_ASIDE,
    STOPPED,
    Endpoint,
    Place,
    body_of,
    endpoint_from,
    id_of,
    note_of,
    place_from,
)
from tactful.ports import Tx

log = logging.getLogger("tactful.endpoints")

PORTION: Final = 100
HOLD_MS: Final = MINUTE
IDLE_S: Final = 1.0
GONE: Final = 410


class Courier:
    """Tells the endpoints of one engine's store, in the background or when it is asked to."""

    def __init__(self, context: Context, egress: Egress, wall: Callable[[], Millis]) -> None:
        self._context = context
        self._egress = egress
        self._wall = wall
        self._telling = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def pump(self) -> int:
        """Tell each endpoint what is new; gives how many events were taken. Raises Unavailable."""
        with self._context.store.reading() as reader:
            endpoints = [endpoint_from(p.body or {}) for p in reader.policies(ENDPOINT)]
        if not endpoints or not self._telling.acquire(blocking=False):
            return 0
        try:
            return sum(self._tell(endpoint) for endpoint in endpoints)
        finally:
            self._telling.release()

    def start(self) -> None:
        """Begin to tell in the background; harmless when repeated."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="tactful-courier", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Tell nothing more; waits for the request that is under way."""
        if self._thread is not None:
            self._stopping.set()
            self._wake.set()
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            told = 0
            try:
                told = self.pump()
            except Unavailable as error:
                log.warning("endpoints have to wait: %s", error)
            except Exception:
                log.exception("the courier goes on after an error")
            if not told:
                self._wake.wait(IDLE_S)
            self._wake.clear()

    # One endpoint -----------------------------------------------------------------------------

    def _tell(self, endpoint: Endpoint) -> int:
        """Tell it until there is nothing more to tell, or it fails."""
        told = 0
        while not self._stopping.is_set():
            before, events = self._take(endpoint)
            if not events:
                break
            after, count = self._offer(endpoint, before, events)
            told += count
            self._keep(endpoint, before, after)
            if after.tries or after.stopped is not None:
                break
        return told

    def _take(self, endpoint: Endpoint) -> tuple[Place, list[Event]]:
        """Its place and what comes next, with nobody else at it; nothing if it is not our turn."""
        with self._context.store.transaction(durable=False) as tx:
            now = self._context.timekeeper.now(tx)
            place = place_from(tx.note(note_of(endpoint.name)) or "")
            if place is None or not place.may_be_taken(self._context.owner, now):
                return Place(0), []
            place, events = _next(tx, place)
            if events:
                place = replace(place, owner=self._context.owner, until=now + HOLD_MS)
                tx.set_note(note_of(endpoint.name), place.text())
            return place, events

    def _offer(self, endpoint: Endpoint, place: Place, events: list[Event]) -> tuple[Place, int]:
        """Send one after the other until one is not taken; gives the place then, and how many."""
        told = 0
        try:
            keys = signing_keys(endpoint.secrets)
            target = self._egress.target(endpoint.url)
        except RequestError as error:
            return self._refused(endpoint, place, events[0], f"{error.field}: {error.bound}"), 0
        with self._egress.session() as session:
            for event in events:
                if self._stopping.is_set() or self._context.timekeeper.glance() >= place.until:
                    break
                if not endpoint.wants(event):
                    place = place.skipped(event.seq)
                    continue
                why, least_ms, gone = self._post(session, target, keys, endpoint, event)
                if why is None:
                    place, told = place.told(event.seq), told + 1
                    continue
                if gone:
                    return self._stop(endpoint, place, why), told
                return self._refused(endpoint, place, event, why, least_ms), told
        return place, told

    def _post(
        self, session: Session, target: Target, keys: list[bytes], endpoint: Endpoint, event: Event
    ) -> tuple[str | None, Millis, bool]:
        """None if it was taken, or why not; what it asks to wait; whether it is gone for good."""
        kind, body = body_of(event, endpoint.form)
        now = self._wall()
        headers = signed_headers(keys, id_of(event), now // SECOND, body, kind)
        try:
            answer = session.post(target, headers, body)
        except EgressError as error:
            return str(error), 0, False
        if 200 <= answer.status < 300:
            return None, 0, False
        wait_ms = retry_after_ms(answer.headers.get("retry-after"), now) or 0
        return f"it answered {answer.status}", wait_ms, answer.status == GONE

    def _refused(
        self, endpoint: Endpoint, place: Place, event: Event, why: str, least_ms: Millis = 0
    ) -> Place:
        now = self._context.timekeeper.glance()
        place = place.failed(now, least_ms)
        if place.is_hopeless(now):
            return self._stop(endpoint, place, f"nothing was taken for days: {why}")
        if place.is_spent:
            facts = {"endpoint": endpoint.name, "seq": event.seq, "event": event.name}
            self._add(Event(SET_ASIDE, event.delivery_id, now, data={**facts, "reason": why}))
            since = place.failing_since
            place = replace(place.told(event.seq), failing_since=since)
        return place

    def _stop(self, endpoint: Endpoint, place: Place, why: str) -> Place:
        now = self._context.timekeeper.glance()
        self._add(Event(STOPPED, "", now, data={"endpoint": endpoint.name, "reason": why}))
        return replace(place, stopped=why)

    def _add(self, event: Event) -> None:
        with self._context.store.transaction(durable=False) as tx:
            tx.add_events([event])

    def _keep(self, endpoint: Endpoint, before: Place, after: Place) -> None:
        """Write down how far it came, unless somebody else has taken over since."""
        with self._context.store.transaction(durable=False) as tx:
            now = place_from(tx.note(note_of(endpoint.name)) or "")
            if now is None or now.owner != self._context.owner:
                return
            # Whoever wants more to be sent again adds it at the end.
            added = now.again[len(before.again) :]
            kept = replace(after, again=after.again + added, owner="", until=0)
            tx.set_note(note_of(endpoint.name), kept.text())


def _next(tx: Tx, place: Place) -> tuple[Place, list[Event]]:
    """What comes next; what was to be sent again and has been deleted since is passed over."""
    while place.again:
        events = tx.events(after=place.again[0] - 1, limit=1)
        if events and events[0].seq == place.again[0]:
            return place, events
        place = place.skipped(place.again[0])
    return place, tx.events(after=place.after, limit=PORTION)
