"""The engine's other neighbours: the clock and the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tactful.core.model import Message, Millis, Outcome


class Clock(Protocol):
    """The one way to learn what time it is."""

    def now(self) -> Millis:
        """Milliseconds since the epoch, UTC."""
        ...


class Channel(Protocol):
    """A way to a recipient.

    `name` is what types and rules call it. `address_kind` is the kind of address it needs (`email`)
    or None. `concurrency` calls of `send` may run at once, each with about `batch` messages.
    """

    name: str
    address_kind: str | None
    concurrency: int
    batch: int

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Hand the messages over; one outcome each, in order.

        Trouble with a message or a server is an outcome. An exception is a bug, and its messages
        count as `Unknown`.
        """
        ...

    def close(self) -> None:
        """Let go of connections; harmless when repeated, and a later `send` opens new ones."""
        ...
