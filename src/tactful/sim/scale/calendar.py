"""Calendar windows and hours as tables, made by the core.

What a calendar day is in a zone whose clock jumps, or when quiet hours end there, only
`core.windows` knows. It is asked once for each zone, unit and span; compiled code looks the edges
up. A table ends somewhere: who looks beyond gets none (`limits`), and a longer one is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

import numpy as np

from tactful.core.model import HOUR, NEVER, SECOND, Millis
from tactful.core.windows import Hours, Unit, calendar_window, hours_begin, hours_end
from tactful.sim.scale.columns import Numbers

QUARTER: Final[Millis] = HOUR // 4


def tabulated(
    tables: Sequence[Unit | Hours], zones: Sequence[tzinfo], start: Millis, until: Millis
) -> tuple[Numbers, Numbers]:
    """The edges of all tables in all zones from `start` to beyond `until`, and their places."""
    edges: list[Millis] = []
    places = np.zeros((len(zones), max(1, len(tables)), 2), dtype=np.int64)
    for row, zone in enumerate(zones):
        for column, table in enumerate(tables):
            places[row, column, 0] = len(edges)
            edges += (
                _windows(table, zone, start, until)
                if isinstance(table, Unit)
                else _spans(table, zone, start, until)
            )
            places[row, column, 1] = len(edges)
    return np.array(edges or [0], dtype=np.int64), places


def _windows(unit: Unit, zone: tzinfo, start: Millis, until: Millis) -> list[Millis]:
    first, end = calendar_window(start, unit, zone)
    edges = [first, end]
    while end <= until:
        end = calendar_window(end, unit, zone)[1]
        edges.append(end)
    return edges


def _spans(hours: Hours, zone: tzinfo, start: Millis, until: Millis) -> list[Millis]:
    edges: list[Millis] = []
    at = start
    while at <= until:
        begin = hours_begin(at, hours, zone)
        end = hours_end(begin, hours, zone)
        assert end is not None, "hours have begun"
        edges += [begin, end]
        at = end
    return edges


def kept_by_quarter(
    hours: Sequence[float],
    days: Sequence[float],
    zone: tzinfo,
    quarters: range,
) -> Numbers:
    """For each quarter of an hour since 1970 the chance that an arrival in it is kept.

    `hours` and `days` are weights; the greatest product of two is a chance of 1.
    """
    # No zone's offset has changed within a quarter of an hour since 1972.
    local = [datetime.fromtimestamp(at * (QUARTER // SECOND), zone) for at in quarters]
    peak = max(hours) * max(days)
    return np.array([hours[one.hour] * days[one.weekday()] / peak for one in local])


def beyond(until: Millis, start: Millis) -> Millis:
    """Until when tables are made the next time."""
    return min(NEVER, start + 2 * (until - start))
