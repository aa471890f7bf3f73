"""Deliveries: all, those that failed, and one of them with why and what happened to it."""

from __future__ import annotations

import html
from typing import Any

from fastapi import APIRouter, Response

from tactful.core.errors import NotFound, RequestError
from tactful.core.lifecycle import WAITING
from tactful.core.model import State
from tactful.core.names import recipient_key
from tactful.engine.compose import Composer
from tactful.engine.people import find
from tactful.engine.rulebook import Rulebook
from tactful.http.console.gate import Console, Editor, Here, Viewer
from tactful.http.console.listing import PAGE, newest
from tactful.http.console.pages import foreign, moved, page
from tactful.ports import Delivery
from tactful.templates.library import Rendered, RenderError

router = APIRouter()
AGAIN = (State.FAILED, State.UNKNOWN)


@router.get("/deliveries")
def deliveries(
    *,
    visit: Viewer,
    console: Here,
    state: str = "",
    recipient: str = "",
    notification: str = "",
    before: str = "",
    said: str = "",
) -> Response:
    """The newest first, of all or of those that are asked for."""
    wanted: dict[str, Any] = {}
    if state in set(State):
        wanted["state"] = State(state)
    if notification.strip():
        wanted["notification_id"] = notification.strip()
    now = console.app.clock.now()
    with console.app.store.reading() as reader:
        if recipient.strip():
            wanted["recipient"] = find(reader, [recipient])[recipient].id
        rows, older = newest(reader, now, before=before, **wanted)
    return page(
        "deliveries.html.j2",
        visit,
        area="deliveries",
        said=said,
        now=now,
        rows=rows,
        older=older,
        state=state,
        recipient=recipient,
        notification=notification,
        before=before,
        states=[one.value for one in State],
        live=not (before or "state" in wanted),
    )


@router.get("/deliveries/{delivery_id}")
def delivery(delivery_id: str, visit: Viewer, console: Here, said: str = "") -> Response:
    """One delivery: where it is, why, and how it came there."""
    row = _known(console, delivery_id)
    return page(
        "delivery.html.j2",
        visit,
        area="deliveries",
        said=said,
        now=console.app.clock.now(),
        row=row,
        why=console.app.why(row.id),
        waits=row.state in WAITING,
        again=row.state in AGAIN,
    )


@router.get("/deliveries/{delivery_id}/content")
def content(delivery_id: str, visit: Viewer, console: Here) -> Response:
    """What it says, as a document for a frame of an origin of its own."""
    row = _known(console, delivery_id)
    with console.app.store.reading() as reader:
        found = reader.notifications([row.notification_id])[row.notification_id].content
        book = Rulebook().current(reader)
        person = reader.recipient(row.recipient)
    try:
        parts = Composer(console.app.links).render(
            found, book, person.locale if person is not None else "en", row
        )
    except (RenderError, RequestError) as error:
        parts = Rendered("", f"It cannot be rendered: {error}", None)
    return foreign(document(parts))


def document(parts: Rendered) -> str:
    """A message as a document: its subject, its text, and its HTML as it was written."""
    said = html.escape(parts.text)
    text = f"<details><summary>As text</summary><pre>{said}</pre></details>"
    body = f"{parts.html}<hr>{text}" if parts.html else f"<pre>{said}</pre>"
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Message</title>'
        "<style>body { margin: 1rem; font: 1rem/1.5 sans-serif; color: #222; background: #fff }"
        "pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }</style>"
        f"<p><b>{html.escape(parts.subject) or '(no subject)'}</b></p><hr>{body}"
    )


@router.post("/deliveries/{delivery_id}/cancel")
def cancel(delivery_id: str, visit: Editor, console: Here) -> Response:
    """Call it off, if it still waits."""
    said = "cancelled" if console.app.cancel(_known(console, delivery_id).id) else "same"
    return moved(f"deliveries/{delivery_id}", said=said)


@router.post("/deliveries/{delivery_id}/retry")
def retry(delivery_id: str, visit: Editor, console: Here) -> Response:
    """Put it back into the queue."""
    said = "queued" if console.app.retry(_known(console, delivery_id).id) else "not-queued"
    return moved(f"deliveries/{delivery_id}", said=said)


def _known(console: Console, delivery_id: str) -> Delivery:
    row = console.app.delivery(delivery_id)
    if row is None:
        raise NotFound("delivery_id", delivery_id, "names no delivery")
    return row


# What failed ----------------------------------------------------------------------------------


@router.get("/failed")
def failed(
    visit: Viewer, console: Here, state: str = "failed", before: str = "", said: str = ""
) -> Response:
    """What was given up, or of which nobody knows whether it arrived."""
    wanted = State(state) if state in AGAIN else State.FAILED
    now = console.app.clock.now()
    with console.app.store.reading() as reader:
        rows, older = newest(reader, now, before=before, state=wanted)
        counts = reader.counts()
    return page(
        "failed.html.j2",
        visit,
        area="failed",
        said=said,
        now=now,
        rows=rows,
        older=older,
        state=wanted.value,
        counts={one.value: counts.get(one, 0) for one in AGAIN},
    )


@router.post("/failed")
def redrive(visit: Editor, console: Here) -> Response:
    """Put those that were ticked back into the queue."""
    ids = [name.removeprefix("id-") for name in visit.form if name.startswith("id-")]
    done = [one for one in ids[:PAGE] if console.app.retry(_known(console, one).id)]
    return moved("failed", state=visit.form.get("state"), said="queued" if done else "not-queued")


# People ---------------------------------------------------------------------------------------


@router.get("/recipients")
def recipients(visit: Viewer, console: Here, after: int = 0) -> Response:
    """Who is registered, in the order of registration."""
    rows = console.app.recipients.page(max(0, min(after, 2**62)), PAGE)
    more = rows[-1][0] if len(rows) == PAGE else 0
    return page("recipients.html.j2", visit, area="recipients", rows=rows, more=more)


@router.get("/recipient")
def recipient(visit: Viewer, console: Here, id: str = "", before: str = "") -> Response:  # noqa: A002
    """One person: who they are, what they do not want, and what was sent to them and why."""
    recipient_key(id, "recipient")
    now = console.app.clock.now()
    with console.app.store.reading() as reader:
        person = find(reader, [id])[id]
        registered = reader.recipient(person.id) is not None
        rows, older = newest(reader, now, before=before, recipient=person.id)
        kept = reader.suppressions([recipient_key(a) for a in {person.email, person.id} if a])
    return page(
        "recipient.html.j2",
        visit,
        area="recipients",
        now=now,
        person=person,
        registered=registered,
        rows=[(row, console.app.why(row.id)) for row in rows],
        older=older,
        before=before,
        suppressions=kept,
    )
