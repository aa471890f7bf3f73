"""A clock for several processes that stands still until one of them moves it."""

from __future__ import annotations

import os
from pathlib import Path

_DIGITS = 20


class SharedClock:
    """Milliseconds in a file; who names `now` sets it."""

    def __init__(self, path: Path, now: int | None = None) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if now is not None:
            self.set(now)

    def now(self) -> int:
        return int(os.pread(self._file, _DIGITS, 0))

    def set(self, now: int) -> None:
        os.pwrite(self._file, b"%0*d" % (_DIGITS, now), 0)

    def advance(self, ms: int) -> None:
        self.set(self.now() + ms)

    def close(self) -> None:
        os.close(self._file)
