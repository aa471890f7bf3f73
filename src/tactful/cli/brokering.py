"""The message broker of the configuration, while a command works: see `docs/brokers.md`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from tactful.app import Tactful
from tactful.brokers.settings import Brokerage
from tactful.cli.options import note
from tactful.frontdoors.broker import BrokerDoor
from tactful.runtime.outbox import Outbox


@contextmanager
def exchanging(app: Tactful, brokerage: Brokerage | None) -> Iterator[None]:
    """Take submissions in and publish events while it lasts, where a broker is configured."""
    if brokerage is None:
        yield
        return
    with ExitStack() as stack:
        broker = stack.enter_context(closing(brokerage.broker()))
        # First, so that no event of what is taken in is missing.
        if brokerage.way != "in":
            stack.enter_context(Outbox(app.store, app.clock, broker, app.probe))
        if brokerage.way != "out":
            stack.enter_context(BrokerDoor(app, broker))
        note(f"exchanging messages with {broker.where}")
        yield
