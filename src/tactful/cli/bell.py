"""To work until a signal asks for the end."""

from __future__ import annotations

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

Bell: TypeAlias = "queue.SimpleQueue[None]"
"""Rings when it is time to end. A handler of signals may put into this queue wherever it interrupts
the main thread; setting an event there can wait for ever for a lock that the main thread holds."""


@contextmanager
def until_told() -> Iterator[Bell]:
    """A bell that SIGINT and SIGTERM ring, instead of what they do otherwise."""
    bell: Bell = queue.SimpleQueue()

    def ring(number: int, frame: FrameType | None) -> None:
        bell.put(None)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, ring) for number in signals]
    try:
        yield bell
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def rings(bell: Bell, seconds: float) -> bool:
    """Whether it has rung, or does within some time."""
    try:
        bell.get(timeout=seconds)
    except queue.Empty:
        return False
    return True
