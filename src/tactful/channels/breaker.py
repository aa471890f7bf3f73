"""When to leave a provider alone, and when to try it again: a pure state machine.

              failures outweigh                 the pause is over
    CLOSED ---------------------> OPEN ----------------------------> PROBING
      ^                             ^                                  |  |
      |                             |  a probe failed: a longer pause  |  |
      |                             +----------------------------------+  |
      +-------------------------------------------------------------------+
                                  a probe was served

Health is the share of failures among the provider's outcomes, each weighing `1 - 1/memory` of the
next newer one. It decays by outcomes and not by time: at one mail a minute, whatever decays within
a minute never adds up to a verdict, and each mail would wait for the same dead server again.

Calls overlap, and one that began before the provider was given up may end long after. Its
`Admission` carries the epoch it belongs to, and every change of state begins a new one: what comes
late changes nothing.

Nothing here reads a clock: `now` is in whole milliseconds of a clock that never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final, NamedTuple

from tactful.core.errors import ConfigError
from tactful.core.model import MINUTE, SECOND, Millis

PROBE_WAIT_MS: Final[Millis] = SECOND
"""How long to wait for a probe that is under way, before asking again."""


class Health(StrEnum):
    """How a provider is treated."""

    CLOSED = "closed"
    """It gets everything, like a closed circuit."""
    OPEN = "open"
    """It gets nothing until its pause is over."""
    PROBING = "probing"
    """It gets one call with a few messages at a time, until one tells."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a provider is given up and how it is tried again.

    It is given up at `least` outcomes or more, where failures make up `percent` of what the last
    ones weigh; `memory` is about how many count. The first pause is `pause_ms`, each further one in
    a row twice as long, up to `pause_max_ms`. A probe has at most `probe` messages.

    Raises ConfigError naming the field.
    """

    memory: int = 8
    least: int = 5
    percent: int = 50
    pause_ms: Millis = 10 * SECOND
    pause_max_ms: Millis = 10 * MINUTE
    probe: int = 3

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{item.name}: must be a whole number from 1 (got {value!r})")
        if self.percent > 100:
            raise ConfigError(f"percent: must be at most 100 (got {self.percent})")
        if self.pause_max_ms < self.pause_ms:
            bound = f"must be at least pause_ms, {self.pause_ms}"
            raise ConfigError(f"pause_max_ms: {bound} (got {self.pause_max_ms})")


class Admission(NamedTuple):
    """Leave to hand over at most `most` messages; give it back with what came of it."""

    most: int
    epoch: int


class Breaker:
    """One provider's health. Not safe for threads by itself: the caller holds a lock."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._decay = 1 - 1 / policy.memory
        self._health = Health.CLOSED
        self._epoch = 0
        self._outcomes = 0
        self._weight = 0.0
        self._failed = 0.0
        self._open_until: Millis = 0
        self._pauses = 0
        self._probe_out = False

    @property
    def health(self) -> Health:
        """How the provider is treated; a pause that is over shows at the next `admit`."""
        return self._health

    def admit(self, wanted: int, now: Millis) -> Admission:
        """How many of `wanted` messages may go to the provider in one call at `now`."""
        if self._health is Health.OPEN and now >= self._open_until:
            self._become(Health.PROBING)
        if self._health is Health.CLOSED or wanted < 1:
            return Admission(max(0, wanted), self._epoch)
        if self._health is Health.OPEN or self._probe_out:
            return Admission(0, self._epoch)
        self._probe_out = True
        return Admission(min(wanted, self._policy.probe), self._epoch)

    def record(self, admission: Admission, served: int, failed: int, now: Millis) -> None:
        """Take in a call that has ended: `served` outcomes first, then `failed` ones.

        Both may be 0 where nothing was said about the provider; a probe is then free again. Every
        admission of more than 0 has to be given back, once.
        """
        if admission.epoch != self._epoch:
            return
        if self._health is Health.PROBING:
            self._probe_out = False
            if failed:
                self._open(now)
            elif served:
                self._become(Health.CLOSED)
            return
        self._weigh(served, 0)
        self._weigh(failed, failed)
        if self._outcomes < self._policy.least:
            return
        if failed and 100 * self._failed >= self._policy.percent * self._weight:
            self._open(now)
        else:
            self._pauses = 0

    def wait_ms(self, now: Millis) -> Millis:
        """How long until it is worth asking again; 0 where the provider takes messages."""
        if self._health is Health.OPEN:
            return max(0, self._open_until - now)
        return PROBE_WAIT_MS if self._probe_out else 0

    def _weigh(self, count: int, failed: int) -> None:
        """`count` equal outcomes, newest last: what came before decays `count` times."""
        old = self._decay**count
        new = (1 - old) * self._policy.memory
        self._outcomes += count
        self._weight = self._weight * old + new
        self._failed = self._failed * old + (new if failed else 0.0)

    def _open(self, now: Millis) -> None:
        policy = self._policy
        # Bounded before it is shifted: a provider may be away for years.
        pause_ms = min(policy.pause_ms << min(self._pauses, 32), policy.pause_max_ms)
        self._open_until = now + pause_ms
        self._pauses += 1
        self._become(Health.OPEN)

    def _become(self, health: Health) -> None:
        self._health = health
        self._epoch += 1
        self._probe_out = False
        self._outcomes = 0
        self._weight = self._failed = 0.0
