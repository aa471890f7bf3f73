"""What becomes of a copy that was handed over, and what its reader does: `sim.world`, compiled."""

from __future__ import annotations

import math

from tactful.sim.scale.columns import Columns, Records
from tactful.sim.scale.compiled import compiled
from tactful.sim.scale.philox import COPY, DELAY, WHO, normals, part, words
from tactful.sim.scale.room import LOST, RECEIVED, Room


@compiled
def be_born(columns: Columns, room: Room, person: int) -> None:
    """Who somebody is: segment, zone and habit."""
    me, world = room.mine[0], columns.world[0]
    me.person = person
    who, habit, _, _ = words(world.seed, person, WHO, 0, 0)
    me.segment = segment_of(columns.segments, part(who))
    me.zone = columns.segments[me.segment].zone
    me.open = columns.segments[me.segment].open
    if part(habit) < world.never:
        me.open = 0.0
    elif part(habit) < world.never + world.always:
        me.open = 1.0
    me.line = 0
    me.known = 0
    me.facts = 0
    me.got = 0
    me.got_from = 0
    me.ended = world.start
    me.trouble = 0
    room.unsubscribed[:] = 0
    room.mutes[:] = 0


@compiled
def segment_of(segments: Records, draw: float) -> int:
    """The segment that a draw belongs to."""
    last = len(segments) - 1
    for segment in range(last):
        if draw < segments[segment].until:
            return segment
    return last


@compiled
def hand_over(columns: Columns, room: Room, place: int, now: int) -> None:
    """A row's message goes: it counts from now on, and arrives or is lost."""
    me, row, world = room.mine[0], room.rows[place], columns.world[0]
    row.sent = now
    entry = room.history[me.known]
    entry.at = now
    entry.kind = row.kind
    me.known += 1
    lost, opened, clicked, mutes = words(world.seed, me.person, COPY, row.number, row.flow)
    if part(lost) < columns.kinds[row.kind].loss:
        row.state = LOST
        return
    row.state = RECEIVED
    chance, unwanted = me.open, world.unsubscribe
    if world.tired_opens > 0.0 or world.tired_unsubscribes > 0.0:
        before = lately(room, now, world.tired_window)
        chance *= (1.0 - world.tired_opens) ** before
        unwanted += world.tired_unsubscribes * before
    opens, leaves = part(opened) < chance, part(mutes) < unwanted
    if not opens and not leaves:
        return
    first, second = delays(columns, room, place)
    if now + first > world.last:
        return
    if opens:
        row.opened = now + first
        row.clicked = part(clicked) < world.click and row.opened + second <= world.last
        me.ended = max(me.ended, row.opened + (second if row.clicked else 0))
    if leaves:
        fact = room.facts[me.facts]
        fact.at = now + first
        fact.kind = row.kind
        me.facts += 1


@compiled
def lately(room: Room, now: int, window: int) -> int:
    """How many messages somebody received in the window before this one, which joins them."""
    me = room.mine[0]
    while me.got_from < me.got and room.got[me.got_from] <= now - window:
        me.got_from += 1
    before: int = me.got - me.got_from
    room.got[me.got] = now
    me.got += 1
    return before


@compiled
def delays(columns: Columns, room: Room, place: int) -> tuple[int, int]:
    """How long until a message is opened, and from then until it is clicked."""
    world, row = columns.world[0], room.rows[place]
    if world.delay_median <= 0.0:
        return 0, 0
    one, two, three, _ = words(world.seed, room.mine[0].person, DELAY, row.number, row.flow)
    first, second = normals(one, two, three)
    return (
        int(world.delay_median * math.exp(world.delay_sigma * first) + 0.5),
        int(world.delay_median * math.exp(world.delay_sigma * second) + 0.5),
    )
