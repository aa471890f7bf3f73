"""Everything that can be asked of a store, as one value to compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tactful.core.model import NEVER
from tactful.ports import Reader, Store

_ALL = 1_000_000


def snapshot(
    store: Store,
    *,
    notifications: Sequence[str] = (),
    kinds: Sequence[str] = (),
    keys: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> dict[str, Any]:
    """All answers about all rows.

    What cannot be listed is asked for by name: notifications, kinds of policies, addresses, and
    `keys` for idempotency keys, notes and throughput limits.
    """
    with store.reading() as reader:
        seen = _answers(reader, notifications, kinds, keys, addresses)
    with store.transaction() as tx:
        seen["due"] = tx.due(NEVER, _ALL)
    return seen


def _answers(
    reader: Reader,
    notifications: Sequence[str],
    kinds: Sequence[str],
    keys: Sequence[str],
    addresses: Sequence[str],
) -> dict[str, Any]:
    rows = reader.deliveries(limit=_ALL)
    people = reader.recipients(limit=_ALL)
    names = sorted({row.recipient for row in rows} | {person.id for _, person in people})
    asked = sorted({row.notification_id for row in rows} | set(notifications))
    return {
        "deliveries": rows,
        "one by one": [reader.delivery(row.id) for row in rows],
        "attempts": {row.id: reader.attempts(row.id) for row in rows},
        # Entries of one instant have no order of their own.
        "history": {
            name: sorted(entries) for name, entries in reader.history(names, -NEVER).items()
        },
        "records": reader.records(-NEVER, NEVER, limit=_ALL),
        "lines": reader.lines(names, _ALL),
        "ends of lines": reader.lines(names, 2),
        "next due": reader.next_due(),
        "latest attempt": reader.latest_attempt(),
        "counts": reader.counts(),
        "notifications": reader.notifications(asked),
        "of notifications": {
            key: (
                reader.counts(key),
                reader.opened(key),
                reader.deliveries(notification_id=key, limit=_ALL),
                reader.events(notification_id=key, limit=_ALL),
            )
            for key in asked
        },
        "of recipients": {key: reader.deliveries(recipient=key, limit=_ALL) for key in names},
        "unfinished": reader.unfinished_broadcasts(),
        "paused": reader.paused_notifications(),
        "events": reader.events(limit=_ALL),
        "last event": reader.last_event(),
        "recipients": people,
        "last recipient": reader.last_recipient(),
        "by key": reader.recipients_by_key(names),
        "owners": reader.owners(addresses),
        "suppressions": reader.suppressions(addresses),
        "epoch": reader.epoch(),
        "policies": {kind: reader.policies(kind) for kind in kinds},
        "versions": {kind: reader.policy_history(kind) for kind in kinds},
        "remembered": reader.remembered(keys),
        "notes": {key: reader.note(key) for key in keys},
        "cells": reader.cells(keys),
    }
