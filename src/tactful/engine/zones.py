"""Time zones by name, checked once and kept; instants in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from tactful.core.errors import RequestError


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """The zone with this IANA name; raises RequestError if there is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        bound = "must be an IANA zone such as Europe/Berlin"
        raise RequestError("timezone", name, bound) from None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at: int, zone: tzinfo = UTC) -> str:
    """An instant as `2026-11-21 21:38:05.123+00:00`."""
    moment = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)
    return moment.isoformat(sep=" ", timespec="milliseconds")
