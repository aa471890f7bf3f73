"""How much goes out: samples of a number that only grows, taken while somebody looks."""

from __future__ import annotations

import threading
from collections import deque
from itertools import pairwise
from typing import Final

from tactful.core.model import MINUTE, SECOND, Millis

KEPT: Final = 60


class Pulse:
    """The samples, at most one a second; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: deque[tuple[Millis, int]] = deque(maxlen=KEPT)

    def note(self, now: Millis, total: int) -> None:
        """So many there are now."""
        with self._lock:
            if not self._samples or now - self._samples[-1][0] >= SECOND:
                self._samples.append((now, total))

    def rates(self) -> list[float]:
        """How many a minute between each two samples, oldest first."""
        with self._lock:
            samples = list(self._samples)
        return [
            max(0, b - a) * MINUTE / (later - earlier)
            for (earlier, a), (later, b) in pairwise(samples)
        ]

    def last_minute(self) -> int | None:
        """How many came within the last minute of what was seen; None before a second sample."""
        with self._lock:
            if len(self._samples) < 2:
                return None
            now, total = self._samples[-1]
            first = next(count for at, count in self._samples if now - at <= MINUTE)
        return max(0, total - first)
