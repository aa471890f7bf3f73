"""Clocks: the only place where the time is read.

The wall clock is what people mean by time, but it can be set. `SystemClock` starts from it and then
counts on the kernel's boot-time clock, which nobody can set and which also runs during suspend; it
follows the wall clock again only when the two have drifted apart by more than `STEP_MS`, and then
in one step that the engine's timekeeper sees. So an adjustment of a few seconds neither opens nor
closes a window.
"""

from __future__ import annotations

import threading
import time

from tactful.core.errors import RequestError
from tactful.core.model import Millis

STEP_MS = 5_000


class SystemClock:
    """The machine's time in milliseconds since the epoch."""

    def __init__(self) -> None:
        self._source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self._offset_ms = self._wall() - self._running()

    def now(self) -> Millis:
        """See `ports.Clock.now`."""
        now, wall = self._running() + self._offset_ms, self._wall()
        if abs(wall - now) > STEP_MS:
            self._offset_ms += wall - now
            return wall
        return now

    def _running(self) -> Millis:
        return time.clock_gettime_ns(self._source) // 1_000_000

    @staticmethod
    def _wall() -> Millis:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is moved; for tests and simulations."""

    def __init__(self, now: Millis = 0) -> None:
        self._lock = threading.Lock()
        self._now = now

    def now(self) -> Millis:
        """See `ports.Clock.now`."""
        with self._lock:
            return self._now

    def advance(self, ms: Millis) -> Millis:
        """Move on (or back, with a negative number); gives the new instant."""
        if isinstance(ms, bool) or not isinstance(ms, int):
            raise RequestError("ms", ms, "must be a whole number of milliseconds")
        with self._lock:
            self._now += ms
            return self._now

    def set(self, now: Millis) -> None:
        """Be at an instant."""
        with self._lock:
            self._now = now
