"""The engine's now: never backwards, and right again after a wrong clock.

The store remembers how late it has been, to about a second, for every engine that works on it. A
clock that steps back by a little (NTP) is held there until it has caught up. If it stands more than
`TOLERANCE_MS` before that, the clock was wrong then and is right now: attempts "from the future"
would block their recipients until that future comes. They are restamped to now, which is the latest
they can have happened; so what is sent from now on keeps every limit, and nobody is blocked for
longer than its window.
"""

from __future__ import annotations

from tactful.core.model import SECOND, Event, Millis, Priority
from tactful.ports import Clock, Tx

TOLERANCE_MS = 5 * SECOND
GRAIN_MS = SECOND
PAGE = 1_000


class Timekeeper:
    """Reads the clock for transactions; safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def glance(self) -> Millis:
        """The instant for questions; changes nothing."""
        return max(self._clock.now(), 0)

    def now(self, tx: Tx) -> Millis:
        """The instant for a transaction, having put the store right if the clock was turned.

        All that is known of earlier instants is in the store, so that it goes with the transaction.
        """
        now = self.glance()
        high = tx.clock()
        if now < high - TOLERANCE_MS:
            restamped = tx.turn_back(now, ahead_ms=high - now)
            _wake_all(tx, now)
            facts = {"ahead_ms": high - now, "attempts": restamped}
            tx.add_events([Event("clock.corrected", "", now, data=facts)])
            tx.set_clock(now)
        elif now >= high + GRAIN_MS:
            tx.set_clock(now)
        else:
            now = max(now, high)
        return now


def _wake_all(tx: Tx, now: Millis) -> None:
    """What rules hold is decided again; its places in the lines at gates moved with the clock."""
    for priority in Priority:
        after = ""
        while people := tx.held(priority, after, PAGE):
            tx.wake(now, people)
            after = people[-1]
