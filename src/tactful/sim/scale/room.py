"""Room for one person's life: arrays that are filled anew for each, and grow when one needs more.

A *row* is a delivery. Rows are numbered in the order in which the engine would make them, so a
smaller number is an older delivery. `line` holds those that wait, by number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tactful.sim.scale.columns import Columns, Numbers, Records
from tactful.sim.scale.compiled import compiled, lent
from tactful.sim.scale.limits import EVENT

WAITING: Final = 0
"""States of a row."""
RECEIVED: Final = 1
LOST: Final = 2
COLLAPSED: Final = 3
REJECTED: Final = 4
SUPPRESSED: Final = 5
EXPIRED: Final = 6

ROW: Final = np.dtype(
    [
        ("order", "i8"),  # by which rows are sorted: instant, single or broadcast, stream
        ("at", "i8"),
        ("due", "i8"),
        ("expires", "i8"),
        ("sent", "i8"),
        ("opened", "i8"),
        ("group", "i8"),  # the collapse group it waits in
        ("number", "i8"),  # its number within its stream
        ("said_slot", "i8"),  # what was decided about it first
        ("said", "i4"),
        ("said_rule", "i4"),
        ("kind", "i4"),
        ("flow", "i4"),
        ("cast", "i4"),  # the broadcast it belongs to
        ("state", "i4"),
        ("rule", "i4"),
        ("clicked", "i4"),
        ("single", "i4"),  # decided at its submission, and not when it is due
        ("decided", "i4"),
        ("promised", "i4"),
        ("held", "i4"),
        ("present", "i4"),  # seen by others in this round
        ("handled", "i4"),  # sent or ended in this round
    ]
)

FACT: Final = np.dtype([("at", "i8"), ("kind", "i4")])
"""Somebody unsubscribes from the category of a message of this kind."""

SELF: Final = np.dtype(
    [
        ("person", "i8"),
        ("segment", "i4"),
        ("zone", "i4"),
        ("open", "f8"),
        ("rows", "i8"),  # how many of each there are
        ("line", "i8"),
        ("known", "i8"),
        ("facts", "i8"),
        ("got", "i8"),
        ("got_from", "i8"),  # what was received before counts no more for fatigue
        ("ended", "i8"),
        ("trouble", "i4"),
    ]
)

OK: Final = 0
"""Trouble: none,"""
CROWDED: Final = 1
"""the room is too small,"""
TABLES: Final = 2
"""tables of calendars are too short,"""
LONG_LINE: Final = 3
"""more wait than are covered."""

LINE_MAX: Final = 256
"""The engine plans behind a longer line without knowing all of it, which is not covered."""


class Room(NamedTuple):
    """See the module; `mine` is an array of one, `unsubscribed` says which categories are no longer
    wanted, `mutes` which types led to that."""

    mine: Records
    rows: Records
    line: Numbers
    batch: Numbers
    history: Records
    planned: Records
    instants: Numbers
    facts: Records
    got: Numbers
    unsubscribed: Numbers
    mutes: Numbers


def room_for(columns: Columns, deliveries: int) -> Room:
    """Room for somebody who gets so many deliveries."""
    return Room(
        np.zeros(1, dtype=SELF),
        np.zeros(deliveries, dtype=ROW),
        np.zeros(LINE_MAX + 1, dtype=np.int64),
        np.zeros(LINE_MAX + 1, dtype=np.int64),
        np.zeros(deliveries, dtype=EVENT),
        np.zeros(LINE_MAX + 1, dtype=EVENT),
        np.zeros(deliveries + LINE_MAX + 1, dtype=np.int64),
        np.zeros(deliveries, dtype=FACT),
        np.zeros(deliveries, dtype=np.int64),
        np.zeros(columns.wished.shape[1], dtype=np.uint8),
        np.zeros(len(columns.kinds), dtype=np.int64),
    )


@compiled
def lent_room(room: Room) -> Room:
    """The same arrays, lent (`compiled.lent`)."""
    return Room(
        lent(room.mine),
        lent(room.rows),
        lent(room.line),
        lent(room.batch),
        lent(room.history),
        lent(room.planned),
        lent(room.instants),
        lent(room.facts),
        lent(room.got),
        lent(room.unsubscribed),
        lent(room.mutes),
    )
