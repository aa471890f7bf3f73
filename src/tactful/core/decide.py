"""Whether one delivery may go at one instant.

The ledger is the history: a limit is judged against the attempts that the recipient really had,
never against a counter. All rules that match must agree, or nothing happens at all: a decision is
a value, and only the attempt that the engine writes afterwards counts.

A rolling limit of N per W is half open: attempts in `(now - W, now]` count, so at exactly `t0 + W`
the attempt of `t0` counts no more. Deliveries that already wait hold *planned* slots, which are
treated like attempts at their instants; `core.plan` finds the first instant that fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from tactful.core.checks import Bound, Checks, Span
from tactful.core.model import (
    NEVER,
    Collapse,
    Decision,
    Defer,
    Digest,
    Entry,
    Expire,
    Kind,
    Millis,
    Reject,
    Send,
    Suppress,
)
from tactful.core.plan import crowd, next_slot, slot_of
from tactful.core.rules import Rule
from tactful.core.windows import calendar_window

_SEVERITY: Final = {"defer": 0, "digest": 1, "collapse": 2, "reject": 3}
_GO: Final = Send()


class Subject(NamedTuple):
    """The delivery that a decision is about.

    `suppressed` is the reason not to send at all, if there is one.
    """

    kind: Kind
    zone: tzinfo
    expires_at: Millis = NEVER
    suppressed: str | None = None


def decide(
    subject: Subject,
    history: Sequence[Entry],
    planned: Sequence[Entry],
    checks: Checks,
    now: Millis,
) -> Decision:
    """The answer for one delivery at `now`.

    `history` are the recipient's counted attempts, `planned` the slots held by deliveries that
    wait ahead of this one; both ascending by instant. Nothing is changed; whoever acts on `Send`
    must write the attempt in the same transaction that read the history.
    """
    if subject.suppressed is not None:
        return Suppress(subject.suppressed)
    if now >= subject.expires_at:
        return Expire(subject.expires_at)
    if not planned and _free(history, checks.bounds, subject.zone, now):
        if not checks.spans:
            return _GO
        events: Sequence[Entry] = history
    else:
        events = sorted([*history, *planned]) if planned else history
    slot = next_slot(events, checks, subject.zone, now)
    if slot == now:
        return _GO
    return _hold(events, checks, subject.zone, now, slot)


def _free(history: Sequence[Entry], bounds: tuple[Bound, ...], zone: tzinfo, now: Millis) -> bool:
    """Whether every bound has room at `now`, given that no counted attempt is later than now."""
    known = len(history)
    if known and history[-1].at > now:
        return False
    for bound in bounds:
        room = bound.count
        if known < room:
            continue
        edge = (
            now - bound.window_ms
            if bound.unit is None
            else calendar_window(now, bound.unit, zone)[0] - 1
        )
        counted = bound.counted
        for at, kind in reversed(history):
            if at <= edge:
                break
            if counted[kind]:
                room -= 1
                if room <= 0:
                    break
        if room <= 0:
            return False
    return True


def _hold(
    events: Sequence[Entry], checks: Checks, zone: tzinfo, now: Millis, slot: Millis
) -> Decision:
    """The decision for a delivery that cannot go now: the sternest of the rules that say no."""
    sternest: tuple[int, Millis, Rule] | None = None
    every: tuple[Bound | Span, ...] = (*checks.bounds, *checks.spans)
    for check in every:
        free = slot_of(check, events, zone, now)
        if free > now:
            candidate = (_SEVERITY[check.rule.on_limit], free, check.rule)
            if sternest is None or candidate[:2] > sternest[:2]:
                sternest = candidate
    assert sternest is not None, "a slot after now has a rule behind it"
    rule = sternest[2]
    match rule.on_limit:
        case "reject":
            return Reject(rule.name, slot)
        case "digest":
            return Digest(slot, rule.name)
        case "collapse":
            return Collapse(slot, rule.name)
        case _:
            return Defer(slot, rule.name)


def remaining(
    history: Sequence[Entry],
    planned: Sequence[Entry],
    checks: Checks,
    zone: tzinfo,
    now: Millis,
) -> tuple[int | None, str | None]:
    """How many more of this kind could go at `now`, and the rule that binds; None if unlimited."""
    least: int | None = None
    rule: str | None = None
    events = sorted([*history, *planned])
    for bound in checks.bounds:
        counted = bound.counted
        instants = [at for at, kind in events if counted[kind]]
        left = max(0, bound.count - crowd(bound, instants, zone, now))
        if least is None or left < least:
            least, rule = left, bound.rule.name
    return least, rule
