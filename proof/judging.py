"""The verdict on one history: the store, the mail server's log, and what callers were told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import apsw

from tactful.verify import Report, from_store, read_arrivals, read_receipts, verify


def lines_of(log: Path) -> list[str]:
    return log.read_text("utf-8").splitlines() if log.exists() else []


def judged(url: str, arrivals: Iterable[str], receipts: Iterable[Mapping[str, Any]] = ()) -> Report:
    """What `tactful verify --sink-log --receipts` says."""
    history = from_store(url)
    history.receipts += read_receipts(json.dumps(receipt) for receipt in receipts)
    return verify(history, read_arrivals(arrivals))


def copies(arrivals: Iterable[str]) -> Counter[str]:
    """How often each message arrived."""
    return Counter(json.loads(line)["message_id"] for line in arrivals)


def is_sound(url: str) -> bool:
    """Whether SQLite finds nothing wrong in a file; a server's store is left to the server."""
    if not url.startswith("sqlite:"):
        return True
    connection = apsw.Connection(url.removeprefix("sqlite:///"))
    try:
        return bool(connection.pragma("integrity_check") == "ok")
    finally:
        connection.close()


def receipts_in(told: Path) -> list[dict[str, Any]]:
    """What callers have written down of what they were told."""
    return [json.loads(line) for line in lines_of(told)]
