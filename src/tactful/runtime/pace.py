"""What a worker takes on in one round: how much, and of what.

A round has a price of its own: some thirty statements, four commits. So many deliveries in one
transaction cost least for each. But whoever comes in meanwhile waits until the round is over, and
then for all that is decided together with them. Both cannot be had at once: rounds are large, and
small for some seconds once something came in that was more urgent than the rest.

Where workers are processes of their own, one of them can be kept free for what is critical (its
share is `urgent`, that of the others `rest`). It is idle most of the time, so that what is critical
meets no round at all; and nothing critical is lost to it: what it has not taken after a quarter of
a second belongs to all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from tactful.core.model import SECOND, Millis, Priority
from tactful.engine.settings import Settings
from tactful.ports import EVERYTHING, Ages

Share: TypeAlias = Literal["all", "urgent", "rest"]
"""What of the queue is a worker's: all of it, what is critical, or what that one leaves."""

URGENT_MS: Final = 5 * SECOND
"""What is urgent seldom comes alone: rounds stay small for so long after it."""

LEFT_MS: Final = 250
"""So long the others leave what is critical to the worker that is there for it."""

BESIDE: Final = 250
"""So many people of an audience at most are reached between two rounds."""

SHARES: Final[Mapping[Share, Ages]] = {
    "all": EVERYTHING,
    "urgent": {Priority.CRITICAL: 0},
    "rest": {**EVERYTHING, Priority.CRITICAL: LEFT_MS},
}


class Pace:
    """How many deliveries to decide at once: `calm` of them, or `urgent` of them."""

    def __init__(self, calm: int, urgent: int) -> None:
        self._calm = calm
        self._urgent = min(urgent, calm)
        self._until: Millis = 0
        self._flooded_until: Millis = 0

    def together(self, now: Millis) -> int:
        """How many at `now`, on the clock that nobody sets."""
        return self._urgent if now < self._until else self._calm

    def beside(self, now: Millis) -> int:
        """How many people of an audience to reach at `now`, before the next round."""
        return min(BESIDE, 2 * self.together(now))

    def heard(self, now: Millis) -> None:
        """Somebody said at `now` that something critical came in; here it may be seen later."""
        if now >= self._flooded_until:
            self._until = now + URGENT_MS

    def met(self, priorities: Iterable[int], now: Millis) -> None:
        """What was claimed at `now`: were some ahead of the rest?

        Only a few are: where most of a round is urgent, larger ones are what helps it.
        """
        counts = Counter(priorities)
        critical = counts[Priority.CRITICAL]
        if critical >= self._urgent and 2 * critical > counts.total():
            self._until, self._flooded_until = now, now + URGENT_MS
        elif len(counts) > 1 and 2 * counts[max(counts)] <= counts.total():
            self._until = now + URGENT_MS


def pace_of(settings: Settings, share: Share) -> Pace:
    """The pace of a worker with this share.

    Whoever leaves what is critical to another one competes with it for the processor and the store
    only: half a round is small enough.
    """
    small = settings.batch // 2 if share == "rest" else 1
    return Pace(settings.batch, max(settings.urgent_batch, small))
