"""An event loop in a thread of its own, for libraries that know nothing else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tactful.core.errors import Unavailable

R = TypeVar("R")


class LoopThread:
    """Runs coroutines for callers that block. The thread begins with the first of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, R], patience_s: float) -> R:
        """What the coroutine gives; raises what it raises, or Unavailable when it takes longer."""
        found = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return found.result(patience_s)
        except concurrent.futures.TimeoutError:
            found.cancel()
            raise Unavailable(f"{self._name}: no answer within {patience_s:.0f} s") from None

    def stop(self) -> None:
        """End the thread; harmless when repeated, and `run` begins another one."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=f"tactful-{self._name}", daemon=True
                )
                self._thread.start()
            return self._loop
