"""Events out to a message broker, each at least once and in the order of the store.

The events of the store are the outbox: nothing is written for the broker's sake when something is
sent. How far it has come is a note in the store, as with endpoints (`engine.endpoints.Place`), and
moves when the broker has acknowledged a portion. Whoever publishes holds that note for 20
seconds at a time, so that of several processes one does; after a crash a portion may be published
again, with the same ids. A broker that is away costs nothing but time.

An outbox begins with what happens from its first start on. It has a name that no other store has,
since two stores may publish to one broker: it stands in the ids of messages, and in the `source` of
the CloudEvents.
"""

from __future__ import annotations

from typing import Final

from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, Event
from tactful.engine.endpoints import SOURCE, Place, body_of, id_of, place_from
from tactful.engine.timekeeper import Timekeeper
from tactful.ports import Broker, Clock, Outgoing, Probe, Reader, Store
from tactful.runtime.background import Background
from tactful.runtime.entropy import new_name

NAME_NOTE: Final = "outbox:name"
PLACE_NOTE: Final = "outbox:place"
PORTION: Final = 200
HOLD_MS: Final = 20 * SECOND
"""Longer than a portion takes. Should it be shorter, there are copies, and nothing is lost."""
IDLE_S: Final = 0.5
AGAIN_MS: Final = SECOND
AGAIN_MAX_MS: Final = 30 * SECOND


class Outbox(Background):
    """Publishes the events of one store; in the background between `start` and `stop`."""

    def __init__(self, store: Store, clock: Clock, broker: Broker, probe: Probe) -> None:
        super().__init__("outbox", pause_ms=AGAIN_MS, longest_ms=AGAIN_MAX_MS)
        self._store = store
        self._timekeeper = Timekeeper(clock)
        self._broker = broker
        self._probe = probe
        self._owner = new_name()
        self._own_name = ""

    def pump(self) -> int:
        """Publish one portion of what is new; gives how many events. Raises Unavailable."""
        self._begin()
        place, events = self._take()
        if not events:
            return 0
        try:
            self._broker.publish([_message(self._own_name, event) for event in events])
        except Unavailable:
            self._keep(place.after)
            raise
        self._keep(events[-1].seq)
        self._probe.happened("published", len(events))
        return len(events)

    def start(self) -> None:
        """Begin to publish in the background; harmless when repeated. Raises Unavailable.

        What happens after it has returned will be published.
        """
        self._begin()
        super().start()

    def piece(self) -> None:
        """See `Background.piece`."""
        if not self.pump():
            self.wait(IDLE_S)

    # Its place --------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Learn the name of this store's outbox, which begins now if there was none."""
        if self._own_name:
            return
        with self._store.transaction() as tx:
            name = tx.note(NAME_NOTE)
            if not name:
                name = new_name()
                tx.set_note(NAME_NOTE, name)
                tx.set_note(PLACE_NOTE, Place(tx.last_event()).text())
        self._own_name = name

    def _take(self) -> tuple[Place, list[Event]]:
        """The place and what comes next, with nobody else at it; nothing if it is not our turn."""
        with self._store.reading() as reader:  # most looks find nothing, and write nothing
            place = place_from(reader.note(PLACE_NOTE) or "") or Place(0)
            if reader.last_event() <= place.after:
                return place, []
        with self._store.transaction(durable=False) as tx:
            now = self._timekeeper.now(tx)
            place = place_from(tx.note(PLACE_NOTE) or "") or Place(0)
            if not place.may_be_taken(self._owner, now):
                return place, []
            events = tx.events(after=place.after, limit=PORTION)
            if events:
                held = Place(place.after, owner=self._owner, until=now + HOLD_MS)
                tx.set_note(PLACE_NOTE, held.text())
            return place, events

    def _keep(self, after: int) -> None:
        """Write down how far it came, unless somebody else has taken over since."""
        with self._store.transaction(durable=False) as tx:
            place = place_from(tx.note(PLACE_NOTE) or "")
            if place is not None and place.owner == self._owner:
                tx.set_note(PLACE_NOTE, Place(max(place.after, after)).text())


def behind(reader: Reader) -> int | None:
    """How many events the broker has still to be told; None where no outbox has begun."""
    place = place_from(reader.note(PLACE_NOTE) or "")
    return None if place is None else max(0, reader.last_event() - place.after)


def _message(name: str, event: Event) -> Outgoing:
    media_type, body = body_of(event, "cloudevents", f"{SOURCE}/{name}")
    return Outgoing(f"{name}:{id_of(event)}", event.name, body, media_type)
