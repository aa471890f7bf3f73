"""How much a worker takes on in one round.

A round has a price of its own: some thirty statements, four commits. So many deliveries in one
transaction cost least for each. But whoever comes in meanwhile waits until the round is over, and
then for all that is decided together with them. Both cannot be had at once: rounds are large, and
small for some seconds once something came in that was more urgent than the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from tactful.core.model import SECOND, Millis

URGENT_MS: Final = 5 * SECOND
"""What is urgent seldom comes alone: rounds stay small for so long after it."""

BESIDE: Final = 250
"""So many people of an audience at most are reached between two rounds."""


class Pace:
    """How many deliveries to decide at once: `calm` of them, or `urgent` of them."""

    def __init__(self, calm: int, urgent: int) -> None:
        self._calm = calm
        self._urgent = min(urgent, calm)
        self._until: Millis = 0

    def together(self, now: Millis) -> int:
        """How many at `now`, on the clock that nobody sets."""
        return self._urgent if now < self._until else self._calm

    def beside(self, now: Millis) -> int:
        """How many people of an audience to reach at `now`, before the next round."""
        return min(BESIDE, 2 * self.together(now))

    def met(self, priorities: Iterable[int], now: Millis) -> None:
        """What was claimed at `now`: were some ahead of the rest?

        Only a few are: where most of a round is urgent, larger ones are what helps it.
        """
        counts = Counter(priorities)
        if len(counts) > 1 and 2 * counts[max(counts)] <= counts.total():
            self._until = now + URGENT_MS
