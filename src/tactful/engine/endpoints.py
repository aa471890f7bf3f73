"""Endpoints: other programs that are told what happens, by signed webhooks.

An endpoint gets the events of one store in their order, each at least once, with the same
`webhook-id` every time. Each endpoint has a place of its own in that order: one that is out of
order holds up nobody else. An event that it does not take is tried again for a good day (`PAUSES`)
and then set aside, with a fact `endpoint.failed`; whoever mends it can have it sent again. An
endpoint that took nothing for five days, or says that it is gone (410), is told nothing more until
somebody resumes it.

Events look as Standard Webhooks recommends, or as CloudEvents 1.0 in the structured JSON form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Event, Millis
from tactful.core.names import name_key
from tactful.engine.context import Context
from tactful.engine.policies import Policies
from tactful.engine.zones import iso
from tactful.ports import Tx

ENDPOINT: Final = "endpoint"
FORMS: Final = ("standard", "cloudevents")
PAUSES: Final = (
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    10 * HOUR,
)
"""The waits before an event is offered again; after the last one it is set aside."""

PATIENCE_MS: Final = 5 * DAY
URL_MAX: Final = 2_000
EVENTS_MAX: Final = 100
AGAIN_MAX: Final = 1000
SET_ASIDE: Final = "endpoint.failed"
STOPPED: Final = "endpoint.stopped"
SOURCE: Final = "/tactful"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to tell what happens.

    `events` are the names of those it wants, none for all. `secrets` are `whsec_` and 24 to 64
    bytes in base64, each of which gives a signature, so that they can be changed over. `form` is
    `standard` or `cloudevents`.
    """

    name: str
    url: str
    secrets: tuple[str, ...]
    events: tuple[str, ...] = ()
    form: str = "standard"

    def wants(self, event: Event) -> bool:
        """Whether it is to be told this event. It is never told of its own failures."""
        if event.name in (SET_ASIDE, STOPPED) and event.data.get("endpoint") == self.name:
            return False
        return not self.events or event.name in self.events

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}>"


@dataclass(frozen=True, slots=True)
class Place:
    """How far an endpoint has come: all events up to `after` are dealt with.

    `again` are those that were set aside and are to be sent once more. `tries` counts the failures
    of the next one, which waits until `not_before`. `failing_since` is the first failure since the
    last success. `stopped` says why nothing more is told. `owner` tells it now, until `until`.
    """

    after: int
    again: tuple[int, ...] = ()
    tries: int = 0
    not_before: Millis = 0
    failing_since: Millis | None = None
    stopped: str | None = None
    owner: str = ""
    until: Millis = 0

    def may_be_taken(self, owner: str, now: Millis) -> bool:
        """Whether there is anything to do for this worker now."""
        free = self.owner in ("", owner) or now >= self.until
        return self.stopped is None and free and now >= self.not_before

    def told(self, seq: int) -> Place:
        """After an event was taken."""
        rest = self.again[1:] if self.again else self.again
        after = self.after if self.again else max(self.after, seq)
        return replace(self, after=after, again=rest, tries=0, not_before=0, failing_since=None)

    def skipped(self, seq: int) -> Place:
        """After events that it does not want, or that are no more."""
        if self.again:
            return replace(self, again=self.again[1:])
        return replace(self, after=max(self.after, seq))

    def failed(self, now: Millis, least_ms: Millis = 0) -> Place:
        """After an event was not taken; `least_ms` is what the endpoint asked to wait."""
        since = now if self.failing_since is None else self.failing_since
        pause = max(least_ms, PAUSES[min(self.tries, len(PAUSES) - 1)])
        return replace(self, tries=self.tries + 1, not_before=now + pause, failing_since=since)

    @property
    def is_spent(self) -> bool:
        """Whether the next event has been offered often enough."""
        return self.tries > len(PAUSES)

    def is_hopeless(self, now: Millis) -> bool:
        """Whether nothing was taken for so long that it makes no sense to go on."""
        return self.failing_since is not None and now - self.failing_since >= PATIENCE_MS

    def text(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), separators=(",", ":"))


def place_from(text: str) -> Place | None:
    """A place as it was stored, if one was."""
    if not text:
        return None
    found = json.loads(text)
    return Place(**{**found, "again": tuple(found["again"])})


def note_of(name: str) -> str:
    """The name of the note that holds an endpoint's place."""
    return f"endpoint:{name}"


def body_of(event: Event, form: str, source: str = SOURCE) -> tuple[str, bytes]:
    """The media type and the body for an event: the same bytes at every attempt."""
    data = {
        "seq": event.seq,
        "delivery_id": event.delivery_id or None,
        "notification_id": event.notification_id or None,
        "recipient": event.recipient or None,
        **event.data,
    }
    at = iso(event.at).replace(" ", "T")
    if form == "cloudevents":
        found: dict[str, Any] = {
            "specversion": "1.0",
            "id": id_of(event),
            "source": source,
            "type": f"tactful.{event.name}",
            "time": at,
            "datacontenttype": "application/json",
            "data": data,
        }
        if event.delivery_id:
            found["subject"] = event.delivery_id
        return "application/cloudevents+json", json.dumps(found, separators=(",", ":")).encode()
    found = {"type": event.name, "timestamp": at, "data": data}
    return "application/json", json.dumps(found, separators=(",", ":")).encode()


def id_of(event: Event) -> str:
    """The name of an event for those who are told: the same at every attempt."""
    return f"evt_{event.seq}"


class Endpoints(Policies[Endpoint]):
    """The endpoints of an engine's store, and how far each has come.

    `check` raises for a URL or secrets that cannot be.
    """

    def __init__(self, context: Context, check: Callable[[str, tuple[str, ...]], None]) -> None:
        self._check = check
        super().__init__(context, ENDPOINT, endpoint_from, self._body)

    def place(self, name: str) -> Place:
        """How far an endpoint in force has come; raises NotFound."""
        with self._context.store.reading() as reader:
            found = place_from(reader.note(note_of(name_key(name, "name"))) or "")
        if found is None:
            raise NotFound("name", name, "is no endpoint in force")
        return found

    def resume(self, name: str) -> None:
        """Go on at once, where it stopped or waits; raises NotFound."""
        self._move(
            name,
            lambda place: replace(place, stopped=None, tries=0, not_before=0, failing_since=None),
        )

    def again(self, name: str, seqs: Sequence[int]) -> None:
        """Send these events once more, before all others; raises NotFound, RequestError."""
        if len(seqs) > AGAIN_MAX:
            raise RequestError("seqs", len(seqs), f"must be at most {AGAIN_MAX} at a time")
        self._move(name, lambda place: replace(place, again=place.again + tuple(seqs)))

    def replay(self, name: str, after: int) -> None:
        """Send everything after an event's number once more; raises NotFound."""
        self._move(name, lambda place: replace(place, after=min(place.after, max(0, after))))

    def set_aside(self, name: str, after: int = 0, limit: int = 1000) -> Sequence[Event]:
        """The facts about events that this endpoint did not take, in their order."""
        with self._context.store.reading() as reader:
            found = reader.events(name=SET_ASIDE, after=after, limit=limit)
        return [event for event in found if event.data.get("endpoint") == name]

    def _move(self, name: str, how: Callable[[Place], Place]) -> None:
        wanted = name_key(name, "name")
        with self._context.store.transaction() as tx:
            place = place_from(tx.note(note_of(wanted)) or "")
            if place is None:
                raise NotFound("name", name, "is no endpoint in force")
            tx.set_note(note_of(wanted), how(place).text())
        self._context.changed()

    def _changed(self, tx: Tx, now: int, names: Sequence[str]) -> None:
        """A new one begins with what happens from now on; one that is removed is forgotten."""
        in_force = {policy.name for policy in tx.policies(ENDPOINT)}
        for name in names:
            if name not in in_force:
                tx.set_note(note_of(name), "")
            elif not tx.note(note_of(name)):
                tx.set_note(note_of(name), Place(tx.last_event()).text())
        super()._changed(tx, now, names)

    def _body(self, endpoint: Endpoint) -> tuple[str, dict[str, Any]]:
        if not isinstance(endpoint.url, str) or not 0 < len(endpoint.url) <= URL_MAX:
            raise RequestError("url", "...", f"must be a text of 1 to {URL_MAX} characters")
        if endpoint.form not in FORMS:
            raise RequestError("form", endpoint.form, f"must be one of {', '.join(FORMS)}")
        if len(endpoint.events) > EVENTS_MAX:
            raise RequestError(
                "events", len(endpoint.events), f"must be at most {EVENTS_MAX} names"
            )
        self._check(endpoint.url, endpoint.secrets)
        name = name_key(endpoint.name, "name")
        return name, {
            "name": name,
            "url": endpoint.url,
            "secrets": list(endpoint.secrets),
            "events": [name_key(one, "events") for one in endpoint.events],
            "form": endpoint.form,
        }


def endpoint_from(body: Mapping[str, Any]) -> Endpoint:
    """An endpoint from its stored form."""
    return Endpoint(
        body["name"], body["url"], tuple(body["secrets"]), tuple(body["events"]), body["form"]
    )
