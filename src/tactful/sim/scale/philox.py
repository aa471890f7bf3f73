"""Counter-based chance: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
1, 2, 3").

A draw is a function of the seed and of what it is about: the person, the purpose, the number of
the message within its stream, the stream. There is no state, so neither the order in which people
are simulated nor the number of threads changes a figure, and two runs whose rules differ live in
the same world.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np

from tactful.sim.scale.compiled import compiled

Words: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
"""Four words of 32 bits."""

WHO: Final = 1
"""Purposes: a person's segment and habit,"""
ARRIVAL: Final = 2
"""when the next message of a stream comes,"""
WITHIN: Final = 3
"""where in a burst it lies,"""
COPY: Final = 4
"""what becomes of a copy,"""
DELAY: Final = 5
"""how long its reader takes."""

_M0: Final = np.uint64(0xD2511F53)
_M1: Final = np.uint64(0xCD9E8D57)
_W0: Final = np.uint64(0x9E3779B9)
_W1: Final = np.uint64(0xBB67AE85)
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_21: Final = np.uint64(21)
_11: Final = np.uint64(11)
_32_BITS: Final = 2.0**-32
_53_BITS: Final = 2.0**-53


@compiled
def philox(counter: Words, key: tuple[np.uint64, np.uint64]) -> Words:
    """Four words of 32 bits for a counter of four and a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@compiled
def words(seed: np.uint64, person: int, purpose: int, number: int, flow: int) -> Words:
    """The four words about one thing, the same ones every time."""
    counter = np.uint64(person), np.uint64(purpose), np.uint64(number), np.uint64(flow)
    return philox(counter, (seed & _LOW, seed >> _HALF))


@compiled
def part(word: np.uint64) -> float:
    """A number in [0, 1) of one word."""
    return float(word) * _32_BITS


@compiled
def fine(high: np.uint64, low: np.uint64) -> float:
    """A number in [0, 1) of 53 bits."""
    return float((high << _21) | (low >> _11)) * _53_BITS


@compiled
def normals(high: np.uint64, low: np.uint64, angle: np.uint64) -> tuple[float, float]:
    """Two independent standard normal numbers (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log1p(-fine(high, low)))
    turn = 2.0 * math.pi * part(angle)
    return radius * math.cos(turn), radius * math.sin(turn)
