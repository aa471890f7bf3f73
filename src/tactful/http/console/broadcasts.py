"""Broadcasts: how far they have come, pausing them and calling them off."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from tactful.core.errors import NotFound
from tactful.core.lifecycle import FINISHED, WAITING
from tactful.http.console.gate import Console, Editor, Here, Viewer
from tactful.http.console.listing import latest_events
from tactful.http.console.pages import every, moved, page
from tactful.ports import Notification, Reader
from tactful.runtime.clock import seconds

router = APIRouter()
SHOWN: Final = 20
LIST_S: Final = 3
ONE_S: Final = 2


@router.get("/broadcasts")
def broadcasts(visit: Viewer, console: Here) -> Response:
    """The last ones, newest first."""
    began = seconds()
    with console.app.store.reading() as reader:
        events = latest_events(reader, limit=SHOWN, name="broadcast.accepted")
        ids = [event.notification_id for event in events]
        going = [*reader.unfinished_broadcasts(), *reader.paused_notifications()]
        under_way = [
            one.id
            for one in {one.id: one for one in going}.values()
            if one.audience_end and one.id not in ids
        ]
        found = reader.notifications([*under_way, *ids])
        rows = [_shown(reader, found[one]) for one in [*under_way, *ids] if one in found]
    now, rest = console.app.clock.now(), every(seconds() - began, LIST_S)
    return page("broadcasts.html.j2", visit, area="broadcasts", now=now, rows=rows, every=rest)


@router.get("/broadcasts/{broadcast_id}")
def broadcast(broadcast_id: str, visit: Viewer, console: Here, said: str = "") -> Response:
    """One of them, with what became of its deliveries."""
    began = seconds()
    found = _known(console, broadcast_id)
    with console.app.store.reading() as reader:
        row = _shown(reader, found)
    now, rest = console.app.clock.now(), every(seconds() - began, ONE_S)
    return page(
        "broadcast.html.j2", visit, area="broadcasts", said=said, now=now, row=row, every=rest
    )


@router.post("/broadcasts/{broadcast_id}/cancel")
def cancel(broadcast_id: str, visit: Editor, console: Here) -> Response:
    """Reach nobody else, and call off what still waits."""
    console.app.cancel(_known(console, broadcast_id).id)
    return moved(f"broadcasts/{broadcast_id}", said="cancelled")


@router.post("/broadcasts/{broadcast_id}/pause")
def pause(broadcast_id: str, visit: Editor, console: Here) -> Response:
    """Reach nobody else and hand nothing more over, for now."""
    console.app.pause(_known(console, broadcast_id).id, by=visit.author)
    return moved(f"broadcasts/{broadcast_id}", said="paused")


@router.post("/broadcasts/{broadcast_id}/resume")
def resume(broadcast_id: str, visit: Editor, console: Here) -> Response:
    """Go on with it."""
    console.app.resume(_known(console, broadcast_id).id, by=visit.author)
    return moved(f"broadcasts/{broadcast_id}", said="resumed")


def _known(console: Console, broadcast_id: str) -> Notification:
    with console.app.store.reading() as reader:
        found = reader.notifications([broadcast_id]).get(broadcast_id)
    if found is None or not found.audience_end:
        raise NotFound("broadcast_id", broadcast_id, "names no broadcast")
    return found


def _shown(reader: Reader, one: Notification) -> dict[str, Any]:
    counts = reader.counts(one.id)
    left = one.cursor is not None and not one.cancelled
    return {
        "id": one.id,
        "type": one.type,
        "subject": one.content.subject or one.content.template or one.content.text[:60],
        "created_at": one.created_at,
        "cancelled": one.cancelled,
        "paused_at": one.paused_at if one.paused else None,
        "paused_by": one.paused_by,
        "reaching": left,
        "reached": one.cursor if one.cursor is not None else one.audience_end,
        "audience": one.audience_end,
        "counts": {state.value: number for state, number in counts.items()},
        "total": sum(counts.values()),
        "finished": sum(number for state, number in counts.items() if state not in WAITING),
        "can_cancel": left or any(counts.get(state) for state in WAITING),
        "goes_on": left or not FINISHED.issuperset(counts),
    }
