"""What one person is sent, in the order in which the engine takes it in.

Streams are Poisson processes made by thinning, as in `sim.traffic`, one for each person: a process
for all of which each arrival belongs to a person drawn evenly is just that (Kingman, Poisson
Processes, chapter 5). At one instant single submissions come first, in the order of the streams;
then broadcasts to everybody, the most urgent first.
"""

from __future__ import annotations

import math

import numpy as np

from tactful.sim.scale.calendar import QUARTER as _QUARTER
from tactful.sim.scale.columns import BROADCAST, Columns
from tactful.sim.scale.compiled import compiled
from tactful.sim.scale.philox import ARRIVAL, WITHIN, fine, part, words
from tactful.sim.scale.room import CROWDED, Room

QUARTER = _QUARTER
FLOW_BITS = 13
"""There are at most so many streams of traffic, by powers of two."""
BURST_MAX = 10_000


@compiled
def arrive(columns: Columns, room: Room) -> None:
    """Fill in the person's rows; in trouble if there is no room for them."""
    me = room.mine[0]
    me.rows = 0
    for flow in range(len(columns.flows)):
        wanted = columns.flows[flow].segment
        if wanted < 0 or wanted == me.segment:
            if columns.flows[flow].mode == BROADCAST:
                broadcasts(columns, room, flow)
            else:
                stream(columns, room, flow)
    sort(room)


@compiled
def broadcasts(columns: Columns, room: Room, flow: int) -> None:
    """The messages of a stream of broadcasts."""
    spec = columns.flows[flow]
    for place in range(spec.first, spec.last):
        add(columns, room, flow, columns.casts[place], place - spec.first + 1)


@compiled
def stream(columns: Columns, room: Room, flow: int) -> None:
    """The messages that one person gets of a Poisson process."""
    spec, world, me = columns.flows[flow], columns.world[0], room.mine[0]
    if spec.rate <= 0.0:
        return
    flat = spec.weights < 0
    hours = spec.weights + me.zone * world.quarters - world.quarter
    at, candidate, number = spec.begins, 0, 0
    while True:
        candidate += 1
        one, two, three, four = words(world.seed, me.person, ARRIVAL, candidate, flow)
        at += -math.log1p(-fine(one, two)) / spec.rate
        if at >= spec.ends:
            return
        now = world.start + int(at)
        if not flat and part(three) >= columns.weights[hours + now // QUARTER]:
            continue
        for copy in range(size_of_burst(spec.burst, part(four))):
            number += 1
            later = 0
            if copy and spec.within:
                one, two, three, four = words(world.seed, me.person, WITHIN, number, flow)
                later = int(fine(one, two) * spec.within)
            add(columns, room, flow, now + later, number)


@compiled
def size_of_burst(mean: float, draw: float) -> int:
    """How many come together: geometric from 1, with that mean."""
    if mean <= 1.0:
        return 1
    size, tail, chance = 1, 1.0 - 1.0 / mean, 1.0 - 1.0 / mean
    while draw < tail and size < BURST_MAX:
        size += 1
        tail *= chance
    return size


@compiled
def add(columns: Columns, room: Room, flow: int, at: int, number: int) -> None:
    """One more row, in its initial state."""
    me = room.mine[0]
    if me.rows == len(room.rows):
        me.trouble = CROWDED
        return
    row, spec = room.rows[me.rows], columns.flows[flow]
    row.order = (at - columns.world[0].start) << (FLOW_BITS + 3) | flow
    if spec.everyone:
        row.order |= (7 - columns.kinds[spec.kind].priority) << FLOW_BITS
    row.at = at
    row.due = at
    row.expires = at + spec.lifetime
    row.sent = -1
    row.opened = -1
    row.group = -1
    row.number = number
    row.kind = spec.kind
    row.flow = flow
    row.cast = spec.cast + number - 1 if spec.everyone else -1
    row.state = 0
    row.rule = -1
    row.clicked = 0
    row.single = 0 if spec.everyone else 1
    row.decided = row.single
    row.promised = 0
    row.held = 0
    me.rows += 1


@compiled
def sort(room: Room) -> None:
    """Rows by their order; those of one stream stay as they are where they are equal.

    Each stream is in order already, but for its bursts: insertion moves little.
    """
    rows = room.rows
    spare = np.empty(1, dtype=rows.dtype)
    for place in range(1, room.mine[0].rows):
        if rows[place - 1].order <= rows[place].order:
            continue
        spare[0] = rows[place]
        hole = place
        while hole > 0 and rows[hole - 1].order > spare[0].order:
            rows[hole] = rows[hole - 1]
            hole -= 1
        rows[hole] = spare[0]
