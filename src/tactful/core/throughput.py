"""How much a provider or a domain takes per second, for all recipients together.

The generic cell rate algorithm (ITU-T I.371): the only state is the theoretical arrival time
`tat`, one integer in microseconds. A hand-over at `now` conforms while `tat` is at most
`now + tolerance`; a refused one changes nothing. With `limit="100/s"` and `burst=20`, 20 may go in
one instant and then one every 10 ms.
"""

from __future__ import annotations

from typing import NamedTuple

from tactful.core.model import Millis


class Cell(NamedTuple):
    """One throughput limit: `period_us` between two hand-overs, `tolerance_us` of burst."""

    period_us: int
    tolerance_us: int

    @classmethod
    def of(cls, count: int, window_ms: Millis, burst: int) -> Cell:
        """At most `count` per window in the long run, `burst` (at least 1) at one instant."""
        # Rounded up, so that the long-run rate is never above the limit.
        period_us = -(-window_ms * 1000 // count)
        # Instants are whole milliseconds: less tolerance than that would lose part of the rate.
        return cls(period_us, max(period_us * (burst - 1), 999))


def conform(cell: Cell, tat_us: int, now: Millis) -> tuple[int | None, Millis]:
    """Whether a hand-over may happen at `now`.

    Gives `(new tat, now)` if it may, else `(None, first instant at which it would)`, that instant
    being strictly after `now`.
    """
    now_us = now * 1000
    if tat_us - cell.tolerance_us <= now_us:
        return max(tat_us, now_us) + cell.period_us, now
    return None, -(-(tat_us - cell.tolerance_us) // 1000)


def known(cell: Cell, tat_us: int, latest_us: int) -> int:
    """The `tat` under this limit: never further ahead than this limit could have put it.

    What is further ahead was put there by an earlier, narrower limit of the same rule. `latest_us`
    is the latest instant at which anybody was let pass, or now: by the clock of one who is some
    milliseconds behind, each look would give that much of the rate back.
    """
    return min(tat_us, latest_us + cell.tolerance_us + cell.period_us)


def slot_behind(cell: Cell, tat_us: int, ahead: int, now: Millis) -> Millis:
    """The instant for a hand-over that waits behind `ahead` others, none of them gone yet."""
    start_us = max(tat_us, now * 1000 + cell.tolerance_us) - cell.tolerance_us
    return max(now + 1, -(-(start_us + ahead * cell.period_us) // 1000))
