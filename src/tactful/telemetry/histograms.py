"""Counts by size, as Prometheus wants them: cumulative, and never falling."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SHORT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds for what a machine does."""

LONG_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0, 86_400.0)
"""Bounds in seconds for what may have to wait."""

MESSAGES: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0, 250.0)
"""Bounds for what one person gets."""


class Histogram:
    """How many values there were up to each bound; whoever shares it holds a lock."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def copy(self) -> Histogram:
        """The same counts, which stay as they are now."""
        found = Histogram(self._bounds)
        found._counts, found._sum = [*self._counts], self._sum
        return found

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """`(le, how many up to it)`, the last of them all."""
        found, total = [], 0
        for bound, count in zip(self._bounds, self._counts, strict=False):
            total += count
            found.append((repr(bound), float(total)))
        return [*found, ("+Inf", float(total + self._counts[-1]))]

    @property
    def sum(self) -> float:
        """All values together."""
        return self._sum
