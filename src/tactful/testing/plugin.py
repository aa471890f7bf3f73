"""A pytest plugin for programs that send with Tactful: an engine in memory and what it sent.

    def test_the_second_offer_of_a_day_waits(tactful_app, outbox):
        tactful_app.rules.put(Rule("offers", types=["offer"], limit="1/day"))
        shop = Shop(tactful_app)

        shop.offer("ada@example.com", "shoes")
        shop.offer("ada@example.com", "hats")

        assert [message.subject for message in outbox] == ["shoes"]
        outbox.advance(days=1)
        assert [message.subject for message in outbox] == ["shoes", "hats"]

It is there wherever the package is installed; `-p no:tactful.testing.plugin` leaves it out. The
engine itself is imported when a test first asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, overload

import pytest

import tactful
from tactful import testing

if TYPE_CHECKING:
    from tactful import Message, Tactful
    from tactful.testing import CaptureChannel, ManualClock

MORNING: Final = 1_800_000_000_000
"""When each test begins: 2027-01-15 08:00 UTC, a Friday."""
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
SECOND_MS: Final = 1_000


class Outbox(Sequence["Message"]):
    """The messages that have been handed over, oldest first; to look is to send what is due."""

    def __init__(self, app: Tactful, channel: CaptureChannel, clock: ManualClock) -> None:
        self._app = app
        self._channel = channel
        self._clock = clock

    @property
    def messages(self) -> list[Message]:
        """All of them, by now."""
        self._app.tick()
        return list(self._channel.messages)

    def to(self, address: str) -> list[Message]:
        """Those to one address."""
        return [message for message in self.messages if message.address == address]

    def clear(self) -> None:
        """Forget what has been handed over; for the limits it still counts."""
        self._app.tick()
        self._channel.messages.clear()

    def advance(
        self, *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0, ms: int = 0
    ) -> None:
        """Let time pass; what comes due on the way goes out at its own instant."""
        span = days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS + ms
        self._app.tick()
        until = self._clock.now() + span
        while (due := self._app.status()["next_due"]) is not None and due <= until:
            self._clock.set(max(due, self._clock.now() + 1))
            self._app.tick()
        self._clock.set(max(until, self._clock.now()))

    def __len__(self) -> int:
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self.messages[index]

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.subject!r} to {one.address}" for one in self.messages)
        return f"Outbox({shown})"


@pytest.fixture
def tactful_clock() -> ManualClock:
    """The clock of `tactful_app`, which stands still until it is moved."""
    return testing.ManualClock(MORNING)


@pytest.fixture
def tactful_channel() -> CaptureChannel:
    """The only channel of `tactful_app`; override it to have several, or outcomes other than ok."""
    return testing.CaptureChannel("email", address_kind="email")


@pytest.fixture
def tactful_app(tactful_clock: ManualClock, tactful_channel: CaptureChannel) -> Iterator[Tactful]:
    """An engine of its own for each test, in memory, that sends nothing to anybody."""
    app = tactful.Tactful("memory://", channels=[tactful_channel], clock=tactful_clock, seed=1)
    yield app
    app.close()


@pytest.fixture
def outbox(
    tactful_app: Tactful, tactful_channel: CaptureChannel, tactful_clock: ManualClock
) -> Outbox:
    """What `tactful_app` has sent by now."""
    return Outbox(tactful_app, tactful_channel, tactful_clock)
