"""The API's own limit: so many requests a second for each key, with a burst.

It protects the service and no recipient, so it fails open: it is kept in the memory of this process
alone, and a new process knows of nothing. The algorithm is that of `core.throughput`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from tactful.core.model import SECOND, Millis
from tactful.core.throughput import Cell, conform
from tactful.runtime.clock import running

KEYS_MAX: Final = 10_000


class Allowance(NamedTuple):
    """What a key may still do: `remaining` requests at once, and all of the quota in `full_ms`.

    `retry_ms` is how long to wait, 0 for a request that was let through.
    """

    quota: int
    window_ms: Millis
    remaining: int
    full_ms: Millis
    retry_ms: Millis

    def headers(self) -> dict[str, str]:
        """As the header fields of draft-ietf-httpapi-ratelimit-headers; spans in whole seconds."""
        window_s, full_s = -(-self.window_ms // SECOND), -(-self.full_ms // SECOND)
        found = {
            "RateLimit-Policy": f'"key";q={self.quota};w={window_s}',
            "RateLimit": f'"key";r={self.remaining};t={full_s}',
        }
        if self.retry_ms:
            found["Retry-After"] = str(-(-self.retry_ms // SECOND))
        return found


class Throttle:
    """Counts requests by the name of their key; `clock` gives milliseconds that only run."""

    def __init__(self, rate: int, burst: int, clock: Callable[[], Millis] = running) -> None:
        self._cell = Cell.of(rate, SECOND, burst)
        self._burst = burst
        self._window_ms = -(-burst * SECOND // rate)
        self._clock = clock
        self._lock = threading.Lock()
        self._tats: dict[str, int] = {}

    def take(self, name: str) -> Allowance:
        """One request more; `retry_ms` of the answer says whether it may go on."""
        with self._lock:
            now = self._clock()
            tat = max(self._tats.get(name, 0), now * 1000)
            new, at = conform(self._cell, tat, now)
            if new is not None:
                if len(self._tats) >= KEYS_MAX:
                    self._tats = {one: t for one, t in self._tats.items() if t > now * 1000}
                self._tats[name] = tat = new
            used_us = tat - now * 1000
        room_us = self._cell.tolerance_us + self._cell.period_us - used_us
        remaining = min(self._burst, max(0, room_us // self._cell.period_us))
        return Allowance(self._burst, self._window_ms, remaining, -(-used_us // 1000), at - now)
