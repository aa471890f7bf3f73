"""What the HTTP service is set to."""

from __future__ import annotations

from dataclasses import dataclass

from tactful.core.model import Millis


@dataclass(frozen=True, slots=True)
class Http:
    """What a key may ask of the service: `rate` requests a second, `burst` of them at one instant.

    `timeout_ms` is the longest that a request may take. `metrics` says who may read those: `open`,
    `key` or `off`; None leaves it to where the service listens.
    """

    rate: int = 200
    burst: int = 400
    timeout_ms: Millis = 30_000
    metrics: str | None = None
