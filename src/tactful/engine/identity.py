"""Ids that sort by time: UUID version 7 (RFC 9562, section 5.7) as 32 hexadecimal digits.

48 bits of milliseconds, then a counter that makes ids of one process strictly ascending, then
random bits. The source of random bits is an argument, so that a seed can decide every id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from tactful.core.model import Millis

RandomBits: TypeAlias = Callable[[int], int]
"""Gives that many random bits, at most 64, as an integer."""


class Ids:
    """Makes ids; safe to use from many threads."""

    def __init__(self, random_bits: RandomBits) -> None:
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = 0
        self._count = 0

    def new(self, now: Millis) -> str:
        """An id greater than all before it from this source."""
        with self._lock:
            if now > self._last:
                self._last = now
                self._count = 0
            else:
                self._count += 1
                if self._count == 1 << 12:
                    self._last += 1
                    self._count = 0
            at, count = self._last, self._count
            tail = self._random_bits(62)
        return f"{(at & 0xFFFFFFFFFFFF) << 80 | 7 << 76 | count << 64 | 0b10 << 62 | tail:032x}"
