"""The inbox: a channel that needs nobody else.

What it is given has arrived, because the store that holds the delivery is the inbox itself: there
is one source of truth, and `Tactful.inbox` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome


class InboxChannel:
    """Delivers into the recipient's own list of messages."""

    address_kind: str | None = None
    concurrency = 1
    batch = 500

    def __init__(self, name: str = "inbox") -> None:
        self.name = name

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        arrived = Accepted(arrived=True)
        return [arrived if message.may_go() else PERMIT_ENDED for message in messages]

    def close(self) -> None:
        """Nothing is open."""
