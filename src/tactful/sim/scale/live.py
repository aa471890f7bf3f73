"""One person after the other is led through the scenario, from instant to instant.

What happens next is a submission, a delivery that is due, or an unsubscription. At one instant
the order is that of `sim.run`: single submissions are admitted, then what people did is told, then
broadcasts are reached and what is due is dispatched until nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tactful.sim.scale.arrive import arrive
from tactful.sim.scale.behave import be_born
from tactful.sim.scale.columns import Columns, lent_columns
from tactful.sim.scale.compiled import compiled, kept
from tactful.sim.scale.limits import NEVER
from tactful.sim.scale.room import OK, Room, lent_room
from tactful.sim.scale.sums import Sums, add_up, lent_sums
from tactful.sim.scale.turns import admit, alone, join, round_of


def _entry(stamp: int) -> Callable[[Columns, Room, Sums, int, int], int]:
    """The entry, which holds the stamp: what is kept on disk is found by what it holds."""

    def live_all(owned: Columns, room_owned: Room, sums_owned: Sums, first: int, end: int) -> int:
        columns, room = lent_columns(owned), lent_room(room_owned)
        sums = lent_sums(sums_owned)
        sums.stamp[0] = stamp
        for person in range(first, end):
            be_born(columns, room, person)
            arrive(columns, room)
            if room.mine[0].trouble == OK:
                live(columns, room)
            if room.mine[0].trouble != OK:
                return person
            add_up(columns, room, sums)
        return end

    return live_all


@compiled
def live(columns: Columns, room: Room) -> None:
    """Lead one person, whose rows are filled in, through the scenario."""
    me, rows = room.mine[0], room.rows
    coming, last = 0, columns.world[0].last
    while me.trouble == OK:
        now = rows[coming].at if coming < me.rows else NEVER
        if not me.line and not me.facts:
            if now > last:
                break
            if coming + 1 == me.rows or rows[coming + 1].at > now:
                me.ended = max(me.ended, now)
                alone(columns, room, coming, now)
                coming += 1
                continue
        now = min(now, next_due(room))
        if now > last:
            break
        me.ended = max(me.ended, now)
        coming = turn(columns, room, coming, now)


@compiled
def next_due(room: Room) -> int:
    """When a delivery is due, or somebody unsubscribes, next."""
    at = NEVER
    for waiting in range(room.mine[0].line):
        at = min(at, room.rows[room.line[waiting]].due)
    for fact in range(room.mine[0].facts):
        at = min(at, room.facts[fact].at)
    return at


@compiled
def turn(columns: Columns, room: Room, coming: int, now: int) -> int:
    """All that happens at one instant; gives which row comes next."""
    me, rows = room.mine[0], room.rows
    while coming < me.rows and rows[coming].at == now and rows[coming].single:
        admit(columns, room, coming, now)
        coming += 1
    tell(columns, room, now)
    busy = True
    while busy and me.trouble == OK:
        reached = coming < me.rows and rows[coming].at == now and not rows[coming].single
        if reached:
            join(room, coming)
            coming += 1
        busy = round_of(columns, room, now) or reached
    return coming


@compiled
def tell(columns: Columns, room: Room, now: int) -> None:
    """Who has unsubscribed gets no more of that category, unless its type is mandatory."""
    me, kept_facts = room.mine[0], 0
    for place in range(me.facts):
        fact = room.facts[place]
        if fact.at > now:
            room.facts[kept_facts] = fact
            kept_facts += 1
            continue
        category = columns.kinds[fact.kind].category
        if not room.unsubscribed[category] and not columns.wished[me.segment, category]:
            room.unsubscribed[category] = 1
            room.mutes[columns.kinds[fact.kind].type] += 1
    me.facts = kept_facts


live_all: Final = kept(_entry)
"""Lead the people from one up to another through the scenario, and add them up.

Gives the other, or whom there was trouble with: nothing of theirs has been added up.
"""
