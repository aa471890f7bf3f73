"""Chance without a state: every draw follows from the seed and from what it is about.

The order in which things happen changes no draw. So two runs whose rules differ live in the same
world: the same copy is lost, the same person opens the same message, if it comes to it ("common
random numbers"; Law, Simulation Modeling and Analysis, chapter 11). Draws are digests (BLAKE2b),
the same on every machine and in every version of Python.
"""

from __future__ import annotations

import math
import struct
from hashlib import blake2b
from statistics import NormalDist
from typing import Final

from tactful.core.model import Millis
from tactful.sim.scenario import Delay

_EIGHT: Final = struct.Struct("<8Q")
_SCALE: Final = 2.0**-53
_NORMAL: Final = NormalDist()
_Z99: Final = _NORMAL.inv_cdf(0.99)


class Draws:
    """Numbers in [0, 1), eight about each thing."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "little")

    def about(self, *what: str) -> tuple[float, ...]:
        """Eight independent numbers about one thing, the same ones every time."""
        digest = blake2b("\0".join(what).encode(), key=self._key).digest()
        return tuple([(bits >> 11) * _SCALE for bits in _EIGHT.unpack(digest)])


def lognormal(delay: Delay, draw: float) -> Millis:
    """A delay whose median and 99th percentile are given, for a number in [0, 1)."""
    if not delay.median_ms:
        return 0
    sigma = math.log(delay.p99_ms / delay.median_ms) / _Z99
    if not sigma:
        return delay.median_ms
    z = _NORMAL.inv_cdf(min(max(draw, 1e-12), 1 - 1e-12))
    return round(delay.median_ms * math.exp(sigma * z))


def exponential(draw: float) -> float:
    """A waiting time with mean 1, for a number in [0, 1)."""
    return -math.log1p(-draw)
