"""What a simulation is made of: people, traffic, rules, channels, behaviour, and a seed.

A scenario is plain, checked data; `reading` makes one of a TOML file. Instants of traffic and
outages are milliseconds after `start`, which itself is one since 1970. All durations are in
milliseconds, all rates in events per millisecond, all ratios from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tactful.core.model import DAY, HOUR, Millis, NotificationType, Recipient
from tactful.core.rules import Rule
from tactful.engine.settings import Settings
from tactful.templates.library import Template

START: Final[Millis] = 1_767_225_600_000
"""The first instant of 2026 in UTC, where nothing else is said."""

FLAT_DAY: Final = (1.0,) * 24
FLAT_WEEK: Final = (1.0,) * 7


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the population. `share` is its weight among the segments; who belongs to which is
    drawn, and `timezone` is that of all in it."""

    name: str = "everyone"
    share: float = 1.0
    timezone: str = "UTC"
    mute: tuple[str, ...] = ()
    open: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One of a population that was listed."""

    recipient: Recipient
    segment: str


@dataclass(frozen=True, slots=True)
class Population:
    """So many people in segments, or the people of a list."""

    count: int = 1_000
    segments: tuple[Segment, ...] = (Segment(),)
    people: tuple[Person, ...] | None = None


@dataclass(frozen=True, slots=True)
class Says:
    """The fields that all notifications of one stream of traffic share, as `Tactful.send` takes
    them. `text` may hold `{number}`, which is the number of the notification within its stream."""

    type: str
    text: str = "{type} {number}"
    subject: str = ""
    channels: tuple[str, ...] = ()
    priority: str | None = None
    ttl_ms: Millis | None = None
    collapse_key: str = ""
    template: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broadcasts:
    """One notification to everybody at each of some instants."""

    says: Says
    at: tuple[Millis, ...]
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """Notifications to single people, as a Poisson process.

    `rate` is the mean for each person (`per` is "person") or for all together ("all"), while
    `hours` and `days` are how much more or less of it there is in each hour of the local day and on
    each day of the week from Monday on: they are scaled so that their mean is 1. With `burst` each
    arrival brings so many on average (geometric), all to the same person, within `within_ms`.
    """

    says: Says
    rate: float
    per: str = "person"
    hours: tuple[float, ...] = FLAT_DAY
    days: tuple[float, ...] = FLAT_WEEK
    burst: float = 1.0
    within_ms: Millis = 0
    begins: Millis = 0
    ends: Millis | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Submissions that were recorded: the instant of each after the start, and its fields."""

    items: tuple[tuple[Millis, Mapping[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A log-normal delay by its median and its 99th percentile; both 0 is none at all."""

    median_ms: Millis = 0
    p99_ms: Millis = 0


@dataclass(frozen=True, slots=True)
class Way:
    """A channel: what gets lost, what bounces, how long the rest takes, when it is down.

    `bounce` is the part of the people whose address does not exist. During an outage every
    hand-over is put off by the provider. `throughput` is the provider's own limit, such as
    `100/second`, which the engine keeps.
    """

    name: str
    loss: float = 0.0
    bounce: float = 0.0
    latency: Delay = Delay()
    outages: tuple[tuple[Millis, Millis], ...] = ()
    throughput: str | None = None


@dataclass(frozen=True, slots=True)
class Fatigue:
    """How opening wears off: with n messages received in the last `window_ms`, the chance to open
    is multiplied by (1 - `opens`) ** n, and the chance to unsubscribe is `unsubscribes` * n."""

    window_ms: Millis = 7 * DAY
    opens: float = 0.0
    unsubscribes: float = 0.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What people do with what arrives.

    `never` and `always` are the parts of the people who open nothing or everything; the others
    open each message with the chance `open`. `click` is the chance of a click after an opening,
    `unsubscribe` that of muting the category with any message received.
    """

    never: float = 0.0
    always: float = 0.0
    open: float = 0.6
    open_delay: Delay = Delay()
    click: float = 0.0
    unsubscribe: float = 0.0
    fatigue: Fatigue = Fatigue()


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules, types and templates in force."""

    rules: tuple[Rule, ...] = ()
    types: tuple[NotificationType, ...] = ()
    templates: tuple[Template, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a run depends on: the same scenario gives the same result, ids included.

    Traffic ends with `horizon_ms`; what waits then is still sent when its time comes, until
    `patience_ms` later.
    """

    name: str = "scenario"
    seed: int = 1
    start: Millis = START
    horizon_ms: Millis = HOUR
    patience_ms: Millis = 30 * DAY
    population: Population = Population()
    traffic: tuple[Broadcasts | Stream | Recorded, ...] = ()
    policies: Policies = Policies()
    channels: tuple[Way, ...] = (Way("inbox"),)
    behaviour: Behaviour = Behaviour()
    settings: Settings = field(default_factory=Settings)
