"""What the acceptance tests share: an engine whose time stands still, and its gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tactful import Message, Outcome, Receipt, Tactful
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_225_600_000
"""2026-01-01 00:00 UTC, a Thursday."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY


class World:
    """One store, one clock and one gateway; `app` is the engine that works on them.

    `outcome` may be set at any time: it says what the gateway makes of each message.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.clock = ManualClock(START)
        self.outcome: Callable[[Message], Outcome | None] | None = None
        self.channel = CaptureChannel("post", self._outcome_of)
        self._options = options
        self._apps: list[Tactful] = []
        self.app = self.open()

    def open(self, **changes: Any) -> Tactful:
        """One more engine on the same store, clock and gateway."""
        options = {"channels": [self.channel], "clock": self.clock} | self._options | changes
        self._apps.append(Tactful(self.url, **options))
        return self._apps[-1]

    def restart(self) -> Tactful:
        """Close the engine and begin again with what the store holds."""
        self.app.close()
        self.app = self.open()
        return self.app

    def send(self, type_: str, to: str, text: str = "words", **fields: Any) -> Receipt:
        return self.app.send(type=type_, to=to, text=text, **fields)

    def at(self, offset: int) -> None:
        """Be `offset` ms after the start and do what is due."""
        self.clock.set(START + offset)
        self.app.tick()

    @property
    def sent(self) -> list[tuple[int, str]]:
        """When (ms after the start) each text was handed over."""
        return [(message.at - START, message.text) for message in self.channel.messages]

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.channel.messages]

    @property
    def recipients(self) -> list[str]:
        return [message.recipient for message in self.channel.messages]

    def close(self) -> None:
        for app in self._apps:
            app.close()

    def _outcome_of(self, message: Message) -> Outcome | None:
        return self.outcome(message) if self.outcome is not None else None


def most_in(instants: Iterable[int], window: int) -> int:
    """The largest number of instants in any half-open window of this length."""
    listed = sorted(instants)
    return max((sum(at <= other < at + window for other in listed) for at in listed), default=0)


def decisions(world: World, type_: str, to: str, count: int) -> list[str]:
    """Send so many, and do what is due; gives what the receipts said."""
    found = [world.send(type_, to, f"{type_} {number}").decision for number in range(count)]
    world.app.tick()
    return found
