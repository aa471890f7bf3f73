"""How a channel stands with its receivers: the part of its mail that bounces or annoys.

Providers close an account whose mail bounces or is complained about too often. What Amazon SES
publishes is what most of them mean: 5 % hard bounces and 0.1 % complaints are too many, 10 % and
0.5 % are the end. The rates here are of what went out last over the channel: the last `SAMPLE`
deliveries of the last 24 hours, and those of them that bounced for good or were complained about.
What a server refused because of the address went as far as it could and counts among both. Below
`volume` deliveries nothing is said, since there one complaint would be a scandal.

When a rate passes a bound, an event `feedback.alarm` is recorded, once: again only after the rate
has been below four fifths of that bound. With `breaker = "stop"` the higher bound also closes the
channel, by a rule: at most 0 a day, but for critical priority. So it holds in every process at
once, what waits loses nothing but time, and `why` explains it as any other rule. Only people open
it again: `release` removes the rule and counts from then on.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tactful.core.errors import RequestError
from tactful.core.model import DAY, Event, Millis
from tactful.core.names import name_key
from tactful.core.rules import Rule
from tactful.core.statuses import HARD
from tactful.engine.context import Context
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.policies import Policies
from tactful.ports import Fact, Reader

SAMPLE: Final = 10_000
SPAN_MS: Final = DAY
READ_MAX: Final = 100_000
"""How many events are looked back upon at most."""

PAGE: Final = 5_000
AUTHOR: Final = "breaker"

PPM: Final = 1_000_000
BOUNDS: Final[Mapping[str, Mapping[str, int]]] = {
    "bounce": {"warn": 50_000, "stop": 100_000},
    "complaint": {"warn": 1_000, "stop": 5_000},
}
"""What is too much, in parts per million of what went out."""

LEVELS: Final = ("", "warn", "stop")
_OUT: Final = frozenset(("sent", "delivered", "lost"))


@dataclass(frozen=True, slots=True)
class Rate:
    """Of `volume` deliveries `bad` bounced (or were complained about); `level` is '', warn, stop.

    `held` says that the channel's mail is held for it, or for the other rate.
    """

    channel: str
    kind: str
    bad: int
    volume: int
    level: str
    held: bool

    @property
    def ppm(self) -> int:
        """Parts per million."""
        return self.bad * PPM // self.volume if self.volume else 0


@dataclass(slots=True)
class _Way:
    """What is known of one channel."""

    out: deque[tuple[Millis, str]] = field(default_factory=lambda: deque(maxlen=SAMPLE))
    bad: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in BOUNDS})


class _Noted(NamedTuple):
    """What is stored of a channel: from when on it counts, and the alarms that were given."""

    since: Millis
    levels: dict[str, str]


class Reputation:
    """The rates of an engine's channels, and the alarms; safe to use from many threads."""

    def __init__(self, context: Context, rules: Policies[Rule]) -> None:
        self._context = context
        self._rules = rules
        self._lock = threading.Lock()
        self._seen = 0
        self._ways: dict[str, _Way] = {}

    def rates(self) -> list[Rate]:
        """Both rates of each channel over which something went out; raises Unavailable."""
        with self._lock, self._context.store.reading() as reader:
            self._read(reader)
            now = self._context.timekeeper.glance()
            held = {policy.name for policy in reader.policies("rule")}
            return [
                rate
                for channel in sorted(self._ways)
                for rate in self._rated(channel, _noted(reader, channel), now, held)
            ]

    def look(self) -> None:
        """Give the alarms that are due, and hold what is to be held; raises Unavailable."""
        for rate in self.rates():
            with self._context.store.reading() as reader:
                before = _noted(reader, rate.channel).levels.get(rate.kind, "")
            if LEVELS.index(rate.level) > LEVELS.index(before):
                self._alarm(rate)
            elif before and rate.ppm * 5 < BOUNDS[rate.kind][before] * 4:
                self._note(rate.channel, rate.kind, rate.level)

    def release(self, channel: str) -> bool:
        """Open a channel that is held, and count anew from now on; False if it is not held."""
        way = name_key(channel, "channel")
        name = rule_name(way)
        held = self._rules.get(name) is not None
        if held:
            self._rules.remove(name, author=AUTHOR)
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            tx.set_note(_key(way), _text(_Noted(now, {})))
            if held:
                tx.add_events([Event("feedback.released", "", now, data={"channel": way})])
        self._context.changed()
        return held

    # Alarms -----------------------------------------------------------------------------------

    def _alarm(self, rate: Rate) -> None:
        stop = rate.level == "stop" and self._context.settings.feedback.breaker == "stop"
        if stop:
            # First the deed, then the word: an end in between gives the alarm at the next look.
            stop = self._hold(rate.channel)
        facts: dict[str, Any] = {
            "channel": rate.channel,
            "kind": rate.kind,
            "level": rate.level,
            "bad": rate.bad,
            "volume": rate.volume,
            "ppm": rate.ppm,
            "bound_ppm": BOUNDS[rate.kind][rate.level],
            "held": stop or rate.held,
        }
        self._note(rate.channel, rate.kind, rate.level, facts)

    def _hold(self, channel: str) -> bool:
        rule = Rule(rule_name(channel), limit="0/day", channels=(channel,), exempt=("critical",))
        try:
            self._rules.put(rule, author=AUTHOR)
        except RequestError:  # a channel that this process does not have
            return False
        return True

    def _note(
        self, channel: str, kind: str, level: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Store the level of an alarm and, with facts, that it was given; once among processes."""
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            noted = _noted(tx, channel)
            if noted.levels.get(kind, "") == level:
                return
            levels = {**noted.levels, kind: level}
            tx.set_note(_key(channel), _text(_Noted(noted.since, levels)))
            if facts is not None:
                tx.add_events([Event("feedback.alarm", "", now, data=facts)])

    # Counting ---------------------------------------------------------------------------------

    def _rated(self, channel: str, noted: _Noted, now: Millis, held: set[str]) -> list[Rate]:
        way = self._ways[channel]
        since = max(noted.since, now - SPAN_MS)
        out = {delivery_id for at, delivery_id in way.out if at > since}
        enough = len(out) >= self._context.settings.feedback.volume
        found = []
        for kind, bounds in BOUNDS.items():
            bad = len(way.bad[kind] & out)
            over = [level for level, ppm in bounds.items() if bad * PPM >= ppm * len(out)]
            level = over[-1] if over and enough else ""
            is_held = rule_name(channel) in held
            found.append(Rate(channel, kind, bad, len(out), level, is_held))
        return found

    def _read(self, reader: Reader) -> None:
        """Count what has happened since the last look."""
        last = reader.last_event()
        if last - self._seen > READ_MAX:
            self._ways.clear()
            self._seen = last - READ_MAX
        while facts := reader.facts(after=self._seen, limit=PAGE):
            for fact in facts:
                self._count(reader, fact)
            self._seen = facts[-1].seq
        for way in self._ways.values():
            known = {delivery_id for _, delivery_id in way.out}
            for kind in way.bad:
                way.bad[kind] &= known

    def _count(self, reader: Reader, fact: Fact) -> None:
        if not fact.channel:
            return
        way = self._ways.setdefault(fact.channel, _Way())
        if fact.name in _OUT:
            if not _OUT.intersection(fact.earlier):
                way.out.append((fact.at, fact.delivery_id))
        elif fact.name == "complained":
            way.bad["complaint"].add(fact.delivery_id)
        elif fact.name in ("bounced", "late", "failed"):
            (event,) = reader.events(after=fact.seq - 1, limit=1)
            if fact.name == "failed" and BOUNCE in event.data:
                way.out.append((fact.at, fact.delivery_id))
            if event.data.get(BOUNCE) == HARD:
                way.bad["bounce"].add(fact.delivery_id)


def rule_name(channel: str) -> str:
    """The name of the rule that holds a channel's mail."""
    return f"breaker-{channel}"


def _key(channel: str) -> str:
    return f"feedback\n{channel}"


def _noted(reader: Reader, channel: str) -> _Noted:
    found = json.loads(reader.note(_key(channel)) or "{}")
    return _Noted(found.get("since", 0), dict(found.get("levels", {})))


def _text(noted: _Noted) -> str:
    return json.dumps(noted._asdict(), separators=(",", ":"))
