"""Calls of providers: what is checked before a word of them is believed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import orjson

from tactful.core.model import MINUTE, Millis
from tactful.engine.feedback.reports import Report, Seal

WINDOW_MS: Final = 5 * MINUTE
"""How far the instant in a signature may be from now, either way."""

KEY_MAX: Final = 200


class ForgedError(Exception):
    """The call is not from whom it says, or too old. The text tells nothing of the secret."""


class UnreadableError(Exception):
    """The call is from the provider, and not in a shape that is known."""


class Call(NamedTuple):
    """One call: header names in lower case, the body as it came, path and query, and now."""

    headers: Mapping[str, str]
    body: bytes
    path: str
    now: Millis

    def header(self, name: str) -> str:
        """A header, or nothing."""
        return self.headers.get(name, "")


class Verified(NamedTuple):
    """What a call says, and what makes it unique where its signature does not cover the rest."""

    reports: Sequence[Report]
    seal: Seal | None = None


class Provider(Protocol):
    """Reads the calls of one provider."""

    def read(self, call: Call) -> Verified:
        """What a call says; raises ForgedError, UnreadableError, and Unavailable."""
        ...


def same(given: str, expected: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def check_fresh(at: Millis, now: Millis, window_ms: Millis = WINDOW_MS) -> None:
    """Raises ForgedError for an instant that is not about now."""
    if abs(now - at) > window_ms:
        raise ForgedError(f"the timestamp is not within {window_ms // MINUTE} minutes of now")


def seconds_in(text: str) -> Millis:
    """An instant that is given in whole seconds; raises ForgedError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise ForgedError("the timestamp is missing, or no number")
    return int(text) * 1000


def json_in(body: bytes | str) -> Any:
    """A JSON document; raises UnreadableError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnreadableError("the body is no JSON") from None


def text_at(value: Any, *path: str) -> str:
    """The text or whole number under some keys, or nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def rows_at(value: Any, *path: str) -> list[Any]:
    """The list under some keys, or an empty one."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []


def key_of(*parts: str) -> str:
    """One key of bounded length from what tells an event from all others."""
    joined = ":".join(parts)
    return joined if len(joined) <= KEY_MAX else hashlib.sha256(joined.encode()).hexdigest()


def names_of(message_id: str) -> tuple[str, ...]:
    """The left side of a Message-ID, with or without its brackets."""
    left = message_id.strip().strip("<>").rpartition("@")[0]
    return (left,) if 0 < len(left) <= 250 else ()
