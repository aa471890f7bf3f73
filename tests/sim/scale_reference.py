"""What becomes of one person's messages, by the core, in the plainest way that is right.

`fates` takes the submissions in the order of time and asks `core.decide` about each, behind the
slots of those that wait. Chances are 0 or 1 here, so nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo

from tactful.core.checks import Checks
from tactful.core.decide import Subject, decide
from tactful.core.model import (
    NEVER,
    Collapse,
    Decision,
    Defer,
    Entry,
    Kind,
    Millis,
    Reject,
    Send,
    Suppress,
)


@dataclass(slots=True, eq=False)
class Item:
    """One delivery; `everyone` is one of a broadcast to everybody."""

    place: int
    at: Millis
    kind: Kind
    checks: Checks
    expires: Millis
    everyone: bool
    label: str
    lost: bool
    mandatory: bool
    said: Decision | None = None
    due: Millis = 0
    rule: str | None = None
    group: tuple[str, str] | None = None
    outcome: str = "waiting"
    sent: Millis | None = None
    opened: Millis | None = None
    clicked: bool = False
    promised: bool = False
    decided: bool = False
    held: bool = False


@dataclass(slots=True)
class Habits:
    """Chances of 0 or 1, and a fixed delay."""

    open: bool = False
    click: bool = False
    unsubscribe: bool = False
    tires: bool = False
    leaves_tired: bool = False
    window: Millis = 0
    delay: Millis = 0


@dataclass(slots=True)
class Life:
    """One person; `mute` are categories and types that are not wanted."""

    zone: tzinfo
    last: Millis
    habits: Habits
    mute: set[str]
    history: list[Entry] = field(default_factory=list)
    line: list[Item] = field(default_factory=list)
    leaving: list[tuple[Millis, str]] = field(default_factory=list)
    got: list[Millis] = field(default_factory=list)
    unsubscribed: list[str] = field(default_factory=list)

    def run(self, items: list[Item]) -> None:
        coming = sorted(items, key=lambda i: (i.at, i.everyone, -i.kind.priority * i.everyone))
        for place, item in enumerate(coming):
            item.place = place
        while True:
            instants = [i.at for i in coming[:1]] + [i.due for i in self.line]
            now = min([*instants, *(at for at, _ in self.leaving)], default=NEVER)
            if now > self.last:
                return
            while coming and coming[0].at == now and not coming[0].everyone:
                self.admit(coming.pop(0), now)
            self.tell(now)
            busy = True
            while busy:
                reached = bool(coming) and coming[0].at == now
                if reached:
                    item = coming.pop(0)
                    item.due = now
                    self.line.append(item)
                busy = self.dispatch(now) or reached

    def unwanted(self, item: Item) -> bool:
        wishes = {f"type:{item.kind.type}", f"category:{item.kind.category}", "all"}
        return not item.mandatory and bool(self.mute & wishes)

    def slots(self, item: Item, now: Millis, overdue: str) -> list[Entry]:
        found = []
        for other in self.line:
            theirs, mine = other.kind.priority, item.kind.priority
            later = overdue == "none" and theirs == mine and other.place > item.place
            if other is item or ((theirs < mine or later) and not other.promised):
                continue
            counts = {"all": True, "promised": other.promised, "none": False}[overdue]
            if (other.due > now or counts) and other.due < other.expires:
                found.append(Entry(max(other.due, now), other.kind))
        return sorted(found)

    def ask(self, item: Item, planned: list[Entry], now: Millis) -> Decision:
        subject = Subject(item.kind, self.zone)
        return decide(subject, self.history, planned, item.checks, now)

    def hold(self, item: Item, until: Millis, rule: str, group: tuple[str, str] | None) -> None:
        item.due, item.rule, item.group = min(until, item.expires), rule, group
        item.held, item.decided, item.promised = True, True, False
        if item not in self.line:
            self.line.append(item)

    def admit(self, item: Item, now: Millis) -> None:
        item.decided = True
        if self.unwanted(item):
            item.said, item.outcome = Suppress("muted"), "suppressed"
            return
        item.said = self.ask(item, self.slots(item, now, "all"), now)
        match item.said:
            case Send():
                item.promised, item.due = True, now
                self.line.append(item)
            case Reject(rule, _):
                item.outcome, item.rule = "rejected", rule
            case Defer(until, rule):
                self.hold(item, until, rule, None)
            case Collapse(until, rule):
                group = (rule, item.label)
                older = self.alike(item, group)
                for other in older:
                    other.outcome = "collapsed"
                    self.line.remove(other)
                alike = [o.due for o in older if o.kind == item.kind and o.due < o.expires]
                until = max(now, min(alike, default=until))
                item.said = Collapse(until, rule)
                self.hold(item, until, rule, group)

    def alike(self, item: Item, group: tuple[str, str]) -> list[Item]:
        channel = item.kind.channel
        return [i for i in self.line if i.group == group and i.kind.channel == channel]

    def dispatch(self, now: Millis) -> bool:
        """One round over what is due: first who needs no rule to be ended, then the others."""
        due = sorted(
            (i for i in self.line if i.due <= now), key=lambda i: (-i.kind.priority, i.place)
        )
        freed = False
        for item in due:
            if now >= item.expires:
                freed = self.end(item, "expired", item.rule)
            elif self.unwanted(item):
                item.said = item.said or Suppress("muted")
                freed = self.end(item, "suppressed", None)
        for item in due:
            if item.outcome == "waiting":
                freed = self.settle(item, now) or freed
        if freed:
            for item in self.line:
                item.due = now if item.held else item.due
        return bool(due)

    def end(self, item: Item, outcome: str, rule: str | None) -> bool:
        item.outcome, item.rule = outcome, rule
        self.line.remove(item)
        return True

    def settle(self, item: Item, now: Millis) -> bool:
        fresh = not item.decided
        planned = self.slots(item, now, "promised") if fresh else []
        decision = self.ask(item, planned, now)
        if fresh:
            item.said = decision
        if isinstance(decision, Send):
            self.line.remove(item)
            self.arrive(item, now)
            return False
        if fresh and isinstance(decision, Reject):
            return self.end(item, "rejected", decision.rule)
        if not fresh:
            decision = self.ask(item, self.slots(item, now, "none"), now)
        match decision:
            case Reject(rule, until) | Defer(until, rule):
                self.hold(item, until, rule, None)
            case Collapse(until, rule):
                group = item.group if item.group and item.group[0] == rule else None
                group = group or (rule, item.kind.type)
                others = [i for i in self.alike(item, group) if i is not item]
                if any(other.place > item.place for other in others):
                    return self.end(item, "collapsed", rule)
                for other in others:
                    self.end(other, "collapsed", rule)
                self.hold(item, until, rule, group)
                return bool(others)
        return False

    def arrive(self, item: Item, now: Millis) -> None:
        self.history.append(Entry(now, item.kind))
        item.sent, item.outcome = now, "lost" if item.lost else "received"
        if item.lost:
            return
        does = self.habits
        tired = [at for at in self.got if at > now - does.window]
        self.got.append(now)
        if now + does.delay > self.last:
            return
        if does.open and not (does.tires and tired):
            item.opened = now + does.delay
            item.clicked = does.click and item.opened + does.delay <= self.last
        if does.unsubscribe or (does.leaves_tired and tired):
            self.leaving.append((now + does.delay, item.kind.category))

    def tell(self, now: Millis) -> None:
        for at, category in list(self.leaving):
            if at <= now:
                self.leaving.remove((at, category))
                if f"category:{category}" not in self.mute:
                    self.mute.add(f"category:{category}")
                    self.unsubscribed.append(category)
