"""`core.decide` and `core.plan` over the arrays of one person, decision by decision the same.

Where a bound may count, in which order rules are asked, and what a calendar window is, has been
settled by the core when the columns were made. What is left is to count, which is here: whether an
instant is free, and the first one that is. Tests hold both equal to the core.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tactful.core.model import NEVER as _NEVER
from tactful.core.plan import HORIZON_MS as _HORIZON_MS
from tactful.sim.scale.columns import Columns, Numbers, Record, Records
from tactful.sim.scale.compiled import compiled

NEVER: Final = _NEVER
HORIZON_MS: Final = _HORIZON_MS

SEND: Final = -1
"""What is decided: this, or the `on_limit` of the rule that says no, by severity."""
DEFER: Final = 0
COLLAPSE: Final = 2
REJECT: Final = 3
SUPPRESS: Final = 4
"""What an admission may answer, too."""
BEYOND: Final = -_NEVER
"""A slot, or a decision, for which a table of calendar windows or hours is too short."""

EVENT: Final = np.dtype([("at", "i8"), ("kind", "i4")])
"""An attempt or a planned slot, as `core.model.Entry`."""


@compiled
def after(numbers: Numbers, low: int, high: int, value: int) -> int:
    """The place behind all that are at most `value`, between two places of ascending numbers."""
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


class Events(NamedTuple):
    """What counts: `known` attempts and `ahead` planned slots, both ascending by instant, and room
    for the instants of all of them."""

    history: Records
    known: int
    planned: Records
    ahead: int
    instants: Numbers


@compiled
def is_free(columns: Columns, kind: int, zone: int, now: int, events: Events) -> bool:
    """Whether every bound has room at `now`, given that no attempt is later and none is planned.

    False where a table is too short to say.
    """
    kinds, history = columns.kinds, events.history
    for place in range(kinds[kind].bounds, kinds[kind].bounds_end):
        bound = columns.bounds[place]
        room = bound.count
        if events.known < room:
            continue
        edge = now - bound.window
        if bound.table >= 0:
            end = columns.places[zone, bound.table, 1]
            following = after(columns.edges, columns.places[zone, bound.table, 0], end, now)
            if following == end:
                return False
            edge = columns.edges[following - 1] - 1
        for entry in range(events.known - 1, -1, -1):
            if history[entry].at <= edge:
                break
            if columns.counted[place, history[entry].kind]:
                room -= 1
                if room <= 0:
                    break
        if room <= 0:
            return False
    return True


@compiled
def decide(
    columns: Columns, kind: int, zone: int, now: int, events: Events
) -> tuple[int, int, int]:
    """What is decided at `now`, which rule says no, and the first slot at which none does."""
    spans, spans_end = columns.kinds[kind].spans, columns.kinds[kind].spans_end
    if not events.ahead and spans == spans_end and is_free(columns, kind, zone, now, events):
        return SEND, -1, now
    slot = next_slot(columns, kind, zone, now, events)
    if slot == now:
        return SEND, -1, now
    if slot == BEYOND:
        return BEYOND, -1, BEYOND
    what, rule, latest = SEND, -1, now
    for place in range(columns.kinds[kind].bounds, columns.kinds[kind].bounds_end):
        free, bound = bound_slot(columns, place, zone, now, events), columns.bounds[place]
        if free == BEYOND:
            return BEYOND, -1, BEYOND
        if free > now and (bound.on_limit > what or (bound.on_limit == what and free > latest)):
            what, rule, latest = bound.on_limit, bound.rule, free
    for place in range(spans, spans_end):
        free, span = span_slot(columns, place, zone, now), columns.spans[place]
        if free == BEYOND:
            return BEYOND, -1, BEYOND
        if free > now and (span.on_limit > what or (span.on_limit == what and free > latest)):
            what, rule, latest = span.on_limit, span.rule, free
    return what, rule, slot


@compiled
def next_slot(columns: Columns, kind: int, zone: int, start: int, events: Events) -> int:
    """The first instant from `start` on at which every check agrees, NEVER, or BEYOND.

    Bounds are asked in turn until all have agreed since the last of them objected.
    """
    first, end = columns.kinds[kind].bounds, columns.kinds[kind].bounds_end
    at, place, agreed = start, first, 0
    while True:
        while agreed < end - first:
            later = bound_slot(columns, place, zone, at, events)
            if later == BEYOND or later >= NEVER:
                return later
            agreed = agreed + 1 if later == at else 1
            at = later
            place = place + 1 if place + 1 < end else first
        later = common_hour(columns, kind, zone, at)
        if later in (BEYOND, at):
            return later
        at, agreed = later, 0
        if at >= NEVER:
            return NEVER


@compiled
def common_hour(columns: Columns, kind: int, zone: int, start: int) -> int:
    """The first instant from `start` on that all hours allow, NEVER, or BEYOND."""
    at = start
    while at - start < HORIZON_MS:
        before = at
        for place in range(columns.kinds[kind].spans, columns.kinds[kind].spans_end):
            at = span_slot(columns, place, zone, at)
            if at == BEYOND or at >= NEVER:
                return at
        if at == before:
            return at
    return NEVER


@compiled
def span_slot(columns: Columns, place: int, zone: int, at: int) -> int:
    """The first instant from `at` on at which these hours agree, NEVER, or BEYOND."""
    span = columns.spans[place]
    first, end = columns.places[zone, span.table, 0], columns.places[zone, span.table, 1]
    following = after(columns.edges, first, end, at)
    if following == end:
        return BEYOND
    inside = (following - first) % 2 == 1
    return columns.edges[following] if inside == (span.quiet == 1) else at


@compiled
def bound_slot(columns: Columns, place: int, zone: int, at: int, events: Events) -> int:
    """The first instant from `at` on at which one bound agrees, NEVER, or BEYOND."""
    bound = columns.bounds[place]
    if bound.count == 0:
        return NEVER
    instants = gather(columns, place, at - bound.reach, events)
    if len(instants) < bound.count:
        return at
    if bound.table >= 0:
        return calendar_slot(columns, bound, zone, instants, at)
    return rolling_slot(bound.count, bound.window, instants, at)


@compiled
def gather(columns: Columns, place: int, oldest: int, events: Events) -> Numbers:
    """Put together the instants after `oldest` that a bound counts."""
    counted, history, planned = columns.counted[place], events.history, events.planned
    mine = events.known
    while mine > 0 and history[mine - 1].at > oldest:
        mine -= 1
    theirs, count = 0, 0
    while mine < events.known or theirs < events.ahead:
        if theirs == events.ahead or (
            mine < events.known and history[mine].at <= planned[theirs].at
        ):
            entry = history[mine]
            mine += 1
        else:
            entry = planned[theirs]
            theirs += 1
        if counted[entry.kind]:
            events.instants[count] = entry.at
            count += 1
    return events.instants[:count]


@compiled
def calendar_slot(columns: Columns, bound: Record, zone: int, instants: Numbers, at: int) -> int:
    """The first instant from `at` on in whose window there is room, or BEYOND."""
    edges, count = columns.edges, len(instants)
    first, end = columns.places[zone, bound.table, 0], columns.places[zone, bound.table, 1]
    while True:
        following = after(edges, first, end, at)
        if following == end:
            return BEYOND
        used = after(instants, 0, count, edges[following] - 1)
        used -= after(instants, 0, count, edges[following - 1] - 1)
        if used < bound.count:
            return at
        at = edges[following]


@compiled
def rolling_slot(room: int, window: int, instants: Numbers, at: int) -> int:
    """The first instant from `at` on with which no window holds more than there is room for."""
    count = len(instants)
    if instants[count - 1] <= at:
        return max(at, int(instants[count - room]) + window)
    while True:
        place = after(instants, 0, count, at)
        moved = False
        for first in range(max(0, place - room), min(place, count - room) + 1):
            low, high = instants[first], instants[first + room - 1]
            if max(high, at) - min(low, at) < window:
                at = low + window
                moved = True
                break
        if not moved:
            return at
