"""The engine's limits and habits are checked when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from tactful.core.errors import ConfigError
from tactful.core.retry import RetryPolicy
from tactful.engine.settings import Settings

LEAST = {
    "lease_ms": 10_000,
    "batch": 1,
    "urgent_batch": 1,
    "waiting_max": 1,
    "ttl_ms": 1,
    "keep_ms": 60_000,
    "history_ms": 86_400_000,
    "idempotency_ms": 1,
    "digest_max": 1,
    "listener_tries": 1,
}


@pytest.mark.parametrize("name", LEAST)
def test_every_number_has_a_least_value_that_is_named(name: str) -> None:
    assert getattr(Settings(**{name: LEAST[name]}), name) == LEAST[name]
    for wrong in (LEAST[name] - 1, -1, True, 1e9, "1", None):
        given: dict[str, Any] = {name: wrong}
        with pytest.raises(ConfigError, match=f"^{name}: .* at least {LEAST[name]}, not"):
            Settings(**given)


def test_unknown_types_are_accepted_or_rejected_and_nothing_else() -> None:
    assert Settings(unknown_types="reject").unknown_types == "reject"
    with pytest.raises(ConfigError, match="unknown_types: must be accept or reject, not 'maybe'"):
        Settings(unknown_types="maybe")


@pytest.mark.parametrize("name", ["base_ms", "cap_ms", "tries_max", "crashes_max"])
@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, None])
def test_the_patience_of_retries_is_a_whole_number_above_zero(name: str, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: must be a whole number of at least 1"):
        RetryPolicy(**{name: wrong})
