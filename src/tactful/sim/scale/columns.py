"""A scenario as arrays: rows of records, which compiled code reads one after the other.

Instants are milliseconds since 1970, as everywhere. A number of -1 stands for "none".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from tactful.sim.scale.compiled import compiled, lent

Records: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array of records with the fields of one of the types below."""

Record: TypeAlias = Any
"""One of them: fields by name, read and written in place."""

Numbers: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array of numbers of one type."""

BROADCAST: Final = 0
STREAM: Final = 1

FLOW: Final = np.dtype(
    [
        ("mode", "i4"),
        ("kind", "i4"),
        ("segment", "i4"),
        ("everyone", "i4"),  # a broadcast to all, which is decided when it is due
        ("label", "i4"),  # what its collapse group is called
        ("cast", "i4"),  # the place of its first message among all broadcasts to everybody
        ("first", "i8"),  # its instants among those of all broadcasts
        ("last", "i8"),
        ("rate", "f8"),  # the highest rate of bursts for one person, in events per ms
        ("burst", "f8"),
        ("within", "i8"),
        ("begins", "f8"),
        ("ends", "f8"),
        ("weights", "i8"),  # where its hours begin, for zone 0
        ("lifetime", "i8"),
    ]
)
"""One stream of traffic."""

SEGMENT: Final = np.dtype([("until", "f8"), ("zone", "i4"), ("open", "f8")])
"""A part of the population: who draws less than `until` and belongs to none before it."""

KIND: Final = np.dtype(
    [
        ("bounds", "i4"),  # the places of its bounds and spans
        ("bounds_end", "i4"),
        ("spans", "i4"),
        ("spans_end", "i4"),
        ("priority", "i4"),
        ("type", "i4"),
        ("category", "i4"),
        ("channel", "i4"),
        ("label", "i4"),  # the name of its type as a collapse group
        ("mandatory", "i4"),
        ("loss", "f8"),
    ]
)
"""A kind of delivery, as `core.model.Kind`, with the chance that its channel loses it."""

CHECK: Final = np.dtype(
    [
        ("rule", "i4"),
        ("on_limit", "i4"),
        ("count", "i8"),
        ("window", "i8"),
        ("reach", "i8"),
        ("table", "i4"),  # calendar windows, or the hours of a span; -1 for a rolling limit
        ("quiet", "i4"),
    ]
)
"""A bound or a span, as `core.checks.Bound` and `core.checks.Span`."""

WORLD: Final = np.dtype(
    [
        ("seed", "u8"),
        ("start", "i8"),
        ("last", "i8"),
        ("never", "f8"),
        ("always", "f8"),
        ("click", "f8"),
        ("unsubscribe", "f8"),
        ("tired_window", "i8"),
        ("tired_opens", "f8"),
        ("tired_unsubscribes", "f8"),
        ("delay_median", "f8"),
        ("delay_sigma", "f8"),
        ("quarters", "i8"),  # quarters of an hour in each row of weights, from this one on
        ("quarter", "i8"),
        ("bin", "i8"),
    ]
)
"""What holds for everybody; an array of one."""

LABELS: Final = 1 << 20
"""More than there are labels: a collapse group is its rule times this plus its label."""


class Columns(NamedTuple):
    """A scenario that scale mode covers.

    `counted[bound, kind]` says whether a bound counts attempts of a kind; `muted[segment, kind]`
    and `wished[segment, category]` what a segment does not want. `edges` are the tables of all
    zones one after the other: of calendar windows their beginnings, of hours their beginnings and
    ends in turn. `places[zone, table]` is where a table begins, and where it ends. `casts` are the
    instants of broadcasts, `weights` how likely an arrival is kept in each quarter of an hour,
    `delay_edges` up to where each of the bins goes in which delays are counted.
    """

    world: Records
    flows: Records
    segments: Records
    kinds: Records
    bounds: Records
    spans: Records
    counted: Numbers
    muted: Numbers
    wished: Numbers
    edges: Numbers
    places: Numbers
    casts: Numbers
    weights: Numbers
    delay_edges: Numbers


@compiled
def lent_columns(columns: Columns) -> Columns:
    """The same arrays, lent (`compiled.lent`)."""
    return Columns(
        lent(columns.world),
        lent(columns.flows),
        lent(columns.segments),
        lent(columns.kinds),
        lent(columns.bounds),
        lent(columns.spans),
        lent(columns.counted),
        lent(columns.muted),
        lent(columns.wished),
        lent(columns.edges),
        lent(columns.places),
        lent(columns.casts),
        lent(columns.weights),
        lent(columns.delay_edges),
    )
