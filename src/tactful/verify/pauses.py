"""What stood still: between a pause and the end of it nothing of a notification is handed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tactful.verify.history import Attempt, Delivery, Event
from tactful.verify.reigns import NEVER

Spells = Mapping[str, Sequence[tuple[int, int]]]
"""For each notification from when to when it was paused."""


def spells_of(events: Iterable[Event]) -> Spells:
    """Read from the events, which are in their order."""
    found: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        mine = found.setdefault(event.notification, []) if event.notification else []
        stands = bool(mine) and mine[-1][1] == NEVER
        if event.name == "paused" and not event.delivery and not stands:
            mine.append((event.at, NEVER))
        elif event.name == "resumed" and not event.delivery and stands:
            mine[-1] = (mine[-1][0], event.at)
    return found


def broken_pauses(
    spells: Spells, delivery: Delivery, attempts: Sequence[Attempt], skew_ms: int
) -> Iterator[str]:
    """Attempts that were claimed while its notification was paused, whatever the clocks say."""
    for since, until in spells.get(delivery.notification, ()):
        for one in attempts:
            if since + skew_ms < one.at < until - skew_ms:
                yield f"was paused at {since}, and attempt {one.number} was at {one.at}"
