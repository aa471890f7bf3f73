"""When to try again: exponential backoff, capped, with full-range jitter above one half.

The jitter is an argument in [0, 1), so that a replay gets the same instants. Half of the delay is
fixed and half is drawn: a crowd that failed together does not come back together, and nobody comes
back at once (AWS Architecture Blog, "Exponential Backoff And Jitter", calls it equal jitter).
"""

from __future__ import annotations

from dataclasses import dataclass

from tactful.core.errors import ConfigError
from tactful.core.model import HOUR, SECOND, Millis


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a delivery is tried.

    `tries_max` counts attempts that really failed; `crashes_max` counts attempts that ended with
    their worker. Both are at least 1. The n-th delay is at most `base_ms * 2**(n-1)`, never above
    `cap_ms`.
    """

    base_ms: Millis = 30 * SECOND
    cap_ms: Millis = HOUR
    tries_max: int = 20
    crashes_max: int = 5

    def __post_init__(self) -> None:
        for name in ("base_ms", "cap_ms", "tries_max", "crashes_max"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name}: must be a whole number of at least 1, not {value!r}")

    def delay_ms(self, tries: int, jitter: float) -> Millis:
        """The wait after the `tries`-th failed try (from 1); `jitter` is in [0, 1)."""
        full = min(self.cap_ms, self.base_ms << min(max(tries, 1) - 1, 40))
        return full // 2 + int(full / 2 * jitter)
