"""Where randomness comes from: the system, or a seed that decides everything."""

from __future__ import annotations

import random
import secrets

from tactful.engine.identity import RandomBits


def random_bits(seed: int | None = None) -> RandomBits:
    """The system's randomness, or, with a seed, the same bits on every run."""
    if seed is None:
        return secrets.randbits
    return random.Random(seed).getrandbits  # noqa: S311 - replays, no secrets


def new_secret() -> str:
    """256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)
