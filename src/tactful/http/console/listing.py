"""The newest first, from a store that gives what it has in the order of acceptance.

Ids begin with the instant of their making (`engine.identity`), so a page of the newest is what
comes after an instant that is looked for: further and further back until there is enough, then
nearer until there is not too much. Each look costs as much as a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tactful.core.model import DAY, SECOND, Event, Millis
from tactful.ports import Delivery, Reader

PAGE: Final = 50
EVENTS_BACK: Final = 1_000_000
_STEP: Final = 8
_READ: Final = 1_000


def newest(
    reader: Reader, now: Millis, *, before: str = "", limit: int = PAGE, **wanted: Any
) -> tuple[list[Delivery], str]:
    """The last deliveries before an id, newest first, and the id before which to go on.

    There are at most `limit`, and may be fewer although there are more; "" means that nothing is
    older. `wanted` is as for `Reader.deliveries`.
    """

    def after(instant: Millis, most: int) -> list[Delivery]:
        rows = reader.deliveries(after=_least(instant), limit=most, **wanted)
        return [row for row in rows if not before or row.id < before]

    # Of a clock that was ahead there may be ids of tomorrow.
    end = _instant(before) + 1 if before else now + DAY
    width = SECOND if before else DAY + SECOND
    enough, much = end, -1  # no more than wanted comes after the one, too much after the other
    while enough > 0 and much < 0:
        start = max(0, end - width)
        if len(after(start, limit + 1)) > limit:
            much = start
        else:
            enough = start
        width *= _STEP
    while enough - much > 1 and much >= 0:
        middle = (enough + much) // 2
        if len(after(middle, limit + 1)) > limit:
            much = middle
        else:
            enough = middle
    rows = after(enough, limit + 1)
    if not rows and much >= 0:
        rows = [row for row in _burst(reader, much, wanted) if not before or row.id < before]
    rows = rows[-limit:]
    older = rows[0].id if rows and reader.deliveries(limit=1, **wanted)[0].id < rows[0].id else ""
    return rows[::-1], older


def _burst(reader: Reader, instant: Millis, wanted: Mapping[str, Any]) -> list[Delivery]:
    """All that were accepted in one millisecond: more than a page of them."""
    found: list[Delivery] = []
    after, end = _least(instant), _least(instant + 1)
    while page := reader.deliveries(after=after, limit=_READ, **wanted):
        found += [row for row in page if row.id < end]
        after = page[-1].id
        if after >= end:
            break
    return found


def latest_events(
    reader: Reader, *, limit: int, name: str | None = None, back: int = EVENTS_BACK
) -> Sequence[Event]:
    """The last events, newest first, of the last `back` ones."""
    last = reader.last_event()
    width = limit
    while True:
        found: list[Event] = []
        seq = max(0, last - width)
        while page := reader.events(after=seq, name=name, limit=_READ):
            found, seq = [*found, *page][-limit:], page[-1].seq
        if len(found) >= limit or width >= min(last, back):
            return found[::-1]
        width *= _STEP


def _least(instant: Millis) -> str:
    """Less than every id of an instant and more than every id before it."""
    return f"{instant:012x}"


def _instant(delivery_id: str) -> Millis:
    try:
        return int(delivery_id[:12], 16)
    except ValueError:
        return 0
