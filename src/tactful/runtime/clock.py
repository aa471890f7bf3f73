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
from collections.abc import Callable

from tactful.core.errors import RequestError, Unavailable
from tactful.core.model import Millis

STEP_MS = 5_000
LOOK_MS = 10_000
SLOW_MS = 100
_RUNNING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def running() -> Millis:
    """Milliseconds on the boot-time clock: for spans, also across a suspend; never set."""
    return time.clock_gettime_ns(_RUNNING) // 1_000_000


def seconds() -> float:
    """Seconds on a clock that only runs, for spans of less than a millisecond."""
    return time.perf_counter()


class SystemClock:
    """The machine's time in milliseconds since the epoch."""

    def __init__(self) -> None:
        self._offset_ms = self._wall() - running()

    def now(self) -> Millis:
        """See `ports.Clock.now`."""
        now, wall = running() + self._offset_ms, self._wall()
        if abs(wall - now) > STEP_MS:
            self._offset_ms += wall - now
            return wall
        return now

    @staticmethod
    def _wall() -> Millis:
        return time.time_ns() // 1_000_000


class StoreClock:
    """The store's time, for machines that share one: their own clocks have no say.

    The store is asked every `LOOK_MS`; in between the boot-time clock counts on. An answer was true
    at some instant between the question and its arrival: the middle is taken, and one that took
    longer than `SLOW_MS` is not. While the store cannot be asked, the last answer counts on.
    """

    def __init__(self, ask: Callable[[], Millis | None]) -> None:
        self._ask = ask
        self._offset_ms: Millis | None = None
        self._asked_at: Millis = 0
        self._asking = threading.Lock()
        if self._look() is None:
            raise Unavailable("store: its clock cannot be read")

    def now(self) -> Millis:
        """See `ports.Clock.now`."""
        if running() - self._asked_at > LOOK_MS and self._asking.acquire(blocking=False):
            try:
                self._look()
            except Unavailable:
                self._asked_at = running()
            finally:
                self._asking.release()
        assert self._offset_ms is not None
        return running() + self._offset_ms

    def _look(self) -> Millis | None:
        before = running()
        answer = self._ask()
        after = running()
        self._asked_at = after
        if answer is not None and (after - before <= SLOW_MS or self._offset_ms is None):
            self._offset_ms = answer - (before + after) // 2
        return self._offset_ms


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
