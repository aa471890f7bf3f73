"""The simulated world: channels that lose and delay, people who open, tire and unsubscribe.

A `SimulatedChannel` takes messages from the engine as any other channel. What follows from that in
the world (it arrives, it bounces, it is opened) happens later and is told to the engine as facts,
in the order of time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from tactful.core.model import PERMIT_ENDED, Accepted, Message, Millis, Outcome, Recipient, Retry
from tactful.sim.draws import Draws, lognormal
from tactful.sim.scenario import Behaviour, Scenario, Segment, Way
from tactful.sim.traffic import Everyone

DOWN: Final = "the provider is down"


class Fact(NamedTuple):
    """Something that happens in the world; `seq` keeps the order of those at one instant."""

    at: Millis
    seq: int
    name: str
    delivery_id: str
    person: str
    type: str
    draws: tuple[float, ...]


@dataclass(slots=True)
class Someone:
    """What the world knows of one person."""

    recipient: Recipient
    habit: float | None
    """The chance to open anything, or None for whoever decides each time."""
    open: float
    got: deque[Millis] = field(default_factory=deque)


class World:
    """People and channels of a scenario; `name_of` gives the name of a notification's arrival."""

    def __init__(self, scenario: Scenario, draws: Draws, now: Callable[[], Millis]) -> None:
        self._draws = draws
        self._behaviour = scenario.behaviour
        self._now = now
        self._seq = count()
        self._facts: list[Fact] = []
        self.names: dict[str, str] = {}
        self.sent: dict[str, tuple[Millis, str]] = {}
        self.everyone, self._someone = _populate(scenario, draws)
        self.channels = [SimulatedChannel(way, self, scenario.start) for way in scenario.channels]

    def next_at(self) -> Millis | None:
        """When something happens next."""
        return self._facts[0].at if self._facts else None

    def happened(self, until: Millis) -> list[Fact]:
        """All that has happened up to an instant, in order; what follows from it is taken up."""
        done: list[Fact] = []
        while self._facts and self._facts[0].at <= until:
            fact = heapq.heappop(self._facts)
            if fact.name == "delivered":
                self.arrives(fact)
            done.append(fact)
        return done

    def handed_over(self, message: Message, way: Way, draws: tuple[float, ...]) -> Outcome:
        """A channel has taken a message: when it arrives, if it does."""
        now = self._now()
        self.sent[message.id] = (now, message.recipient)
        if way.bounce and self._draws.about("bounce", way.name, message.address)[0] < way.bounce:
            self._push(now + lognormal(way.latency, draws[6]), "bounced", message, draws)
            return Accepted()
        if draws[5] < way.loss:
            return Accepted(arrived=False)
        later = lognormal(way.latency, draws[6]) if way.latency.median_ms else 0
        if later:
            self._push(now + later, "delivered", message, draws)
            return Accepted()
        self.arrives(Fact(now, 0, "", message.id, message.recipient, message.type, draws))
        return Accepted(arrived=True)

    def arrives(self, fact: Fact) -> None:
        """A person has got a message: what they will do with it."""
        someone, does = self._someone[fact.person], self._behaviour
        chance = someone.open if someone.habit is None else someone.habit
        mutes = does.unsubscribe
        tired = does.fatigue
        if tired.opens or tired.unsubscribes:
            got = someone.got
            while got and got[0] <= fact.at - tired.window_ms:
                got.popleft()
            chance *= (1.0 - tired.opens) ** len(got)
            mutes += tired.unsubscribes * len(got)
            got.append(fact.at)
        draws = fact.draws
        if draws[0] < chance:
            opened = fact.at + lognormal(does.open_delay, draws[1])
            self._follow(opened, "opened", fact)
            if draws[2] < does.click:
                self._follow(opened + lognormal(does.open_delay, draws[3]), "clicked", fact)
        if draws[4] < mutes:
            self._follow(fact.at + lognormal(does.open_delay, draws[1]), "unsubscribed", fact)

    def draws_for(self, message: Message) -> tuple[float, ...]:
        """The chances of one copy."""
        name = self.names.get(message.notification_id, message.notification_id)
        again = "" if message.attempt == 1 else str(message.attempt)
        return self._draws.about("copy", name, message.recipient, again)

    def _push(self, at: Millis, name: str, message: Message, draws: tuple[float, ...]) -> None:
        fact = Fact(at, next(self._seq), name, message.id, message.recipient, message.type, draws)
        heapq.heappush(self._facts, fact)

    def _follow(self, at: Millis, name: str, cause: Fact) -> None:
        heapq.heappush(
            self._facts,
            Fact(at, next(self._seq), name, cause.delivery_id, cause.person, cause.type, ()),
        )


class SimulatedChannel:
    """One way to people, as its scenario describes it."""

    address_kind: str | None = None
    concurrency = 1
    batch = 1_000

    def __init__(self, way: Way, world: World, start: Millis) -> None:
        self.name = way.name
        self._way = way
        self._world = world
        self._outages = [(start + begins, start + ends) for begins, ends in way.outages]

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        return [self._take(message) for message in messages]

    def _take(self, message: Message) -> Outcome:
        if not message.may_go():
            return PERMIT_ENDED
        if self._outages and any(begins <= message.at < ends for begins, ends in self._outages):
            return Retry(DOWN)
        world = self._world
        return world.handed_over(message, self._way, world.draws_for(message))

    def close(self) -> None:
        """Nothing is open."""


def _populate(scenario: Scenario, draws: Draws) -> tuple[Everyone, dict[str, Someone]]:
    population, behaviour = scenario.population, scenario.behaviour
    by_name = {segment.name: segment for segment in population.segments}
    places: dict[str, list[int]] = {name: [] for name in by_name}
    people: list[Recipient] = []
    known: dict[str, Someone] = {}
    listed = population.people
    for place in range(population.count):
        if listed is not None:
            person, segment = listed[place].recipient, by_name[listed[place].segment]
            chances = draws.about("person", person.id)
        else:
            key = f"user-{place + 1}"
            chances = draws.about("person", key)
            segment = _segment(population.segments, chances[0])
            person = Recipient(key, timezone=segment.timezone, mute=segment.mute)
        people.append(person)
        places[segment.name].append(place)
        usual = behaviour.open if segment.open is None else segment.open
        known[person.id] = Someone(person, _habit(behaviour, chances[1]), usual)
    return Everyone(people, places), known


def _segment(segments: Sequence[Segment], draw: float) -> Segment:
    rest = draw * sum(segment.share for segment in segments)
    for segment in segments:
        rest -= segment.share
        if rest < 0:
            return segment
    return segments[-1]


def _habit(behaviour: Behaviour, draw: float) -> float | None:
    if draw < behaviour.never:
        return 0.0
    return 1.0 if draw < behaviour.never + behaviour.always else None
