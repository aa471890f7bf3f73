"""One recipient's line: who waits, and which slots they hold.

A delivery respects the slots of those that wait ahead of it: of its own priority or above, and of
those whose receipt said "send". It ignores the others, who find out at their turn. Members of one
digest hold one slot together. Whoever is due only to expire holds none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from tactful.core.checks import Checks
from tactful.core.model import NEVER, Entry, Kind, Millis
from tactful.ports import Delivery, Line


def slots(waiting: Iterable[Delivery]) -> list[Millis]:
    """The slots of those who wait."""
    return [other.due_at for other in waiting if other.due_at < other.expires_at]


def end_of_line(gate: str, epoch: int) -> str:
    """The name of the cell that holds the end of a gate's line, under the rules of an epoch."""
    return f"{gate}\n{epoch}"


class Lines:
    """The lines of some recipients, kept up while decisions are made in one transaction."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._waiting = {recipient: list(line.waiting) for recipient, line in lines.items()}
        self._totals = {recipient: line.total for recipient, line in lines.items()}

    def total(self, recipient: str) -> int:
        """How many wait."""
        return self._totals.get(recipient, 0)

    def planned(
        self,
        recipient: str,
        kind: Kind,
        now: Millis,
        *,
        skip: AbstractSet[str] = frozenset(),
        overdue: Literal["all", "promised", "none"] = "all",
        ahead_of: str = "",
    ) -> list[Entry]:
        """The slots that a delivery of this kind must respect; `overdue` ones count as now.

        `ahead_of` is a delivery that has had a slot: it gives way to those of its priority who were
        accepted before it, and not to those who come after.
        """
        waiting = self._waiting.get(recipient)
        if not waiting:
            return []
        entries: list[Entry] = []
        digests: set[tuple[str, str]] = set()
        for other in waiting:
            if other.id in skip or other.due_at >= min(other.expires_at, NEVER):
                continue
            if other.priority < kind.priority and not other.promised:
                continue
            after = ahead_of and other.id > ahead_of and other.priority == kind.priority
            if after and not other.promised:
                continue
            if other.due_at <= now and not (
                overdue == "all" or (overdue == "promised" and other.promised)
            ):
                continue
            if other.group.startswith("digest:"):
                key = (other.group, other.channel)
                if key in digests:
                    continue
                digests.add(key)
            entries.append(Entry(max(other.due_at, now), other.kind))
        entries.sort()
        return entries

    def begins(self, recipient: str, checks: Checks) -> Millis:
        """Where to start looking for a slot behind a line too long to be known whole, else 0.

        A line that these checks do not count is none for them.
        """
        waiting = self._waiting.get(recipient, ())
        if len(waiting) >= self.total(recipient) or not waiting:
            return 0
        kinds = {other.kind for other in waiting}
        if any(bound.counted[kind] for bound in checks.bounds for kind in kinds):
            return waiting[0].due_at
        return 0

    def in_group(self, recipient: str, channel: str, group: str) -> list[Delivery]:
        """Who waits in a digest or collapse group."""
        return [
            other
            for other in self._waiting.get(recipient, ())
            if other.group == group and other.channel == channel
        ]

    def enter(self, delivery: Delivery) -> None:
        """A delivery joins its recipient's line."""
        self._waiting.setdefault(delivery.recipient, []).append(delivery)
        self._totals[delivery.recipient] = self.total(delivery.recipient) + 1

    def leave(self, recipient: str, ids: Sequence[str]) -> None:
        """Deliveries leave their recipient's line."""
        gone = set(ids)
        waiting = self._waiting.get(recipient, [])
        kept = [other for other in waiting if other.id not in gone]
        self._waiting[recipient] = kept
        self._totals[recipient] = self.total(recipient) - (len(waiting) - len(kept))
