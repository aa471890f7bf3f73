"""A thread that does one piece of work after the other, and goes on after errors."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, Millis

log = logging.getLogger("tactful.background")


class Background(ABC):
    """Work in a thread of its own, between `start` and `stop` or within `with`.

    After an error it pauses, twice as long after each further one up to `longest_ms`: what is out
    of reach is told in a line, a bug with where it is. `name` is that of the work, in the log.
    """

    def __init__(self, name: str, *, pause_ms: Millis, longest_ms: Millis) -> None:
        self._name = name
        self._first_ms = pause_ms
        self._longest_ms = longest_ms
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def piece(self) -> None:
        """Do the next piece, or wait a little for one with `wait`."""

    def wait(self, seconds: float) -> None:
        """Wait so long, unless it is to stop."""
        self._stopping.wait(seconds)

    def start(self) -> None:
        """Begin; harmless when repeated."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(
                target=self._run, name=f"tactful-{self._name}", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """End after the piece that is under way; harmless when repeated."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        pause_ms = self._first_ms
        while not self._stopping.is_set():
            try:
                self.piece()
                pause_ms = self._first_ms
                continue
            except Unavailable as error:
                log.warning("%s has to wait: %s", self._name, error)
            except Exception:
                log.exception("%s goes on after an error", self._name)
            self.wait(pause_ms / SECOND)
            pause_ms = min(2 * pause_ms, self._longest_ms)
