"""Draining, where something comes in at the wrong moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing

from tactful import State, Tactful
from tactful.ports import Reader
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel, ManualClock

PATIENCE_S = 8


class Late(MemoryStore):
    """When this thread is about to look, something happens first, once."""

    coming: Callable[[], object] | None = None
    looking = threading.current_thread()

    def reading(self) -> AbstractContextManager[Reader]:
        if threading.current_thread() is self.looking and self.coming is not None:
            coming, self.coming = self.coming, None
            coming()
        return super().reading()


def test_draining_waits_for_what_comes_in_while_it_looks() -> None:
    opened = threading.Event()

    def wait(_: object) -> None:
        assert opened.wait(PATIENCE_S)

    store, clock = Late(), ManualClock(1_767_225_600_000)
    store.looking = threading.current_thread()
    app = Tactful(store, channels=[CaptureChannel("post", wait)], clock=clock)
    other = Tactful(store, channels=[CaptureChannel("post")], clock=clock)

    def come() -> None:
        """A millisecond later, and submitted by somebody else."""
        clock.advance(1)
        other.send(type="news", to="ada", text="x")

    with closing(app), closing(other):
        app.start()
        store.coming = come
        assert app.drain(0.05) is False
        opened.set()
        assert app.drain(PATIENCE_S) is True
        assert app.counts() == {State.DELIVERED: 1}
