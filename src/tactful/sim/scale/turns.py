"""Admission and dispatch for one person, as the engine does them.

A single submission is decided at once, behind the slots of all that wait (`engine.admission`). A
broadcast is decided when it is due, in a round together with what else is due (`engine.dispatch`).
Where a round ends a delivery, all that a rule holds is decided anew.
"""

from __future__ import annotations

from typing import Final

from tactful.sim.scale.behave import hand_over
from tactful.sim.scale.columns import LABELS, Columns
from tactful.sim.scale.compiled import compiled
from tactful.sim.scale.limits import (
    BEYOND,
    COLLAPSE,
    DEFER,
    NEVER,
    REJECT,
    SEND,
    SUPPRESS,
    Events,
    decide,
)
from tactful.sim.scale.room import (
    COLLAPSED,
    EXPIRED,
    LINE_MAX,
    LONG_LINE,
    REJECTED,
    SUPPRESSED,
    TABLES,
    WAITING,
    Room,
)

ALL: Final = 0
"""Which of those that are due count as planned for now: all,"""
PROMISED: Final = 1
"""those whose receipt said "send","""
NONE: Final = 2
"""or none of them."""


@compiled
def unwanted(columns: Columns, room: Room, kind: int) -> bool:
    """Whether the person wants nothing of this kind."""
    if columns.muted[room.mine[0].segment, kind]:
        return True
    spec = columns.kinds[kind]
    return bool(not spec.mandatory and room.unsubscribed[spec.category])


@compiled
def plan(columns: Columns, room: Room, place: int, now: int, overdue: int) -> int:
    """Note the slots that a row must respect, ascending; gives how many (`engine.line`)."""
    planned, count = room.planned, 0
    mine = columns.kinds[room.rows[place].kind].priority
    for waiting in range(room.mine[0].line):
        spot = room.line[waiting]
        other = room.rows[spot]
        if not other.present or other.handled or other.due >= other.expires:
            continue
        priority = columns.kinds[other.kind].priority
        if priority < mine and not other.promised:
            continue
        # Whoever has had a slot gives way to those before it, not to those after it.
        if overdue == NONE and spot > place and priority == mine and not other.promised:
            continue
        if other.due <= now and not (overdue == ALL or (overdue == PROMISED and other.promised)):
            continue
        at = max(other.due, now)
        hole = count
        while hole > 0 and planned[hole - 1].at > at:
            planned[hole] = planned[hole - 1]
            hole -= 1
        planned[hole].at = at
        planned[hole].kind = other.kind
        count += 1
    return count


@compiled
def judge(columns: Columns, room: Room, place: int, now: int, ahead: int) -> tuple[int, int, int]:
    """The decision about a row behind the slots that were noted."""
    me = room.mine[0]
    events = Events(room.history, me.known, room.planned, ahead, room.instants)
    found = decide(columns, room.rows[place].kind, me.zone, now, events)
    if found[0] == BEYOND:
        me.trouble = TABLES
    return found


@compiled
def say(room: Room, place: int, what: int, rule: int, slot: int) -> None:
    """What was decided about a row first is kept."""
    row = room.rows[place]
    row.said = what
    row.said_rule = rule
    row.said_slot = slot


@compiled
def join(room: Room, place: int) -> None:
    """A row waits from now on."""
    me = room.mine[0]
    if me.line == LINE_MAX:
        me.trouble = LONG_LINE
        return
    row = room.rows[place]
    row.present = 1
    row.handled = 0
    hole = me.line
    while hole > 0 and room.line[hole - 1] > place:
        room.line[hole] = room.line[hole - 1]
        hole -= 1
    room.line[hole] = place
    me.line += 1


@compiled
def clear(room: Room) -> None:
    """Who waits no more leaves the line."""
    me, kept = room.mine[0], 0
    for waiting in range(me.line):
        place = room.line[waiting]
        row = room.rows[place]
        if row.state == WAITING and row.sent < 0:
            row.present = 1
            row.handled = 0
            room.line[kept] = place
            kept += 1
    me.line = kept


@compiled
def wait(room: Room, place: int, until: int, rule: int, group: int) -> None:
    """A row waits for a slot, or for the end of its life if that comes first."""
    row = room.rows[place]
    row.due = min(until, row.expires)
    row.rule = rule
    row.group = group
    row.held = 1
    row.decided = 1
    row.promised = 0
    row.present = 1


@compiled
def alike(columns: Columns, room: Room, place: int, group: int, other: int) -> bool:
    """Whether another row waits in a collapse group, for the same channel."""
    row = room.rows[other]
    mine = columns.kinds[room.rows[place].kind].channel
    return bool(
        other != place
        and row.present
        and row.group == group
        and columns.kinds[row.kind].channel == mine
    )


# Admission ------------------------------------------------------------------------------------


@compiled
def admit(columns: Columns, room: Room, place: int, now: int) -> None:
    """Decide a single submission; one that may go is promised its slot and due at once."""
    row = room.rows[place]
    if unwanted(columns, room, row.kind):
        row.state = SUPPRESSED
        say(room, place, SUPPRESS, -1, now)
        return
    what, rule, slot = judge(columns, room, place, now, plan(columns, room, place, now, ALL))
    if what == REJECT:
        row.state = REJECTED
        row.rule = rule
    elif what == SEND:
        row.promised = 1
        join(room, place)
    elif what == DEFER:
        wait(room, place, slot, rule, -1)
        join(room, place)
    elif what == COLLAPSE:
        group = rule * LABELS + columns.flows[row.flow].label
        earliest = supersede(columns, room, place, group)
        if earliest < NEVER:
            slot = max(now, earliest)
        wait(room, place, slot, rule, group)
        join(room, place)
    say(room, place, what, rule, slot)


@compiled
def supersede(columns: Columns, room: Room, place: int, group: int) -> int:
    """Take the place of those who wait in the same group; gives the earliest slot of its kind."""
    earliest = NEVER
    for waiting in range(room.mine[0].line):
        other = room.line[waiting]
        if alike(columns, room, place, group, other):
            older = room.rows[other]
            older.state = COLLAPSED
            if older.kind == room.rows[place].kind and older.due < older.expires:
                earliest = min(earliest, older.due)
    clear(room)
    return earliest


@compiled
def alone(columns: Columns, room: Room, place: int, now: int) -> None:
    """Decide what comes while nobody waits: a single submission and a broadcast fare alike."""
    row = room.rows[place]
    if unwanted(columns, room, row.kind):
        row.state = SUPPRESSED
        say(room, place, SUPPRESS, -1, now)
        return
    what, rule, slot = judge(columns, room, place, now, 0)
    say(room, place, what, rule, slot)
    if what == SEND:
        hand_over(columns, room, place, now)
    elif what == REJECT:
        row.state = REJECTED
        row.rule = rule
    else:
        label = columns.flows[row.flow].label if row.single else columns.kinds[row.kind].label
        wait(room, place, slot, rule, rule * LABELS + label if what == COLLAPSE else -1)
        join(room, place)


# Dispatch -------------------------------------------------------------------------------------


@compiled
def round_of(columns: Columns, room: Room, now: int) -> bool:
    """Decide all that is due, once; whether there was anything."""
    me, count = room.mine[0], 0
    for waiting in range(me.line):
        place = room.line[waiting]
        if room.rows[place].due <= now:
            count = queue(columns, room, place, count)
    if not count:
        return False
    freed = False
    for due in range(count):
        if not survives(columns, room, room.batch[due], now):
            freed = True
    for due in range(count):
        if not room.rows[room.batch[due]].handled:
            freed |= settle(columns, room, room.batch[due], now)
    clear(room)
    if freed:
        for waiting in range(me.line):
            row = room.rows[room.line[waiting]]
            if row.held:
                row.due = now
    return True


@compiled
def queue(columns: Columns, room: Room, place: int, count: int) -> int:
    """Put a row behind those of its priority or a higher one; gives how many there are now."""
    priority, hole = columns.kinds[room.rows[place].kind].priority, count
    while hole and columns.kinds[room.rows[room.batch[hole - 1]].kind].priority < priority:
        room.batch[hole] = room.batch[hole - 1]
        hole -= 1
    room.batch[hole] = place
    return count + 1


@compiled
def survives(columns: Columns, room: Room, place: int, now: int) -> bool:
    """End a row that needs no rule to be ended; whether it is still to be decided."""
    row = room.rows[place]
    if now >= row.expires:
        end(room, place, EXPIRED, row.rule)
        return False
    if unwanted(columns, room, row.kind):
        if not row.decided:
            say(room, place, SUPPRESS, -1, now)
        end(room, place, SUPPRESSED, -1)
        return False
    return True


@compiled
def end(room: Room, place: int, state: int, rule: int) -> None:
    """A row is through."""
    row = room.rows[place]
    row.state = state
    row.rule = rule
    row.handled = 1
    row.present = 0


@compiled
def settle(columns: Columns, room: Room, place: int, now: int) -> bool:
    """Send a row, or find out how long it waits; whether one ended over it."""
    row, ahead = room.rows[place], 0
    fresh = not row.decided
    if fresh:
        row.present = 0
        ahead = plan(columns, room, place, now, PROMISED)
    what, rule, slot = judge(columns, room, place, now, ahead)
    if what == SEND:
        if fresh:
            say(room, place, what, rule, slot)
        row.present = 0
        row.handled = 1
        hand_over(columns, room, place, now)
        return False
    if what == REJECT and fresh:
        say(room, place, what, rule, slot)
        end(room, place, REJECTED, rule)
        return True
    if not fresh:
        # The slot must lie behind those that are planned already.
        row.present = 0
        what, rule, slot = judge(columns, room, place, now, plan(columns, room, place, now, NONE))
    else:
        say(room, place, what, rule, slot)
    if what == COLLAPSE:
        return collapse(columns, room, place, slot, rule)
    wait(room, place, max(now, slot), rule, -1)
    return False


@compiled
def collapse(columns: Columns, room: Room, place: int, slot: int, rule: int) -> bool:
    """The newest of a group waits; whether one was superseded."""
    row = room.rows[place]
    group = row.group
    if group < 0 or group // LABELS != rule:
        group = rule * LABELS + columns.kinds[row.kind].label
    for waiting in range(room.mine[0].line):
        other = room.line[waiting]
        if other > place and alike(columns, room, place, group, other):
            end(room, place, COLLAPSED, rule)
            return True
    found = False
    for waiting in range(room.mine[0].line):
        other = room.line[waiting]
        if alike(columns, room, place, group, other):
            end(room, other, COLLAPSED, rule)
            found = True
    wait(room, place, slot, rule, group)
    return found
