"""An engine with mail that goes out and says nothing more."""

from __future__ import annotations

from collections.abc import Callable

from tactful import Settings, Tactful
from tactful.core.model import Accepted, Message, Outcome
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_261_600_000
"""2026-01-01 10:00 UTC."""


class World:
    """An engine, its clock, and how to have a mail sent."""

    def __init__(self, store: str, settings: Settings | None = None) -> None:
        self.clock = ManualClock(START)
        self.count = 0
        self.refuses: Callable[[Message], Outcome | None] = lambda _: None
        self.meanwhile: Callable[[], object] = lambda: None
        self.channel = CaptureChannel("email", self._answer, address_kind="email")
        self.app = Tactful(store, channels=[self.channel], clock=self.clock, settings=settings)

    def _answer(self, message: Message) -> Outcome:
        self.count += 1
        self.meanwhile()
        return self.refuses(message) or Accepted(ref=f"Ok 0102-{self.count:06d}")

    def sent(self, to: str = "ada@example.org", type_: str = "news") -> str:
        """The id of a delivery that has gone out."""
        receipt = self.app.send(type=type_, to=to, subject="Hi", text="It works.")
        self.app.tick()
        assert receipt.delivery_id is not None
        return receipt.delivery_id

    def state(self, delivery_id: str) -> str:
        found = self.app.delivery(delivery_id)
        assert found is not None
        return found.state.value

    def names(self, delivery_id: str | None = None) -> list[str]:
        """The names of events, of a delivery or of none."""
        wanted = self.app.events(limit=10_000)
        return [e.name for e in wanted if e.delivery_id == (delivery_id or "")]

    def reasons(self, address: str = "ada@example.org") -> list[tuple[str, str]]:
        return [(s.scope, s.reason) for s in self.app.recipients.suppressions(address)]
