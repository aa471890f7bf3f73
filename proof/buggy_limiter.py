"""A small limiter that is right, with a switch for each way of getting it wrong.

It decides by counting every attempt anew, slowly and plainly, and writes down the history that the
checker reads. Its days are local dates; the world it lives in has a night in which a clock is put
back. Everything is drawn from one seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tactful.verify.history import Attempt, Delivery, Event, History, Person, Policy

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR
START = 1_792_872_000_000
"""2026-10-24 20:00 UTC; in the night the clocks of Europe are put back."""

ZONES = {"ada": "UTC", "ben": "Europe/Berlin", "cem": "Asia/Tokyo"}
LOW, NORMAL, HIGH, CRITICAL = range(4)

PACE = {"name": "pace", "types": ["news"], "limit": "3/20min"}
DAILY = {"name": "daily", "types": ["report"], "limit": "2/day calendar"}
ALL = {"name": "all", "limit": "6/hour", "exempt": ["critical"], "reserve": {"high": 2}}
NIGHT = {"name": "night", "types": ["offer"], "quiet": "22:00-07:00"}
FLOW = {"name": "flow", "types": ["wave"], "per": "channel", "limit": "1/30s", "burst": 2}
RULES = (PACE, DAILY, ALL, NIGHT, FLOW)
STRICTER = {**PACE, "limit": "1/30min"}

BUGS = {
    "the window ends a millisecond early": "over",
    "seconds as rounded floats": "over",
    "counted per type": "over",
    "counters are lost at a restart": "over",
    "a fixed window instead of a rolling one": "over",
    "calendar days in UTC": "over",
    "every day has 24 hours": "over",
    "an unknown outcome gives its place back": "over",
    "a change of rules forgets the history": "over",
    "the old rule is used after the change": "over",
    "everything is exempt": "over",
    "the reserve is ignored": "over",
    "two workers count and then both write": "over",
    "only the first rule is asked": "over",
    "quiet hours in UTC": "over",
    "the burst is granted again every time": "over",
    "a delivery falls out of the queue": "lost",
    "sent without an attempt": "lost",
    "recorded as sent although it failed": "lost",
    "expired before its time": "lost",
    "rejected after it was accepted": "lost",
    "sent again and not marked": "duplicated",
    "sent again although it had been taken": "duplicated",
    "cancelled and sent all the same": "unexpected",
    "in the queue and at an end": "unexpected",
}


@dataclass
class Waiting:
    id: str
    to: str
    type: str
    priority: int
    since: int
    number: int = 0
    unanswered: int = 0
    held_by: str = ""


@dataclass
class Limiter:
    """See the module; `bug` is one of `BUGS`, or nothing for the one that is right."""

    seed: int
    bug: str = ""
    now: int = START
    history: History = field(default_factory=History)

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)
        self.queue: list[Waiting] = []
        self.ledger: dict[str, list[Attempt]] = {name: [] for name in ZONES}
        self.waves: list[int] = []
        self.rules: dict[str, dict[str, Any]] = {}
        self.stale: dict[str, dict[str, Any]] = {}
        self.seen_since = 0
        self.history.people = [Person(*pair) for pair in ZONES.items()]
        self.change(*RULES)

    def event(self, name: str, delivery: str = "", **data: Any) -> None:
        self.history.events.append(
            Event(len(self.history.events) + 1, name, self.now, delivery, data)
        )

    def change(self, *rules: dict[str, Any]) -> None:
        self.stale = dict(self.rules) or {rule["name"]: rule for rule in rules}
        for rule in rules:
            self.rules[rule["name"]] = rule
            version = len(self.history.policies) + 1
            self.history.policies.append(Policy(version, rule["name"], rule, self.now))
        self.event("rule.changed", names=[rule["name"] for rule in rules])
        if self.bug == "a change of rules forgets the history":
            self.seen_since = self.now

    # A life -----------------------------------------------------------------------------------

    def live(self, hours: int = 28) -> History:
        """Minute by minute, with a change of rules in the middle and a restart now and then."""
        end = START + hours * HOUR
        changes = [START + hours * HOUR // 3 + 1, START + hours * HOUR // 2 + 1]
        while self.now < end:
            self.pass_time()
            if changes and self.now >= changes[0]:
                self.change(STRICTER if len(changes) == 2 else PACE)
                changes.pop(0)
            if self.draw.random() < 0.05 and self.bug == "counters are lost at a restart":
                self.seen_since = self.now
            for _ in range(self.draw.randrange(4)):
                self.submit()
            self.tick()
        for waiting in self.queue:
            self.put(waiting, queued="deferred")
        return self.history

    def pass_time(self) -> None:
        """A little, or to the very edge of the window of something."""
        edge = 0
        if self.history.attempts and self.draw.random() < 0.5:
            attempt = self.draw.choice(self.history.attempts[-20:])
            window = self.draw.choice((20, 30, 60)) * MINUTE
            edge = attempt.at + window - self.draw.choice((0, 1))
        step = self.draw.choice((1, 7 * SECOND, MINUTE, 3 * MINUTE, 20 * MINUTE))
        self.now = edge if self.now < edge else self.now + step

    def submit(self) -> None:
        to = self.draw.choice(list(ZONES))
        type_ = self.draw.choice(("news", "news", "report", "report", "offer", "wave", "wave"))
        priority = self.draw.choice((LOW, NORMAL, NORMAL, NORMAL, HIGH, CRITICAL))
        one = Waiting(f"d{len(self.history.events):06}", to, type_, priority, self.now)
        self.event("accepted", one.id)
        self.queue.append(one)

    def tick(self) -> None:
        """What may go, goes, the most urgent first and then the oldest."""
        for one in sorted(self.queue, key=lambda w: (-w.priority, w.since, w.id)):
            known = list(self.ledger[one.to])
            workers = 2 if self.bug == "two workers count and then both write" else 1
            others = [w for w in self.queue if (w.to, w.type) == (one.to, one.type) and w != one]
            for waiting in [one, *others[: workers - 1]]:
                if waiting in self.queue:
                    self.decide(waiting, known)

    def decide(self, one: Waiting, known: Sequence[Attempt]) -> None:
        rules = self.rules
        if self.bug == "the old rule is used after the change":
            rules = self.stale
        chosen = list(rules.values())[: 1 if self.bug == "only the first rule is asked" else None]
        for rule in chosen:
            if not self.grants(rule, one, known):
                if one.held_by != rule["name"]:
                    self.event("deferred", one.id, rule=rule["name"])
                    one.held_by = rule["name"]
                    self.strike(one)
                return
        self.hand_over(one)

    def strike(self, one: Waiting) -> None:
        """What can go wrong with a delivery that waits."""
        bad: dict[str, dict[str, Any]] = {
            "a delivery falls out of the queue": {},
            "expired before its time": {"state": "expired", "expires_at": self.now + HOUR},
            "rejected after it was accepted": {"state": "rejected"},
            "in the queue and at an end": {"state": "expired", "queued": "deferred"},
        }
        if self.bug in bad and self.draw.random() < 0.2:
            self.put(one, **bad[self.bug])
            self.queue.remove(one)

    def hand_over(self, one: Waiting) -> None:
        outcome = self.draw.choices(("accepted", "retry", "unknown"), (8, 1, 1))[0]
        one.number += 1
        again = one.unanswered > 0
        marked = {"maybe_duplicate": True} if again else {}
        if self.bug == "sent again and not marked":
            marked = {}
        unwritten = self.bug == "sent without an attempt" and outcome == "accepted"
        counts = outcome != "retry"
        if self.bug == "an unknown outcome gives its place back" and outcome == "unknown":
            counts = False
        attempt = Attempt(
            one.to, self.now, one.id, one.number, one.type, "default", "email", one.priority
        )
        if not unwritten:
            attempt = attempt._replace(counts=counts, outcome=outcome)
            self.history.attempts.append(attempt)
            self.ledger[one.to].append(attempt)
            if one.type == "wave":
                self.waves.append(self.now)
        number = {} if one.number == 1 else {"attempt": one.number}
        if outcome == "accepted":
            self.event("sent", one.id, **number, **marked)
            self.finish(one, "sent")
        elif outcome == "retry" and self.bug == "recorded as sent although it failed":
            self.event("sent", one.id, **number)
            self.finish(one, "sent")
        else:
            one.unanswered += outcome == "unknown"
            one.held_by = ""
            self.event({"retry": "retry"}.get(outcome, "unanswered"), one.id, **number, **marked)

    def finish(self, one: Waiting, state: str) -> None:
        bad = self.draw.random() < 0.1
        if bad and self.bug == "sent again although it had been taken":
            return  # it stays in the queue
        if bad and self.bug == "cancelled and sent all the same":
            self.event("cancelled", one.id)
            state = "cancelled"
        self.queue.remove(one)
        self.put(one, state=state)

    def put(self, one: Waiting, **fields: Any) -> None:
        delivery = Delivery(
            one.id, one.to, one.since, None, None, "email", f"{one.to}@example.com", one.type
        )
        told = {"attempts": one.number, "updated_at": self.now, **fields}
        self.history.deliveries.append(delivery._replace(priority=one.priority, **told))

    # Rules ------------------------------------------------------------------------------------

    def grants(self, rule: dict[str, Any], one: Waiting, known: Sequence[Attempt]) -> bool:
        if not self.speaks_of(rule, one):
            return True
        if "quiet" in rule:
            zone = "UTC" if self.bug == "quiet hours in UTC" else ZONES[one.to]
            return 7 <= local(self.now, zone).hour < 22
        if rule.get("per") == "channel":
            return self.flows()
        counted = [
            attempt
            for attempt in known
            if attempt.counts
            and attempt.at >= self.seen_since
            and self.speaks_of(rule, attempt)
            and (self.bug != "counted per type" or attempt.type == one.type)
            and self.in_window(rule, one, attempt)
        ]
        count = int(rule["limit"].partition("/")[0])
        if len(counted) >= count:
            return False
        kept = 0 if self.bug == "the reserve is ignored" else rule.get("reserve", {}).get("high", 0)
        low = [attempt for attempt in counted if attempt.priority < HIGH]
        return one.priority >= HIGH or len(low) < count - kept

    def speaks_of(self, rule: dict[str, Any], one: Waiting | Attempt) -> bool:
        exempt = one.priority == CRITICAL or self.bug == "everything is exempt"
        if exempt and "exempt" in rule:
            return False
        return "types" not in rule or one.type in rule["types"]

    def in_window(self, rule: dict[str, Any], one: Waiting, attempt: Attempt) -> bool:
        if "calendar" in rule["limit"]:
            return self.day(attempt.at, one.to) == self.day(self.now, one.to)
        window = {"20min": 20, "30min": 30, "hour": 60}[rule["limit"].partition("/")[2]] * MINUTE
        if self.bug == "a fixed window instead of a rolling one":
            return attempt.at // window == self.now // window
        if self.bug == "the window ends a millisecond early":
            return attempt.at > self.now - window + 1
        if self.bug == "seconds as rounded floats":
            return round(attempt.at / MINUTE) > round(self.now / MINUTE) - window // MINUTE
        return attempt.at > self.now - window

    def day(self, at: int, to: str) -> object:
        if self.bug == "calendar days in UTC":
            return at // DAY
        if self.bug == "every day has 24 hours":
            offset = local(START, ZONES[to]).utcoffset()
            assert offset is not None
            return (at + offset.total_seconds() * SECOND) // DAY
        return local(at, ZONES[to]).date()

    def flows(self) -> bool:
        """One every 30 seconds, and a second one that has been saved up."""
        if self.bug == "the burst is granted again every time":
            return self.waves[-2:].count(self.now) < 2
        due = 0
        for at in self.waves:
            due = max(due, at) + 30 * SECOND
        return due - 30 * SECOND <= self.now


def local(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone))
