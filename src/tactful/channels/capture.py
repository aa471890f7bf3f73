"""Capture: a channel that keeps what it is given, for tests, trials and simulations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome


class CaptureChannel:
    """Keeps every message in `messages`, in the order of hand-over.

    `outcome` decides what becomes of each (None: it has arrived); what it raises is the channel's
    exception. Safe to use from many threads, which enter `outcome` side by side.
    """

    def __init__(
        self,
        name: str,
        outcome: Callable[[Message], Outcome | None] | None = None,
        *,
        address_kind: str | None = None,
        concurrency: int = 8,
        batch: int = 50,
    ) -> None:
        self.name = name
        self.address_kind = address_kind
        self.concurrency = concurrency
        self.batch = batch
        self.messages: list[Message] = []
        self._outcome = outcome
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        return [self._take(message) for message in messages]

    def _take(self, message: Message) -> Outcome:
        if not message.may_go():
            return PERMIT_ENDED
        with self._lock:
            self.messages.append(message)
        outcome = self._outcome(message) if self._outcome is not None else None
        return Accepted(arrived=True) if outcome is None else outcome

    def close(self) -> None:
        """Nothing is open."""
