"""Was it right? A checker of histories that shares no code with the engine that made them.

It is told what callers were promised (`Asked`), what really arrived at the other end of a channel
(`Copy`, in the order of arrival), which rules were in force when (`Reign`), and how the store says
it ended. It answers in the words of Jepsen: what was attempted, what was acknowledged, and what of
that is lost, stuck, unexpected, recovered or there twice.

Limits are judged at the wire, by `tactful.verify`: every copy is looked at under the rules that
were in force when it was handed over, together with all copies before it. A digest is one copy with
several items.

A second copy is *explained* if nobody could know what became of every earlier one (`ambiguous`) and
it says of itself that it may be one (`maybe_duplicate`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tactful.core.model import Kind, Millis, State
from tactful.verify.limits import Terms, Violation, judge_limits
from tactful.verify.reigns import ALWAYS, NEVER, Handover, Version
from tactful.verify.reigns import Reign as RuleReign
from tactful.verify.rules import read_rule

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
    """What no rule in force allowed, and the fullest window of each rule.

    The order of arrival tells which rules a copy is judged by; `tactful.verify` does the judging.
    """
    handovers = [_handover(copy, place) for place, copy in enumerate(wire)]
    verdict = judge_limits(handovers, _versions(wire, reigns), Terms(zones or {}))
    return [_sentence(violation) for violation in verdict.broken], dict(verdict.fullest)


def _handover(copy: Copy, place: int) -> Handover:
    domain = copy.address.rpartition("@")[2].lower()
    return Handover(copy.at, place, place + 1, copy.recipient, copy.message, *copy.kind, domain)


def _versions(wire: Sequence[Copy], reigns: Sequence[Reign]) -> list[RuleReign]:
    """Each rule over time: a version begins with the first copy that it judges."""
    starts = [NEVER] * (len(wire) + 1)
    for place in range(len(wire) - 1, -1, -1):
        starts[place] = min(wire[place].at, starts[place + 1])
    # Names may be used twice in one reign: such rules are told apart by their place among them.
    found: dict[tuple[str, int], list[Version]] = {}
    for reign in reigns:
        bodies: dict[tuple[str, int], Mapping[str, Any]] = {}
        for body in reign.rules:
            name = str(body["name"])
            bodies[name, sum(key[0] == name for key in bodies)] = body
        for key in {**found, **bodies}:
            versions = found.setdefault(key, [Version(None, ALWAYS, None)])
            rule = read_rule(bodies[key]) if key in bodies else None
            if rule != versions[-1].rule:
                at = starts[reign.since] if reign.since else ALWAYS
                versions.append(Version(rule, at, reign.since))
    return [RuleReign(name, versions) for (name, _), versions in found.items()]


def _sentence(one: Violation) -> str:
    last = one.inside[-1].name
    text = f"{one.held} of {one.most} for {one.whom} with {last} at {one.at}"
    return f"{one.rule} ({one.limit}): {text}, {one.window}"
