"""Where randomness comes from: the system, or a seed that decides everything."""

from __future__ import annotations

import os
import random
import secrets
import struct
import threading
from typing import Final

from tactful.engine.identity import RandomBits

_WORD: Final = 64
_WORDS: Final = struct.Struct("=512Q")


class _Pool:
    """The system's randomness, fetched in pieces.

    Each call of the system lets another thread run, and there is an id or two to make for every
    delivery.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: list[int] = []

    def bits(self, count: int) -> int:
        """That many random bits, at most 64, none of them given twice."""
        with self._lock:
            if not self._words:
                self._words = list(_WORDS.unpack(os.urandom(_WORDS.size)))
            return self._words.pop() >> (_WORD - count)

    def forget(self) -> None:
        """Start anew: a forked process must not give out what its parent does."""
        self._lock = threading.Lock()
        self._words = []


_pool = _Pool()
os.register_at_fork(after_in_child=_pool.forget)


def random_bits(seed: int | None = None) -> RandomBits:
    """The system's randomness, or, with a seed, the same bits on every run."""
    if seed is None:
        return _pool.bits
    return random.Random(seed).getrandbits  # noqa: S311 - replays, no secrets


def new_secret() -> str:
    """256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)


def new_name() -> str:
    """A name that nobody else has."""
    return secrets.token_hex(8)
