"""Was it right? A checker of histories that shares no code with the engine that made them.

It is told what callers were promised (`Asked`), what really arrived at the other end of a channel
(`Copy`, in the order of arrival), which rules were in force when (`Reign`), and how the store says
it ended. It answers in the words of Jepsen: what was attempted, what was acknowledged, and what of
that is lost, stuck, unexpected, recovered or there twice.

Limits are judged at the wire: every copy is looked at under the rules that were in force when it
was handed over, together with all copies before it. A digest is one copy with several items.

A second copy is *explained* if nobody could know what became of every earlier one (`ambiguous`) and
it says of itself that it may be one (`maybe_duplicate`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from tactful.core.model import Kind, Millis, State

_UNITS: Final = {
    "ms": 1,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1_000),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400_000),
    **dict.fromkeys(("month", "months"), 31 * 86_400_000),
}
_LIMIT: Final = re.compile(
    r"\s*(\d+)\s*(?:/|per|in|every)\s*(\d*)\s*([a-z]+)\s*(calendar|rolling)?\s*", re.IGNORECASE
)
_LEVELS: Final = {"low": 0, "normal": 1, "high": 2, "critical": 3}
_OPEN: Final = (State.QUEUED, State.DEFERRED, State.SENDING)
_OUT: Final = (State.SENT, State.DELIVERED, State.LOST, State.BOUNCED)
_REFUSALS: Final = ("reject", "suppress", "expire")


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a caller wanted one recipient to get, and what the caller was told.

    `item` names it in copies. `decision` is the receipt's; None: nobody ever answered. `delivery`
    is the id from the receipt, None in a broadcast, which is found by its `notification`. `tries`
    is how often it was asked for; `replayed` says that the answer was an older one. `cancelled`:
    the caller called it off, and that was confirmed.
    """

    item: str
    recipient: str
    decision: str | None
    notification: str | None = None
    delivery: str | None = None
    tries: int = 1
    replayed: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """One message that arrived at the other end: `items` are what it tells, if it is a digest.

    `ambiguous` says that whoever sent it had no way to know that it had arrived.
    """

    message: str
    recipient: str
    kind: Kind
    at: Millis
    items: tuple[str, ...] = ()
    address: str = ""
    ambiguous: bool = False
    maybe_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """One delivery as the store has it in the end."""

    id: str
    notification: str
    recipient: str
    state: State
    digest: str | None = None
    updated_at: Millis = 0
    expires_at: Millis = 1 << 62


@dataclass(frozen=True, slots=True)
class Reign:
    """The rules (as plain data) in force from the copy with the number `since` on, from 0."""

    since: int
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known from outside.

    `refused` are messages that the channel surely did not take, for good; `zones` the recipients'
    time zones where they are not UTC; `held` the types that are sent at most once.
    """

    asked: Sequence[Asked]
    wire: Sequence[Copy]
    ended: Sequence[Ended]
    reigns: Sequence[Reign] = ()
    refused: Collection[str] = ()
    zones: Mapping[str, str] = field(default_factory=dict)
    held: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict; the lists hold one text for each finding.

    `max_in_window` is, for each rule, the most that any of its windows held.
    """

    attempts: int
    ok: int
    delivered: int
    recovered: int
    lost: tuple[str, ...]
    stuck: tuple[str, ...]
    unexpected: tuple[str, ...]
    duplicated_explained: tuple[str, ...]
    duplicated_unexplained: tuple[str, ...]
    limit_violations: tuple[str, ...]
    max_in_window: Mapping[str, int]

    @property
    def findings(self) -> tuple[str, ...]:
        """Everything that must not be."""
        return (
            *(f"lost: {text}" for text in self.lost),
            *(f"stuck: {text}" for text in self.stuck),
            *(f"unexpected: {text}" for text in self.unexpected),
            *(f"duplicated: {text}" for text in self.duplicated_unexplained),
            *(f"over the limit: {text}" for text in self.limit_violations),
        )


def check(history: History) -> Report:
    """Judge a history that has come to its end."""
    found = _Books(history)
    explained, unexplained = _duplicates(history.wire)
    violations, fullest = check_limits(history.wire, history.reigns, history.zones)
    fates = [found.fate(asked) for asked in history.asked]
    return Report(
        attempts=sum(asked.tries for asked in history.asked),
        ok=sum(found.accepted(asked) for asked in history.asked),
        delivered=sum(found.arrived(asked) for asked in history.asked),
        recovered=sum(asked.replayed for asked in history.asked),
        lost=tuple(text for fate, text in fates if fate == "lost"),
        stuck=tuple(text for fate, text in fates if fate == "stuck"),
        unexpected=tuple(found.unexpected()),
        duplicated_explained=tuple(explained),
        duplicated_unexplained=tuple(unexplained),
        limit_violations=tuple(violations),
        max_in_window=fullest,
    )


# What became of each ---------------------------------------------------------------------------


class _Books:
    """Receipts, copies and final states, side by side."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ended = {row.id: row for row in history.ended}
        self._told = {(row.notification, row.recipient): row for row in history.ended}
        self._seen = {(copy.recipient, item) for copy in history.wire for item in _items(copy)}
        self._messages = {copy.message for copy in history.wire}
        self._asked = {(asked.recipient, asked.item): asked for asked in history.asked}

    def accepted(self, asked: Asked) -> bool:
        return asked.decision is not None and asked.decision not in _REFUSALS

    def arrived(self, asked: Asked) -> bool:
        return (asked.recipient, asked.item) in self._seen

    def row(self, asked: Asked) -> Ended | None:
        if asked.delivery is not None:
            return self._ended.get(asked.delivery)
        return self._told.get((asked.notification or "", asked.recipient))

    def fate(self, asked: Asked) -> tuple[str, str]:
        """`lost` or `stuck` with the reason, or `fine`."""
        if not self.accepted(asked):
            return "fine", ""
        name, row = f"{asked.item} to {asked.recipient}", self.row(asked)
        if row is None:
            return "lost", f"{name} was accepted and is not stored"
        if row.state in _OPEN:
            return "stuck", f"{name} is still {row.state}"
        why = self._why_lost(asked, row)
        return ("lost", f"{name} {why}") if why else ("fine", "")

    def _why_lost(self, asked: Asked, row: Ended) -> str:
        state = row.state
        unlikely: dict[State, tuple[bool, str]] = {
            State.DIGESTED: (not self.arrived(asked), "is stored as digested and was in no digest"),
            State.FAILED: (row.id not in self._history.refused, "was given up without a refusal"),
            State.EXPIRED: (row.updated_at < row.expires_at, "expired before its time"),
            State.UNKNOWN: (not self._history.held, "was given up as unknown, and is to be tried"),
            State.CANCELLED: (not asked.cancelled, "was cancelled by nobody"),
            State.SUPERSEDED: (not self._has_newer(row), "was superseded by nothing"),
            State.REJECTED: (asked.decision != "queued", "was rejected after it was accepted"),
        }
        if state in _OUT:
            return "" if self.arrived(asked) else f"is stored as {state} and did not arrive"
        wrong, why = unlikely.get(state, (False, ""))
        return why if wrong else ""

    def _has_newer(self, row: Ended) -> bool:
        return any(
            other.recipient == row.recipient and other.id > row.id for other in self._history.ended
        )

    def unexpected(self) -> Iterator[str]:
        """What nobody asked for, or what was called off and still went."""
        for copy in self._history.wire:
            row = self._ended.get(copy.message)
            if row is None:
                yield f"{copy.message} arrived and is not stored"
            elif row.recipient != copy.recipient:
                yield f"{copy.message} for {row.recipient} went to {copy.recipient}"
            for item in _items(copy):
                asked = self._asked.get((copy.recipient, item))
                if asked is None:
                    yield f"{copy.recipient} got {item}, which nobody asked for"
                elif asked.decision is not None and not self.accepted(asked):
                    yield f"{copy.recipient} got {item}, which was refused ({asked.decision})"
                elif asked.cancelled and not copy.ambiguous:
                    yield f"{copy.recipient} got {item}, which was cancelled"
        known = {row.id for row in map(self.row, self._history.asked) if row is not None}
        for row in self._history.ended:
            if row.id not in known:
                yield f"delivery {row.id} to {row.recipient} belongs to nothing that was asked for"


def _items(copy: Copy) -> tuple[str, ...]:
    return copy.items or (copy.message,)


def _duplicates(wire: Sequence[Copy]) -> tuple[list[str], list[str]]:
    """Second copies of an item for a recipient: those that are explained, and the others."""
    explained: list[str] = []
    unexplained: list[str] = []
    before: dict[tuple[str, str], list[Copy]] = {}
    for copy in wire:
        for item in dict.fromkeys(_items(copy)):
            earlier = before.setdefault((copy.recipient, item), [])
            if earlier:
                text = f"{item} to {copy.recipient}, copy {len(earlier) + 1} as {copy.message}"
                if not all(other.ambiguous for other in earlier):
                    unexplained.append(f"{text}: an earlier one was known to have arrived")
                elif not copy.maybe_duplicate:
                    unexplained.append(f"{text}: does not say that it may be one")
                else:
                    explained.append(text)
            earlier.append(copy)
    return explained, unexplained


# Limits ----------------------------------------------------------------------------------------


def check_limits(
    wire: Sequence[Copy], reigns: Sequence[Reign], zones: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, int]]:
    """What no rule in force allowed, and the fullest window of each rule."""
    violations: list[str] = []
    fullest: dict[str, int] = {}
    ends = [*(reign.since for reign in reigns), len(wire)][1:]
    for reign, end in zip(reigns, ends, strict=True):
        for rule in reign.rules:
            for place in range(reign.since, end):
                if _speaks_of(rule, wire[place].kind):
                    count = _judge(rule, wire, place, zones or {}, violations)
                    name = str(rule["name"])
                    fullest[name] = max(fullest.get(name, 0), count)
    return violations, fullest


def _judge(
    rule: Mapping[str, Any],
    wire: Sequence[Copy],
    place: int,
    zones: Mapping[str, str],
    violations: list[str],
) -> int:
    """Look at one copy under one rule; gives how many its window holds with it."""
    copy = wire[place]
    zone = ZoneInfo(zones.get(copy.recipient, "UTC"))
    if "limit" not in rule:
        if _is_out_of_hours(rule, copy.at, zone):
            violations.append(f"{rule['name']}: {copy.message} at {copy.at} is out of its hours")
        return 1
    same = _scope(rule, copy)
    earlier = [other for other in wire[:place] if _speaks_of(rule, other.kind) and same(other)]
    count, window, unit = _parsed(rule["limit"])
    if rule.get("per", "recipient") in ("channel", "domain"):
        return _judge_flow(rule, copy, earlier, violations)
    if unit:
        here = _calendar_name(copy.at, unit, zone)
        inside = [o for o in earlier if _calendar_name(o.at, unit, zone) == here]
    else:
        inside = [other for other in earlier if copy.at - window < other.at]
    for most, below in _ceilings(rule, count):
        if copy.kind.priority < below:
            held = 1 + sum(other.kind.priority < below for other in inside)
            if held > most:
                text = f"{held} of {most} for {copy.recipient} with {copy.message} at {copy.at}"
                violations.append(f"{rule['name']} ({rule['limit']}): {text}")
    return 1 + len(inside)


def _judge_flow(
    rule: Mapping[str, Any], copy: Copy, earlier: Iterable[Copy], violations: list[str]
) -> int:
    """A steady flow: n hand-overs take the time of n - burst periods, to the millisecond."""
    count, window, _ = _parsed(rule["limit"])
    burst = int(rule.get("burst", 1))
    most = 1
    for number, other in enumerate(reversed(list(earlier)), 2):
        passed = copy.at - other.at
        if (number - burst) * window > (passed + 1) * count:
            text = f"{number} within {passed} ms with {copy.message} at {copy.at}"
            violations.append(f"{rule['name']} ({rule['limit']}): {text}")
        if passed < window:
            most = number
    return most


def _speaks_of(rule: Mapping[str, Any], kind: Kind) -> bool:
    for key, value in (
        ("types", kind.type),
        ("categories", kind.category),
        ("channels", kind.channel),
    ):
        if rule.get(key) is not None and value not in rule[key]:
            return False
    wanted = rule.get("priorities")
    levels = None if wanted is None else [_level(item) for item in wanted]
    exempt = [_level(item) for item in rule.get("exempt", ())]
    return (levels is None or kind.priority in levels) and kind.priority not in exempt


def _scope(rule: Mapping[str, Any], copy: Copy) -> Callable[[Copy], bool]:
    """Which other copies share a budget with this one."""
    per = rule.get("per", "recipient")
    if per == "channel":
        return lambda other: other.kind.channel == copy.kind.channel
    if per == "domain":
        domain = _domain(copy)
        return lambda other: _domain(other) == domain and other.kind.channel == copy.kind.channel
    part = per.partition("+")[2]
    if not part:
        return lambda other: other.recipient == copy.recipient
    return lambda other: (
        other.recipient == copy.recipient and getattr(other.kind, part) == getattr(copy.kind, part)
    )


def _domain(copy: Copy) -> str:
    return copy.address.rpartition("@")[2].lower()


def _ceilings(rule: Mapping[str, Any], count: int) -> Iterator[tuple[int, int]]:
    """How many copies of a priority below a bound a window may hold, for each bound."""
    yield count, len(_LEVELS)
    kept = 0
    reserve = {_level(name): value for name, value in rule.get("reserve", {}).items()}
    for level in sorted(reserve, reverse=True):
        kept += reserve[level]
        yield count - kept, level


def _level(value: str | int) -> int:
    return value if isinstance(value, int) else _LEVELS[value.strip().lower()]


def _parsed(limit: object) -> tuple[int, Millis, str]:
    """Count, window and, for a calendar limit, the unit."""
    match = _LIMIT.fullmatch(str(limit))
    if match is None or match[3].lower() not in _UNITS:
        raise ValueError(f"this is no limit: {limit}")
    size = _UNITS[match[3].lower()]
    calendar = (match[4] or "").lower() == "calendar"
    return int(match[1]), int(match[2] or 1) * size, match[3].lower() if calendar else ""


def _calendar_name(at: Millis, unit: str, zone: ZoneInfo) -> str:
    """A name that two instants share exactly if they are in one calendar window."""
    local = datetime.fromtimestamp(at / 1000, zone)
    shape = {"m": "%Y-%m", "w": "%G-%V", "d": "%Y-%m-%d", "h": "%Y-%m-%d %H%z"}
    if unit.startswith("month"):
        return local.strftime(shape["m"])
    return local.strftime(shape.get(unit[0], "%Y-%m-%d %H:%M%z"))


def _is_out_of_hours(rule: Mapping[str, Any], at: Millis, zone: ZoneInfo) -> bool:
    """Whether a copy went in quiet hours or outside of its window."""
    quiet = "quiet" in rule
    span, _, days = str(rule["quiet" if quiet else "window"]).strip().partition(" ")
    start, end = (int(t[:-3]) * 60 + int(t[-2:]) for t in span.split("-"))
    local = datetime.fromtimestamp(at / 1000, zone)
    minute, today = local.hour * 60 + local.minute, local.weekday()
    inside = _on(days, today) and start <= minute < (end if end > start else 24 * 60)
    if end <= start:
        inside = inside or (_on(days, today - 1) and minute < end)
    return inside == quiet


def _on(days: str, weekday: int) -> bool:
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    if not days.strip():
        return True
    for part in days.lower().split(","):
        first, _, last = (piece.strip() for piece in part.partition("-"))
        begin = names.index(first)
        length = (names.index(last or first) - begin) % 7
        if (weekday - begin) % 7 <= length:
            return True
    return False
