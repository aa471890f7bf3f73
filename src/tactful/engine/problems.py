"""Problem details (RFC 9457): how what went wrong is told to other programs, by any way.

`type` is `urn:tactful:problem:` and the code, `errors` name fields with values and bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tactful.core.errors import RequestError

MEDIA_TYPE: Final = "application/problem+json"
SHOWN_MAX: Final = 120
DETAIL_MAX: Final = 500

TITLES: Final = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "The key does not allow this",
    404: "There is no such thing",
    405: "The method is not known here",
    408: "The request took too long to arrive",
    413: "The request is too large",
    415: "The request is in another language",
    422: "The request is refused",
    429: "Too many",
    500: "An error on this side",
    503: "Out of reach for now",
    504: "The answer takes too long",
}


def details(
    status: int,
    code: str,
    detail: str,
    *,
    facts: Mapping[str, Any] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A problem as plain data; `facts` are members of its own."""
    found: dict[str, Any] = {
        "type": f"urn:tactful:problem:{code}",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "code": code,
        "detail": detail[:DETAIL_MAX],
        **(facts or {}),
    }
    return {**found, "errors": list(errors)} if errors else found


def wrong(error: RequestError) -> dict[str, Any]:
    """One refused field; `value` is the value itself where it is short, else how it begins."""
    value, shown = error.value, repr(error.value)
    exact = isinstance(value, str | float | bool | None) or (
        isinstance(value, int) and -(1 << 63) <= value < 1 << 63
    )
    if len(shown) > SHOWN_MAX or not exact:
        value = shown[:SHOWN_MAX]
    return {"field": error.field[:SHOWN_MAX], "value": value, "bound": error.bound}
