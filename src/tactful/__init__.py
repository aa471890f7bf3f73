"""Tactful: notifications with manners.

Never one too many, never one lost, never a surprise: exact limits per recipient, what is over a
limit waits for its next slot, and every decision explains itself.

The names below are imported when they are first used, so that `tactful --help` does not wait for
the engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tactful import errors
    from tactful.app import Tactful
    from tactful.client.asynchronous import AsyncClient
    from tactful.client.blocking import Client
    from tactful.core.model import (
        Accepted,
        Event,
        Message,
        NotificationType,
        Outcome,
        Priority,
        Recipient,
        Rejected,
        Retry,
        State,
        Unknown,
    )
    from tactful.core.rules import Rule
    from tactful.engine.requests import Receipt
    from tactful.engine.settings import Settings
    from tactful.ledgers.limiter import Answer, Ask, Limiter
    from tactful.templates.library import Template

__version__ = "0.1.0"

__all__ = [
    "Accepted",
    "Answer",
    "Ask",
    "AsyncClient",
    "Client",
    "Event",
    "Limiter",
    "Message",
    "NotificationType",
    "Outcome",
    "Priority",
    "Receipt",
    "Recipient",
    "Rejected",
    "Retry",
    "Rule",
    "Settings",
    "State",
    "Tactful",
    "Template",
    "Unknown",
    "errors",
]

_HOMES = {
    "Answer": "tactful.ledgers.limiter",
    "Ask": "tactful.ledgers.limiter",
    "AsyncClient": "tactful.client.asynchronous",
    "Client": "tactful.client.blocking",
    "Limiter": "tactful.ledgers.limiter",
    "Receipt": "tactful.engine.requests",
    "Rule": "tactful.core.rules",
    "Settings": "tactful.engine.settings",
    "Tactful": "tactful.app",
    "Template": "tactful.templates.library",
}

if not TYPE_CHECKING:  # a type checker would take every misspelt name for one of these

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "errors":
            return import_module("tactful.errors")
        found = getattr(import_module(_HOMES.get(name, "tactful.core.model")), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
