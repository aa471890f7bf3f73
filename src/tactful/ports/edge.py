"""The engine's other neighbours: the clock, the channels, and whoever watches it work."""

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


class Probe(Protocol):
    """Is told what steps of the work took; any thread may call it, and it never raises.

    The steps are `claim` (one round that found something due), `transaction` and `commit` (`about`
    says whether they were durable) and `send` (`about` is the channel).
    """

    def began(self, step: str, about: str = "") -> None:
        """A step begins whose number under way is of interest: only `send`."""
        ...

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """A step has ended, one way or the other."""
        ...

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        """What came of it: `unavailable`, `contended`, or the outcomes of messages."""
        ...


class Unwatched:
    """A probe that nobody reads."""

    def began(self, step: str, about: str = "") -> None:
        """See `Probe.began`."""

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """See `Probe.took`."""

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        """See `Probe.happened`."""
