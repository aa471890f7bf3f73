"""When keys are used: noted beside the requests, which do not wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tactful.core.errors import Unavailable
from tactful.core.model import Millis
from tactful.engine.keys import USE_MS

log = logging.getLogger("tactful.keys")

AGAIN_MS: Final[Millis] = USE_MS * 11 // 10
"""How long a use that was handed on stands for those after it; longer than the store's own."""


class Uses:
    """Hands the uses of keys to `write`, in a thread of its own; `clock` only runs (ms)."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], Millis]) -> None:
        self._write = write
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, Millis] = {}
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="tactful-keys")

    def note(self, name: str) -> None:
        """A key is used now; returns at once."""
        now = self._clock()
        with self._lock:
            before = self._noted.get(name)
            if before is not None and now - before < AGAIN_MS:
                return
            self._noted[name] = now
        self._hand.submit(self._keep, name)

    def close(self) -> None:
        """Have written what was noted; nothing may be noted any more."""
        self._hand.shutdown()

    def _keep(self, name: str) -> None:
        try:
            self._write(name)
        except Unavailable as error:
            log.info("the use of key %s is not noted: %s", name, error)
