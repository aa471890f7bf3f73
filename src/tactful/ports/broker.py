"""Message brokers: another way for submissions to come in, and for events to go out.

A broker keeps what it was given until it is told that it is done with. It may hand out a message
again, and it may be gone for days: who uses it relies on neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tactful.core.model import Millis


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that was taken from a broker.

    `headers` have names in lower case. `name` is the same whenever this message is handed out, and
    no other message ever has it; None where the broker cannot tell. `tries` counts how often it was
    handed out, this time included, as far as the broker knows. `handle` is the broker's own.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    tries: int = 1
    handle: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for a broker.

    `id` is the same for every copy of it. `topic` says what it is about, in words with dots between
    them; readers choose by it.
    """

    id: str
    topic: str
    body: bytes
    media_type: str


class Broker(Protocol):
    """A place where messages wait. One thread takes and settles, any may publish.

    All raise Unavailable when the broker is out of reach; a later call then finds it by itself.
    """

    where: str
    """Its address, without any secret."""

    def take(self, limit: int, wait_s: float) -> Sequence[Incoming]:
        """Up to `limit` submissions, each of which nobody else gets for a while.

        Waits `wait_s` at most, and not at all once there is one.
        """
        ...

    def done(self, messages: Sequence[Incoming]) -> None:
        """These were dealt with and are not to come again."""
        ...

    def later(self, messages: Sequence[Incoming], delay_ms: Millis) -> None:
        """These are to come again, not before the delay."""
        ...

    def refuse(self, messages: Sequence[tuple[Incoming, Outgoing]]) -> None:
        """These will never be taken: what is said about each is kept, then it does not come again.

        Where that cannot be kept they do come again.
        """
        ...

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when the broker has all of them, in this order.

        After Unavailable some may be there: whoever repeats them repeats all.
        """
        ...

    def check(self) -> str:
        """What answers there, in a few words; changes nothing."""
        ...

    def close(self) -> None:
        """Let go of connections; harmless when repeated, and a later call opens new ones."""
        ...
