"""What the records of a history say together about each attempt and each delivery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tactful.verify.history import Attempt, Delivery, Event, History
from tactful.verify.pauses import spells_of
from tactful.verify.reigns import ALWAYS, CORRECTED, NEVER, Handover

_ADMITTED: Final = ("accepted", "deferred")
_NO_PROOF: Final = ("accepted", "unknown")
_ANSWERED: Final = frozenset(
    ("sent", "delivered", "lost", "retry", "unanswered", "failed", "unknown", "quarantined")
)


def is_counted(attempt: Attempt) -> bool:
    """Whether an attempt holds its place: only a proof that it failed gives one back."""
    return attempt.counts or attempt.outcome in _NO_PROOF


class Wait(NamedTuple):
    """A delivery was held by a rule, from one instant to another."""

    rule: str
    since: int
    until: int
    delivery: Delivery


@dataclass(slots=True)
class Story:
    """All that the events tell about one delivery.

    `first` is the number of its first event, `answers` those of the attempts' outcomes, by the
    attempt's number. `marked` says of an attempt whether it called itself a possible duplicate;
    `late` are attempts whose answer came when they had been given up.
    """

    first: int
    names: set[str] = field(default_factory=set)
    held: list[tuple[int, str]] = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)
    marked: dict[int, bool] = field(default_factory=dict)
    late: set[int] = field(default_factory=set)
    in_digest: bool = False

    @property
    def admitted(self) -> bool:
        """Whether it was accepted, as opposed to refused at once."""
        return not self.names.isdisjoint(_ADMITTED)

    def add(self, event: Event) -> None:
        """Hear the next event."""
        data: Mapping[str, Any] = event.data or {}
        self.names.add(event.name)
        self.in_digest = self.in_digest or "digest" in data
        number = data.get("attempt", 1)
        if event.name == "deferred" and data.get("rule"):
            self.held.append((event.at, data["rule"]))
        elif event.name == "late":
            self.late.add(number)
            self.marked[number] = bool(data.get("maybe_duplicate"))
        # Facts from outside have no number: they come behind, and name nothing new.
        elif event.name in _ANSWERED and number >= max(self.answers, default=1):
            self.answers.setdefault(number, event.seq)
            self.marked.setdefault(number, bool(data.get("maybe_duplicate")))


class Evidence:
    """The records of a history, side by side."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.events = sorted(history.events, key=lambda event: event.seq)
        self.deliveries = {delivery.id: delivery for delivery in history.deliveries}
        self.zones = {person.id: person.timezone for person in history.people}
        self.restamped = frozenset(one.at for one in self.events if one.name == CORRECTED)
        self.attempts: dict[str, list[Attempt]] = {}
        for attempt in sorted(history.attempts, key=lambda one: one.number):
            self.attempts.setdefault(attempt.delivery, []).append(attempt)
        self.pauses = spells_of(self.events)
        self.stories: dict[str, Story] = {}
        for event in self.events:
            if event.delivery:
                story = self.stories.get(event.delivery)
                if story is None:
                    story = self.stories[event.delivery] = Story(event.seq)
                story.add(event)

    @property
    def latest(self) -> int:
        """The latest instant that anything happened at; 0 if nothing did."""
        return max(
            max((one.at for one in self.history.attempts), default=0),
            max((one.at for one in self.events), default=0),
            max((one.updated_at or one.created_at for one in self.history.deliveries), default=0),
        )

    def handovers(self) -> Iterator[Handover]:
        """Every attempt, as limits see it."""
        for id_, attempts in self.attempts.items():
            delivery, story = self.deliveries.get(id_), self.stories.get(id_)
            domain = delivery.address.rpartition("@")[2].lower() if delivery else ""
            after = story.first if story else ALWAYS
            answers = story.answers if story else {}
            for one in attempts:
                before = answers.get(one.number, NEVER)
                yield Handover(
                    one.at,
                    after,
                    before,
                    one.recipient,
                    id_,
                    one.type,
                    one.category,
                    one.channel,
                    one.priority,
                    domain,
                    is_counted(one),
                )
                after = max(after, answers.get(one.number, ALWAYS))

    def waits(self) -> Iterator[Wait]:
        """Every stretch of time in which a rule held a delivery."""
        end = self.latest
        for id_, story in self.stories.items():
            delivery = self.deliveries.get(id_)
            if delivery is None or not story.held:
                continue
            tried = [attempt.at for attempt in self.attempts.get(id_, ())]
            over = end if delivery.queued else (delivery.updated_at or end)
            nexts = [*(at for at, _ in story.held[1:]), over]
            for (since, rule), following in zip(story.held, nexts, strict=True):
                stops = [at for at, _ in self.pauses.get(delivery.notification, ())]
                until = min([following, *(at for at in (*tried, *stops) if at >= since)])
                if until > since:
                    yield Wait(rule, since, until, delivery)
