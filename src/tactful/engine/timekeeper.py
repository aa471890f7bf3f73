"""The engine's now: never backwards, and right again after a wrong clock.

A clock that steps back by a little (NTP) is held at the youngest attempt until it has caught up. If
it stands more than `TOLERANCE_MS` before an attempt, the clock was wrong then and is right now:
attempts "from the future" would block their recipients until that future comes. They are restamped
to now, which is the latest they can have happened; so a limit holds over the correction, and nobody
is blocked for longer than its window.
"""

from __future__ import annotations

import threading

from tactful.core.model import SECOND, Event, Millis
from tactful.ports import Clock, Tx

TOLERANCE_MS = 5 * SECOND


class Timekeeper:
    """Reads the clock for transactions; safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._high: Millis | None = None

    def glance(self) -> Millis:
        """The instant for questions; changes nothing."""
        return max(self._clock.now(), 0)

    def now(self, tx: Tx) -> Millis:
        """The instant for a transaction, having put the ledger right if the clock was turned."""
        with self._lock:
            now = max(self._clock.now(), 0)
            if self._high is None:
                self._high = tx.latest_attempt() or 0
            if now >= self._high:
                return now
            if self._high - now <= TOLERANCE_MS:
                return self._high
            ahead_ms = self._high - now
            restamped = tx.turn_back(now)
            tx.wake(now)
            facts = {"ahead_ms": ahead_ms, "attempts": restamped}
            tx.add_events([Event("clock.corrected", "", now, data=facts)])
            self._high = now
            return now

    def attempted(self, at: Millis) -> None:
        """An attempt was stamped `at`."""
        with self._lock:
            self._high = max(self._high or 0, at)
