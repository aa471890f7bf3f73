"""The tables of a store, read with SQL of our own.

The statements use only what SQLite and PostgreSQL have in common; all of them run in one snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.verify.history import Attempt, Delivery, Event, History, Person, Policy

Ask = Callable[[str], Iterable[tuple[Any, ...]]]
"""Runs one statement and gives its rows."""

_POLICIES: Final = """
SELECT version, name, body, at FROM policies WHERE kind = 'rule' ORDER BY version
"""
_PEOPLE: Final = "SELECT id, timezone FROM recipients WHERE timezone <> 'UTC'"
_DELIVERIES: Final = """
SELECT d.id, d.recipient, d.created_at, d.state, q.state, d.channel, d.address, d.type, d.category,
    d.priority, d.notification_id, coalesce(n.audience_end, 0),
    coalesce(q.attempts, d.attempts), d.updated_at, d.expires_at, d.digest_id, d.reason
FROM deliveries d LEFT JOIN due q ON q.delivery_id = d.id
    LEFT JOIN notifications n ON n.id = d.notification_id
"""
_ORPHANS: Final = """
SELECT q.delivery_id, q.recipient, q.state
FROM due q LEFT JOIN deliveries d ON d.id = q.delivery_id WHERE d.id IS NULL
"""
_ATTEMPTS: Final = """
SELECT recipient, at, delivery_id, number, type, category, channel, priority, counts, outcome
FROM attempts
"""
_EVENTS: Final = """
SELECT seq, name, at, delivery_id, data, coalesce(notification_id, '') FROM events
WHERE name NOT IN ('opened', 'clicked') ORDER BY seq
"""


def read_tables(ask: Ask) -> History:
    """The history that a store holds; raises RequestError if it holds what cannot be read."""
    return History(
        policies=[
            Policy(version, name, _table(body, f"rule version {version}"), at)
            for version, name, body, at in ask(_POLICIES)
        ],
        people=[Person._make(row) for row in ask(_PEOPLE)],
        deliveries=[
            *(Delivery._make((*row[:11], row[11] > 0, *row[12:])) for row in ask(_DELIVERIES)),
            *(Delivery(id_, to, 0, "missing", queued) for id_, to, queued in ask(_ORPHANS)),
        ],
        attempts=[Attempt._make((*row[:8], bool(row[8]), row[9], None)) for row in ask(_ATTEMPTS)],
        events=[
            Event(seq, name, at, delivery, _table(data, f"event {seq}"), notification)
            for seq, name, at, delivery, data, notification in ask(_EVENTS)
        ],
    )


def _table(text: str | None, where: str) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RequestError(where, text, "must be a JSON object")
    return found
