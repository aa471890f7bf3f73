"""One small world from one integer.

A case is a scenario as the simulator has it, and incidents besides. Each of the `FEATURES` is in a
part of all cases and drawn with dice of its own: leaving one out changes nothing in the others,
which is how a finding is narrowed down.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Final

from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Millis, NotificationType, Recipient
from tactful.core.retry import RetryPolicy
from tactful.core.rules import Rule
from tactful.engine.settings import Settings
from tactful.sim.scenario import (
    Behaviour,
    Broadcasts,
    Delay,
    Fatigue,
    Person,
    Policies,
    Population,
    Recorded,
    Says,
    Scenario,
    Stream,
    Way,
)
from tactful.templates.library import Template
from tactful.testing.faults import When
from tactful.testing.swarm.incidents import (
    AskAgain,
    Cancel,
    ChangeRules,
    Fail,
    Freeze,
    Incident,
    Pause,
    Prune,
    Redrive,
    Register,
    Restart,
    Stall,
    TurnBack,
)
from tactful.testing.swarm.ruling import KINDS, MANNERS, draw_rules

TROUBLE: Final = ("faults", "crashes", "freezes", "restarts", "second engine")
"""What happens inside an engine: without it, a history is what its callers did."""

_FIRST: Final = (
    *TROUBLE,
    "turned clocks",
    "stalls",
    "late ticks",
    "rule changes",
    "cancellations",
    "redriving",
    "mutes",
    "newcomers",
    "answers",
    "outages",
    "throughput",
    "broadcasts",
    "schedules",
    "ttl",
    "priorities",
    "small settings",
    "pruning",
)
DISTURBANCES: Final = (*_FIRST, "pauses")
"""What may move a slot that was promised, or hold back what has one."""

FEATURES: Final = (
    *_FIRST,
    *(kind for kind in (*KINDS, *MANNERS) if kind not in _FIRST),
    "zones",
    "categories",
    "hold",
    "mandatory",
    "streams",
    "bursts",
    "collapse keys",
    "idempotency keys",
    "repeats",
    "several channels",
    "small batches",
    "losses",
    "latency",
    "readers",
    "pauses",
)

CALM: Final = 0.15
"""The part of all cases that nothing disturbs: there every promised slot has to be kept."""

# Nights in which clocks are put forward, back, and to a new year; and a Thursday morning.
_STARTS: Final = (1_774_699_200_000, 1_792_872_000_000, 1_798_732_800_000, 1_767_254_400_000)
_ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
)
_DOMAINS: Final = ("a.example", "b.example")
_TYPES: Final = ("news", "like", "offer", "code", "report")
_CATEGORIES: Final = ("default", "social", "marketing")
_PRIORITIES: Final = ("low", "normal", "high", "critical")
_CHANNELS: Final = ("post", "push", "pager")
_CALLS: Final = ("lease", "settle", "commit", "due", "begin", "add_events", "reading", "send")

DIGEST: Final = Template(name="digest", text="{% for item in items %}{{ item.text }}{% endfor %}")
"""A digest says what is in it, so that the other end can tell."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The parts of all hand-overs that a provider answers in its own way.

    `taken` and `missed` are connections that were lost after it had the message, and before.
    """

    retry: float = 0.0
    rejected: float = 0.0
    taken: float = 0.0
    missed: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """All that a run depends on.

    Of the people the first `registered` are known from the beginning. Workers come up to `late_ms`
    late. `batches` is how much each channel takes in a call; `keyed` says whether callers use
    idempotency keys.
    """

    seed: int
    features: frozenset[str]
    scenario: Scenario
    incidents: tuple[Incident, ...]
    registered: int
    engines: int = 1
    late_ms: Millis = 0
    batches: Mapping[str, int] = field(default_factory=dict)
    answers: Answers = Answers()
    keyed: bool = False

    def engine_seed(self, number: int) -> int:
        """What decides the ids of the engine that is opened as this one, from 1."""
        return self.seed * 1_000 + number

    @property
    def is_calm(self) -> bool:
        """Whether nothing moves a slot that was promised."""
        return self.features.isdisjoint(DISTURBANCES)


def draw(seed: int, without: Collection[str] = ()) -> Case:
    """The case of a seed, less some features."""
    return _Drawing(seed, without).case()


class _Drawing:
    """Draws the parts of one case."""

    def __init__(self, seed: int, without: Collection[str]) -> None:
        self._seed = seed
        dice = self._dice("features")
        calm = dice.random() < CALM
        share = dice.choice((0.3, 0.5, 0.7))
        chosen = {feature for feature in FEATURES if dice.random() < share}
        self._features = frozenset(chosen - set(without) - (set(DISTURBANCES) if calm else set()))
        self._start = self._dice("start").choice(_STARTS)
        self._horizon = self._dice("horizon").choice((HOUR, 6 * HOUR, 30 * HOUR))
        self._channels = _CHANNELS[: 1 + self._has("several channels")]
        self._types = self._drawn_types()
        self._people, self._registered = self._drawn_people()

    def case(self) -> Case:
        has, dice = self._has, self._dice("case")
        incidents = sorted(self._incidents(), key=lambda one: one.at)
        troubled = has("faults") or has("crashes") or has("repeats")
        return Case(
            self._seed,
            self._features,
            self._scenario(),
            tuple(incidents),
            self._registered,
            engines=1 + has("second engine"),
            late_ms=dice.choice((5, 700)) if has("late ticks") else 0,
            batches={
                name: dice.randint(1, 4) if has("small batches") else 50 for name in self._channels
            },
            answers=self._answers(),
            keyed=troubled or has("idempotency keys"),
        )

    def _dice(self, about: str) -> Random:
        # A text seeds by its SHA-512: the same everywhere.
        return Random(f"{self._seed}/{about}")  # noqa: S311 - a simulation

    def _has(self, feature: str) -> bool:
        return feature in self._features

    def _scenario(self) -> Scenario:
        dice, settings = self._dice("scenario"), self._settings()
        return Scenario(
            name=f"swarm {self._seed}",
            seed=self._seed,
            start=self._start,
            horizon_ms=self._horizon,
            patience_ms=60 * DAY,
            population=Population(len(self._people), people=self._people),
            traffic=tuple(self._traffic()),
            policies=Policies(self._rules(0), self._types, (DIGEST,)),
            channels=tuple(self._way(name) for name in self._channels),
            behaviour=Behaviour(
                open=0.5 if self._has("readers") else 0.0,
                open_delay=Delay(5 * MINUTE, HOUR),
                click=0.3,
                unsubscribe=0.05 if self._has("mutes") else 0.0,
                fatigue=Fatigue(unsubscribes=dice.random() / 20 if self._has("mutes") else 0.0),
            ),
            settings=settings,
        )

    # Who, what and how ------------------------------------------------------------------------

    def _drawn_types(self) -> tuple[NotificationType, ...]:
        dice, has = self._dice("types"), self._has
        found = []
        for name in _TYPES[: dice.randint(1, len(_TYPES))]:
            category, priority = dice.choice(_CATEGORIES), dice.choice(_PRIORITIES)
            ttl, hold, mandatory = dice.choice((None, 5 * MINUTE, 3 * HOUR)), *_two(dice)
            ways = tuple(dice.sample(self._channels, dice.randint(1, len(self._channels))))
            found.append(
                NotificationType(
                    name,
                    category if has("categories") else "default",
                    ways,
                    priority if has("priorities") else "normal",
                    ttl if has("ttl") else None,
                    "hold" if has("hold") and hold else "retry",
                    mandatory and has("mandatory"),
                )
            )
        return tuple(found)

    def _drawn_people(self) -> tuple[tuple[Person, ...], int]:
        dice = self._dice("people")
        size = dice.choice((1, 2, 4, 12, 40))
        registered = dice.randint(1, size) if self._has("newcomers") else size
        people = []
        for number in range(size):
            zone, muted = dice.choice(_ZONES), dice.random() < 0.2
            # Whoever is not known yet lives in UTC, as far as anybody can tell.
            known = number < registered
            person = Recipient(
                f"p{number}@{_DOMAINS[number % 2]}",
                timezone=zone if self._has("zones") and known else "UTC",
                mute=(f"type:{_TYPES[0]}",) if muted and self._has("mutes") and known else (),
            )
            people.append(Person(person, "everyone"))
        return tuple(people), registered

    def _way(self, name: str) -> Way:
        dice, has = self._dice(f"way {name}"), self._has
        begins = sorted(dice.randrange(self._horizon) for _ in range(2))
        return Way(
            name,
            loss=0.1 if has("losses") else 0.0,
            bounce=0.05 if has("losses") else 0.0,
            latency=Delay(2 * SECOND, 5 * MINUTE) if has("latency") else Delay(),
            outages=((begins[0], begins[1]),) if has("outages") else (),
        )

    def _rules(self, number: int) -> tuple[Rule, ...]:
        names = [one.name for one in self._types]
        dice = self._dice(f"rules {number}")
        return draw_rules(dice, self._features, names, _CATEGORIES, self._channels)

    def _settings(self) -> Settings:
        dice = self._dice("settings")
        if not self._has("small settings"):
            return Settings(ttl_ms=9 * DAY, retry=RetryPolicy(cap_ms=6 * HOUR))
        return Settings(
            lease_ms=dice.choice((10 * SECOND, 2 * MINUTE, 15 * MINUTE)),
            batch=dice.choice((1, 3, 20, 100)),
            digest_max=dice.choice((1, 2, 5)),
            waiting_max=dice.choice((2, 10, 1_000)),
            ttl_ms=dice.choice((2 * HOUR, 2 * DAY, 9 * DAY)),
            keep_ms=dice.choice((HOUR, 90 * DAY)),
            retry=RetryPolicy(
                base_ms=dice.choice((SECOND, MINUTE)),
                tries_max=dice.randint(1, 6),
                crashes_max=dice.randint(1, 6),
            ),
        )

    def _answers(self) -> Answers:
        if not self._has("answers"):
            return Answers()
        dice = self._dice("answers")
        return Answers(*(dice.choice((0.0, 0.05, 0.2)) for _ in range(4)))

    # Traffic ----------------------------------------------------------------------------------

    def _traffic(self) -> Iterator[Broadcasts | Stream | Recorded]:
        dice = self._dice("traffic")
        if self._has("broadcasts"):
            for _ in range(dice.randint(1, 2)):
                at = tuple(sorted(self._instant(dice) for _ in range(dice.randint(1, 2))))
                yield Broadcasts(self._says(dice), at)
        if self._has("streams"):
            for _ in range(dice.randint(1, 3)):
                arrivals = dice.choice((3, 12, 30))
                burst, within = dice.choice((1.0, 3.0, 8.0)), dice.choice((0, 2 * SECOND, HOUR))
                yield Stream(
                    self._says(dice),
                    rate=arrivals / self._horizon,
                    per="all",
                    burst=burst if self._has("bursts") else 1.0,
                    within_ms=within,
                )
        yield Recorded(tuple(self._singles(self._dice("singles"))))

    def _instant(self, dice: Random) -> Millis:
        """One within the horizon; often a round one, so that things come together."""
        at = dice.randrange(self._horizon)
        return at // (10 * MINUTE) * (10 * MINUTE) if dice.random() < 0.5 else at

    def _says(self, dice: Random) -> Says:
        type_, priority, key = dice.choice(self._types), dice.choice(_PRIORITIES), dice.random()
        return Says(
            type_.name,
            priority=priority if self._has("priorities") and dice.random() < 0.5 else None,
            collapse_key="thread" if self._has("collapse keys") and key < 0.5 else "",
        )

    def _singles(self, dice: Random) -> Iterator[tuple[Millis, dict[str, Any]]]:
        """Submissions one by one, many of them to the same people."""
        favourites = [person.recipient.id for person in self._people[:3]]
        everybody = [person.recipient.id for person in self._people]
        for at in sorted(self._instant(dice) for _ in range(dice.choice((5, 20, 40)))):
            says = self._says(dice)
            to = dice.choice(favourites if dice.random() < 0.6 else everybody)
            item: dict[str, Any] = {"type": says.type, "to": to, "text": "-"}
            ahead, ttl = dice.choice((SECOND, HOUR, 5 * HOUR)), dice.choice((SECOND, HOUR))
            late, brief = dice.random() < 0.2, dice.random() < 0.2
            if says.priority is not None:
                item["priority"] = says.priority
            if says.collapse_key:
                item["collapse_key"] = f"thread{dice.randint(1, 2)}"
            if self._has("schedules") and late:
                item["deliver_at"] = self._start + at + ahead
            if self._has("ttl") and brief:
                item["ttl"] = ttl
            yield at, item

    # Incidents --------------------------------------------------------------------------------

    def _incidents(self) -> Iterator[Incident]:
        numbers = count(1)
        makers: Mapping[str, Callable[[Millis, Random], Incident]] = {
            "rule changes": lambda at, dice: ChangeRules(at, self._rules(next(numbers))),
            "cancellations": lambda at, dice: Cancel(at, dice.random()),
            "pauses": lambda at, dice: Pause(
                at, dice.random(), dice.choice((SECOND, 10 * MINUTE, HOUR))
            ),
            "redriving": lambda at, dice: Redrive(at, dice.random()),
            "repeats": lambda at, dice: AskAgain(at, dice.random()),
            "pruning": lambda at, dice: Prune(at, dice.choice((MINUTE, HOUR, DAY))),
            "restarts": lambda at, dice: Restart(at, dice.random()),
            "faults": lambda at, dice: _fail(at, dice, crash=False),
            "crashes": lambda at, dice: _fail(at, dice, crash=True),
            "freezes": lambda at, dice: Freeze(at, dice.random() < 0.5, dice.random() < 0.6),
            "turned clocks": lambda at, dice: TurnBack(
                at, dice.choice((SECOND, 4 * SECOND, 20 * MINUTE, 2 * HOUR))
            ),
            "stalls": lambda at, dice: Stall(at, dice.choice((3 * SECOND, 20 * MINUTE, 4 * HOUR))),
        }
        for feature, make in makers.items():
            dice = self._dice(feature)
            if self._has(feature):
                for _ in range(dice.randint(1, 6)):
                    yield make(self._instant(dice), dice)
        dice = self._dice("newcomers")
        for person in self._people[self._registered :]:
            yield Register(self._instant(dice), person.recipient)


def _two(dice: Random) -> tuple[bool, bool]:
    return dice.random() < 0.4, dice.random() < 0.3


def _fail(at: Millis, dice: Random, *, crash: bool) -> Fail:
    call: str | int = dice.choice(_CALLS) if dice.random() < 0.4 else dice.randint(1, 120)
    when: When = "before" if dice.random() < 0.5 else "after"
    return Fail(at, call, when, crash)
