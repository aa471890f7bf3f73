"""JSON from outside: so many bytes, nested so deep, and nothing but JSON.

A body is UTF-8 JSON as RFC 8259 means it: no NaN, no lone surrogates; an integer beyond 64 bits
becomes a float, which no field takes.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

BODY_MAX: Final = 1_000_000
DEPTH_MAX: Final = 20

_ALIKE: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(set(range(256)) - set(b"[]{}"))


class UnreadableError(Exception):
    """A body that cannot be read; the text says why."""


def document(body: bytes) -> Any:
    """The value of a JSON document; raises UnreadableError."""
    if is_deep(body):
        raise UnreadableError(f"the body is nested deeper than {DEPTH_MAX} levels")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"the body is no JSON: {error}") from None


def is_deep(body: bytes, most: int = DEPTH_MAX) -> bool:
    """Whether JSON is nested deeper than `most`; brackets within its texts are none.

    Each step removes the innermost pairs, all at once: a level. What is no JSON may be called deep.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(body.split(b'"')[::2])
    left = outside.translate(_ALIKE, _OTHERS)
    for _ in range(most):
        left = left.replace(b"[]", b"")
        if not left:
            return False
    return True
