"""What comes of people, added up while they are led through the scenario.

All sums are whole numbers, so it makes no difference who is added first, or by which thread.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tactful.core.model import DAY as _DAY
from tactful.sim.scale.columns import Columns, Numbers, Record, Records
from tactful.sim.scale.compiled import compiled, lent
from tactful.sim.scale.limits import after
from tactful.sim.scale.room import COLLAPSED, RECEIVED, Room

DAY: Final = _DAY
SUBMITTED: Final = 0
"""Places of counts: those of the states follow, where a row of each state belongs."""
STATES: Final = 1
OPENED_AT: Final = 8
"""The place of what was opened in `volume`, which has the places above, too."""
DEFERRED: Final = 8
OPENED: Final = 9
CLICKED: Final = 10
UNSUBSCRIBED: Final = 11
COUNTS: Final = 12

EXACT: Final = 1024
"""Delays below so many milliseconds have a bin each; above, a power of two has half as many."""
DELAY_BINS: Final = EXACT + 53 * EXACT // 2
WORST: Final = 5
OFTEN: Final = 1 << 16
"""Counts of one person's messages go up to here; what is above is counted here."""

HIT: Final = np.dtype([("most", "i8"), ("longest", "i8"), ("person", "i8")])


class Sums(NamedTuple):
    """Counts by type, by broadcast and by rule, and distributions.

    `delays[type]` counts by bins of `delay_bin`, `longest[type]` is the longest delay, `steps`
    counts by `delay_edges`, `volume` what was submitted, what became of it and what was opened by
    time, `per_day[n]` the days on which somebody got
    n messages, `received[n]` the people who received n, `opened[n]` what those have opened.
    """

    stamp: Numbers
    types: Numbers
    casts: Numbers
    rules: Numbers
    delays: Numbers
    longest: Numbers
    steps: Numbers
    volume: Numbers
    per_day: Numbers
    received: Numbers
    opened: Numbers
    ended: Numbers
    worst: Records


def sums_for(columns: Columns, types: int, casts: int, rules: int, bins: int) -> Sums:
    """Nothing added up yet, for so many types, broadcasts, rules and bins of time."""
    worst = np.zeros(WORST, dtype=HIT)
    worst["person"] = -1
    return Sums(
        np.zeros(1, dtype=np.int64),
        np.zeros((types, COUNTS), dtype=np.int64),
        np.zeros((casts, COUNTS), dtype=np.int64),
        np.zeros(rules, dtype=np.int64),
        np.zeros((types, DELAY_BINS), dtype=np.int64),
        np.zeros(types, dtype=np.int64),
        np.zeros(len(columns.delay_edges), dtype=np.int64),
        np.zeros((1 + OPENED_AT, bins), dtype=np.int64),
        np.zeros(OFTEN + 1, dtype=np.int64),
        np.zeros(OFTEN + 1, dtype=np.int64),
        np.zeros(OFTEN + 1, dtype=np.int64),
        np.full(1, columns.world[0]["start"], dtype=np.int64),
        worst,
    )


@compiled
def lent_sums(sums: Sums) -> Sums:
    """The same arrays, lent (`compiled.lent`)."""
    return Sums(
        lent(sums.stamp),
        lent(sums.types),
        lent(sums.casts),
        lent(sums.rules),
        lent(sums.delays),
        lent(sums.longest),
        lent(sums.steps),
        lent(sums.volume),
        lent(sums.per_day),
        lent(sums.received),
        lent(sums.opened),
        lent(sums.ended),
        lent(sums.worst),
    )


def together(parts: list[Sums]) -> Sums:
    """The sums of all."""
    first = parts[0]
    added = [np.sum([part[place] for part in parts], axis=0) for place in range(len(first) - 1)]
    worst = np.concatenate([part.worst for part in parts])
    worst = worst[worst["person"] >= 0]
    order = np.lexsort((worst["person"], -worst["longest"], -worst["most"]))
    whole = Sums._make([*added, worst[order][:WORST]])
    most = [
        np.max([getattr(part, name) for part in parts], axis=0) for name in ("longest", "ended")
    ]
    return whole._replace(longest=most[0], ended=most[1])


@compiled
def delay_bin(delay: int) -> int:
    """The bin of a delay: exact below `EXACT`, else with as many bits as `EXACT` has."""
    if delay < EXACT:
        return delay
    shift = math.frexp(float(delay))[1] - 10
    return EXACT + (shift - 1) * (EXACT // 2) + (delay >> shift) - EXACT // 2


def longest_of(place: int) -> int:
    """The longest delay that falls into a bin."""
    if place < EXACT:
        return place
    shift, rest = divmod(place - EXACT, EXACT // 2)
    return ((rest + EXACT // 2 + 1) << (shift + 1)) - 1


@compiled
def add_up(columns: Columns, room: Room, sums: Sums) -> None:
    """Add one person, whose life is over."""
    me, world = room.mine[0], columns.world[0]
    received, opened, longest = 0, 0, 0
    for place in range(me.rows):
        row = room.rows[place]
        if row.at > world.last:
            continue
        type_ = columns.kinds[row.kind].type
        count(room, place, sums.types[type_])
        if row.cast >= 0:
            count(room, place, sums.casts[row.cast])
        if row.rule >= 0:
            sums.rules[row.rule] += 1
        then = row.at if row.sent < 0 else row.sent
        sums.volume[SUBMITTED, (row.at - world.start) // world.bin] += 1
        sums.volume[STATES + row.state, (then - world.start) // world.bin] += 1
        if row.sent >= 0:
            delay = row.sent - row.at
            longest = max(longest, delay)
            sums.delays[type_, delay_bin(delay)] += 1
            sums.longest[type_] = max(sums.longest[type_], delay)
            step = after(columns.delay_edges, 0, len(sums.steps), delay - 1)
            sums.steps[min(step, len(sums.steps) - 1)] += 1
        if row.opened >= 0:
            sums.volume[OPENED_AT, (row.opened - world.start) // world.bin] += 1
            opened += 1
        received += row.state == RECEIVED
    for type_ in range(len(sums.types)):
        sums.types[type_, UNSUBSCRIBED] += room.mutes[type_]
    sums.received[min(OFTEN, received)] += 1
    sums.opened[min(OFTEN, received)] += opened
    sums.ended[0] = max(sums.ended[0], me.ended)
    rank(sums.worst, days_of(columns, room, sums), longest, me.person)


@compiled
def count(room: Room, place: int, counts: Numbers) -> None:
    """One row in the counts of its type, or of its broadcast."""
    row = room.rows[place]
    counts[SUBMITTED] += 1
    counts[STATES + row.state] += 1
    counts[DEFERRED] += row.rule >= 0 and row.state < COLLAPSED
    counts[OPENED] += row.opened >= 0
    counts[CLICKED] += row.clicked


@compiled
def days_of(columns: Columns, room: Room, sums: Sums) -> int:
    """Count a person's messages by day since the start; gives the most there were on one."""
    me, start = room.mine[0], columns.world[0].start
    most, today, here = 0, -1, 0
    for entry in range(me.known):
        day = (room.history[entry].at - start) // DAY
        if day != today:
            sums.per_day[min(OFTEN, here)] += here > 0
            today, here = day, 0
        here += 1
        most = max(most, here)
    sums.per_day[min(OFTEN, here)] += here > 0
    return most


@compiled
def rank(worst: Records, most: int, longest: int, person: int) -> None:
    """Keep the people with the most messages in a day, of those who waited longest."""
    if most == 0:
        return
    place = WORST
    while place > 0 and ahead(worst[place - 1], most, longest, person):
        place -= 1
    if place == WORST:
        return
    for lower in range(WORST - 1, place, -1):
        worst[lower] = worst[lower - 1]
    worst[place].most = most
    worst[place].longest = longest
    worst[place].person = person


@compiled
def ahead(other: Record, most: int, longest: int, person: int) -> bool:
    """Whether somebody was hit worse than the holder of a place."""
    if other.person < 0 or most != other.most:
        return bool(other.person < 0 or most > other.most)
    if longest != other.longest:
        return bool(longest > other.longest)
    return bool(person < other.person)
