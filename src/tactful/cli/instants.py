"""Instants and spans as people read and write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tactful.core.errors import RequestError
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND, Millis
from tactful.engine.zones import iso

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d{1,16}")
_SCALES = ((2 * DAY, DAY, "days"), (2 * HOUR, HOUR, "h"), (2 * MINUTE, MINUTE, "min"))


def span(ms: Millis) -> str:
    """A length of time in one unit: `42 min`."""
    for least, size, unit in _SCALES:
        if ms >= least:
            return f"{ms // size} {unit}"
    return f"{ms / SECOND:.1f} s" if ms < 10 * SECOND else f"{ms // SECOND} s"


def instant(at: Millis | None, now: Millis) -> str | None:
    """An instant with its zone and how far off it is: `... (in 42 min)`."""
    if at is None:
        return None
    if at >= NEVER:
        return "never"
    if abs(at - now) < SECOND:
        return f"{iso(at)} (now)"
    away = f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
    return f"{iso(at)} ({away})"


def parse_instant(text: str, field: str) -> Millis:
    """Milliseconds from a number of them or from ISO 8601 with a zone; raises RequestError."""
    if _NUMBER.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        bound = "must be milliseconds, or a date and time with a zone: 2026-05-01T12:00:00+02:00"
        raise RequestError(field, text, bound)
    since = moment - _EPOCH
    return since.days * DAY + since.seconds * SECOND + since.microseconds // 1_000
