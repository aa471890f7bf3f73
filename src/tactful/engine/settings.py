"""The engine's limits and habits, each with its default."""

from __future__ import annotations

from dataclasses import dataclass, field

from tactful.core.errors import ConfigError
from tactful.core.model import DAY, MINUTE, SECOND, Millis
from tactful.core.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is put up with from receivers; checked when it is made.

    * `soft_bounces`: so many of an address within `soft_window_ms` suppress it.
    * `breaker`: what happens when a channel's mail bounces or annoys too often: `warn` records an
      event, `stop` also holds what is not critical; see `engine.feedback.reputation`.
    * `volume`: how many have to be sent before their part that bounced says anything.
    """

    soft_bounces: int = 3
    soft_window_ms: Millis = 7 * DAY
    breaker: str = "warn"
    volume: int = 1_000

    def __post_init__(self) -> None:
        for name in ("soft_bounces", "soft_window_ms", "volume"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name}: must be a whole number of at least 1, not {value!r}")
        if self.breaker not in ("warn", "stop"):
            raise ConfigError(f"breaker: must be warn or stop, not {self.breaker!r}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How an engine behaves; checked when it is made.

    * `lease_ms`: how long a claim holds without a sign of life; longer than any channel takes.
    * `permit_ms`: how long after its decision something may be handed over, at most nine tenths of
      the lease; a rule holds at the wire over its window and this.
    * `batch`: deliveries decided in one transaction; `urgent_batch`: so many for some seconds after
      something came in that was more urgent than the rest, so that it need not wait for as many.
    * `waiting_max`: how many may wait for one recipient; what is over is rejected.
    * `ttl_ms`: time to live of what names none, from its acceptance or its scheduled instant.
    * `keep_ms`: how long finished deliveries are kept; `history_ms`: how long attempts count at
      most, so no rule's window may be longer; `idempotency_ms`: how long a key is remembered.
    * `digest_max`: notifications in one digest; the others wait for the next.
    * `unknown_types`: `accept` under the default policy, or `reject`.
    * `listener_tries`: how often an event is offered to a listener that fails on it.
    """

    lease_ms: Millis = 15 * MINUTE
    permit_ms: Millis = 30 * SECOND
    batch: int = 200
    urgent_batch: int = 25
    waiting_max: int = 10_000
    ttl_ms: Millis = 60 * DAY
    keep_ms: Millis = 90 * DAY
    history_ms: Millis = 35 * DAY
    idempotency_ms: Millis = 7 * DAY
    digest_max: int = 100
    unknown_types: str = "accept"
    listener_tries: int = 10
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    feedback: Tolerance = field(default_factory=Tolerance)

    def permitted_until(self, decided: Millis) -> Millis:
        """Until when something may be handed over that is decided now: well before its lease ends.

        Both on the clock that nobody sets.
        """
        return decided + min(self.permit_ms, self.lease_ms * 9 // 10)

    def __post_init__(self) -> None:
        least = {"lease_ms": 10 * SECOND, "history_ms": DAY, "keep_ms": MINUTE}
        for name in (
            "lease_ms",
            "permit_ms",
            "batch",
            "urgent_batch",
            "waiting_max",
            "ttl_ms",
            "keep_ms",
            "history_ms",
            "idempotency_ms",
            "digest_max",
            "listener_tries",
        ):
            value = getattr(self, name)
            bound = least.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, int) or value < bound:
                raise ConfigError(
                    f"{name}: must be a whole number of at least {bound}, not {value!r}"
                )
        if self.unknown_types not in ("accept", "reject"):
            raise ConfigError(
                f"unknown_types: must be accept or reject, not {self.unknown_types!r}"
            )
