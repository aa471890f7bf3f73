"""Deliveries, notifications and events: what became of what was submitted, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tactful.app import Tactful
from tactful.core.errors import NotFound
from tactful.core.model import Event, State
from tactful.core.names import recipient_key
from tactful.engine.insight import Why
from tactful.http import answers
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Sender, Viewer
from tactful.http.places import After, AfterNumber, IdPath, IdQuery, Limit, WhoQuery
from tactful.http.versions import author_of
from tactful.http.worlds import Both
from tactful.ports import Delivery

router = APIRouter(tags=["deliveries"], route_class=GuardedRoute)


def shown(row: Delivery) -> dict[str, Any]:
    """A delivery as it is told."""
    return {
        "id": row.id,
        "notification_id": row.notification_id,
        "recipient": row.recipient,
        "channel": row.channel,
        "address": row.address,
        "type": row.type,
        "category": row.category,
        "priority": row.priority,
        "state": row.state.value,
        "rule": row.rule,
        "reason": row.reason,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "deliver_at": row.due_at if row.state in (State.QUEUED, State.DEFERRED) else None,
        "expires_at": row.expires_at,
        "opened_at": row.opened_at,
        "clicked_at": row.clicked_at,
        "digest_id": row.digest_id,
    }


def told(event: Event) -> dict[str, Any]:
    """An event as it is told."""
    return {
        "seq": event.seq,
        "name": event.name,
        "at": event.at,
        "delivery_id": event.delivery_id or None,
        "notification_id": event.notification_id or None,
        "recipient": event.recipient or None,
        "data": dict(event.data),
    }


def explained(why: Why) -> dict[str, Any]:
    """An explanation as it is told."""
    attempts = [
        {
            "number": one.number,
            "at": one.at,
            "counts": one.counts,
            "outcome": one.outcome,
            "detail": one.detail,
        }
        for one in why.attempts
    ]
    return {**why.to_dict(), "attempts": attempts, "events": [told(event) for event in why.events]}


def _meant(app: Tactful, who: str) -> str:
    """The id behind an id or an address, registered or not."""
    person = app.recipients.get(who)
    return recipient_key(who) if person is None else person.id


@router.get("/deliveries", response_model=answers.Page[answers.Delivery])
def deliveries(
    *,
    key: Viewer,
    worlds: Both,
    notification_id: IdQuery = None,
    recipient: WhoQuery = None,
    state: State | None = None,
    cursor: After = "",
    limit: Limit = 100,
) -> Any:
    """Deliveries in the order of acceptance, page by page."""
    app = worlds.of(key)
    rows = app.deliveries(
        notification_id=notification_id,
        recipient=None if recipient is None else _meant(app, recipient),
        state=state,
        after=cursor,
        limit=limit,
    )
    return {
        "items": [shown(row) for row in rows],
        "next": rows[-1].id if len(rows) == limit else None,
    }


@router.get("/deliveries/{delivery_id}", response_model=answers.Delivery)
def delivery(delivery_id: IdPath, key: Viewer, worlds: Both) -> Any:
    """One delivery."""
    return shown(_known(worlds.of(key), delivery_id))


@router.get("/deliveries/{delivery_id}/why", response_model=answers.Why)
def why(delivery_id: IdPath, key: Viewer, worlds: Both) -> Any:
    """Why a delivery is where it is: the rule, what fills its window, and its place in the line."""
    return explained(worlds.of(key).why(delivery_id))


@router.post("/deliveries/{delivery_id}/cancel", response_model=answers.Cancelled)
def cancel(delivery_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Call off a delivery that still waits."""
    app = worlds.of(key)
    return {"cancelled": app.cancel(_known(app, delivery_id).id)}


@router.post("/deliveries/{delivery_id}/retry", response_model=answers.Queued)
def retry(delivery_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Put a failed or unknown delivery back into the queue."""
    return {"queued": worlds.of(key).retry(delivery_id)}


def _known(app: Tactful, delivery_id: str) -> Delivery:
    found = app.delivery(delivery_id)
    if found is None:
        raise NotFound("delivery_id", delivery_id, "names no delivery")
    return found


@router.get("/notifications/{notification_id}", response_model=answers.Figures)
def notification(notification_id: IdPath, key: Viewer, worlds: Both) -> Any:
    """The figures of a notification: how many were sent, received, lost, opened."""
    found = worlds.of(key).stats(notification_id)
    return {
        "notification_id": notification_id,
        **found.to_dict(),
        "waiting": len(found.waiting),
        "not_sent": len(found.not_sent),
    }


@router.post("/notifications/{notification_id}/cancel", response_model=answers.Cancelled)
def cancel_all(notification_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Call off all of a notification that still waits."""
    app = worlds.of(key)
    with app.store.reading() as reader:
        if notification_id not in reader.notifications([notification_id]):
            raise NotFound("notification_id", notification_id, "names no notification")
    return {"cancelled": app.cancel(notification_id)}


@router.post("/notifications/{notification_id}/pause", response_model=answers.Paused)
def pause(notification_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Hand over nothing more of a notification until it is resumed.

    What is in hand already may still go. What waits gives up its slot; it expires as it would.
    """
    return {"paused": worlds.of(key).pause(notification_id, by=author_of(key))}


@router.post("/notifications/{notification_id}/resume", response_model=answers.Resumed)
def resume(notification_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Decide anew about all of a notification that was paused."""
    return {"resumed": worlds.of(key).resume(notification_id, by=author_of(key))}


@router.get("/events", response_model=answers.Events)
def events(
    *,
    key: Viewer,
    worlds: Both,
    delivery_id: IdQuery = None,
    notification_id: IdQuery = None,
    name: Annotated[str | None, Query(pattern=r"^[a-z_.]{1,100}$")] = None,
    cursor: AfterNumber = 0,
    limit: Limit = 100,
) -> Any:
    """Facts in their order; `next` is where to go on, also when there is nothing more yet."""
    found = worlds.of(key).events(
        after=cursor,
        delivery_id=delivery_id,
        notification_id=notification_id,
        name=name,
        limit=limit,
    )
    return {"items": [told(event) for event in found], "next": found[-1].seq if found else cursor}
