"""Where randomness comes from: the system, or a seed that decides everything."""

from __future__ import annotations

import random
import secrets

from tactful.engine.identity import RandomBits


def random_bits(seed: int | None = None) -> RandomBits:
    """The system's randomness, or, with a seed, the same bits on every run."""
    source = random.SystemRandom() if seed is None else random.Random(seed)
    return source.getrandbits


def new_secret() -> str:
    """256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)
