"""Versioned policies, idempotency keys and small values under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tactful.core.model import Millis
from tactful.ports import Policy, Remembered
from tactful.stores.memory.copies import data_copy
from tactful.stores.memory.tables import Tables


class Settings(Tables):
    """What people have decided, and what callers were told."""

    def epoch(self) -> int:
        """See `Reader.epoch`."""
        return len(self.versions)

    def policies(self, kind: str) -> list[Policy]:
        """See `Reader.policies`."""
        found = [row for row in self.newest.values() if row.kind == kind and row.body is not None]
        return [_copy(row) for row in sorted(found, key=lambda row: row.name)]

    def policy_history(self, kind: str, name: str | None = None) -> list[Policy]:
        """See `Reader.policy_history`."""
        return [
            _copy(row) for row in self.versions if row.kind == kind and name in (None, row.name)
        ]

    def put_policy(
        self, kind: str, name: str, body: Mapping[str, Any] | None, at: Millis, author: str
    ) -> int:
        """See `Tx.put_policy`."""
        row = _copy(Policy(len(self.versions) + 1, kind, name, body, at, author))
        self.journal.note(self.versions.__delitem__, slice(len(self.versions), None))
        self.versions.append(row)
        self.journal.put(self.newest, (kind, name), row)
        return row.version

    def remembered(self, keys: Sequence[str]) -> dict[str, Remembered]:
        """See `Reader.remembered`."""
        return {key: self.answers[key] for key in keys if key in self.answers}

    def remember(self, answers: Mapping[str, Remembered]) -> None:
        """See `Tx.remember`."""
        for key, value in answers.items():
            self.journal.put(self.answers, key, value)

    def note(self, key: str) -> str | None:
        """See `Reader.note`."""
        return self.small_values.get(key)

    def set_note(self, key: str, value: str) -> None:
        """See `Tx.set_note`."""
        self.journal.put(self.small_values, key, value)

    def clock(self) -> Millis:
        """See `Tx.clock`."""
        return int(self.note(_CLOCK) or 0)

    def set_clock(self, at: Millis) -> None:
        """See `Tx.set_clock`."""
        self.set_note(_CLOCK, str(at))


_CLOCK = "clock"


def _copy(row: Policy) -> Policy:
    return row if row.body is None else row._replace(body=data_copy(row.body))
