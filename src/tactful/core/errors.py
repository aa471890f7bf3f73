"""Every error a caller can meet.

    TactfulError
    ├── ConfigError            the configuration is wrong; found at start
    ├── RequestError           the caller's input is wrong; nothing was stored
    │   ├── InvalidRule        a rule does not say what it must
    │   ├── NotFound           the id names nothing
    │   ├── IdempotencyConflict  the key was used before, with another body
    │   └── OverLimit          raised only where the caller asked for an exception
    └── Unavailable            the store or a service is out of reach; try again later
        └── Contended          another transaction had to go first; try again at once

A result of sending is never an exception: channels answer with outcomes (`core.model`).
"""

from __future__ import annotations


class TactfulError(Exception):
    """Root of all errors that Tactful raises on purpose."""


class ConfigError(TactfulError):
    """The configuration cannot be used as it is."""


class RequestError(TactfulError):
    """The caller's input is refused: names the field, the value and the bound it breaks."""

    code = "invalid_request"

    def __init__(self, field: str, value: object, bound: str) -> None:
        self.field = field
        self.value = value
        self.bound = bound
        shown = repr(value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{field}: {bound} (got {shown})")


class InvalidRule(RequestError):
    """A rule is refused: names the field, the value and the bound it breaks."""

    code = "invalid_rule"


class NotFound(RequestError):
    """The id names nothing that is stored."""

    code = "not_found"


class IdempotencyConflict(RequestError):
    """The idempotency key was used before with another body; nothing was stored."""

    code = "idempotency_conflict"


class OverLimit(RequestError):
    """A rule with `on_limit="reject"` said no, and the caller asked for an exception.

    `rule` is the rule's name and `retry_at` the first instant (ms) at which it would agree,
    or None if it never will.
    """

    code = "over_limit"

    def __init__(self, rule: str, retry_at: int | None) -> None:
        self.rule = rule
        self.retry_at = retry_at
        when = "never" if retry_at is None else f"at {retry_at} ms"
        super().__init__("limit", rule, f"rule says no; it would agree again {when}")


class Unavailable(TactfulError):
    """A store or a service cannot be reached now; nothing was accepted, try again later."""


class Contended(Unavailable):
    """Another transaction had to go first; nothing was stored, trying again at once helps."""
