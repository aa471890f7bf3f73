"""The public names of all errors; the tree is drawn in `tactful.core.errors`."""

from tactful.core.errors import (
    ConfigError,
    IdempotencyConflict,
    InvalidRule,
    NotFound,
    OverLimit,
    RequestError,
    TactfulError,
    Unavailable,
)

__all__ = [
    "ConfigError",
    "IdempotencyConflict",
    "InvalidRule",
    "NotFound",
    "OverLimit",
    "RequestError",
    "TactfulError",
    "Unavailable",
]
