"""`tactful why`: where a delivery is, and why."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tactful.app import Tactful
from tactful.cli.engine import opened
from tactful.cli.instants import instant
from tactful.cli.options import columns, facts, shared, show
from tactful.core.errors import NotFound
from tactful.core.model import Millis
from tactful.engine.insight import Why
from tactful.engine.zones import iso
from tactful.ports import Delivery

SHOWN = 20


@click.command("why")
@click.argument("id")
@shared
def command(id: str) -> None:  # noqa: A002 - the word that people see
    """Explain where a delivery is, and why.

    ID is that of a delivery, or of a notification: one with several deliveries is listed.
    """
    with opened() as app:
        found = _deliveries(app, id)
        if len(found) == 1:
            answer = app.why(found[0])
            show(answer.to_dict(), _lines(answer, app.clock.now()))
        else:
            rows = [app.delivery(delivery_id) for delivery_id in found]
            known = [row for row in rows if row is not None]
            show({"deliveries": [_row(row) for row in known]}, _listed(known))


def _deliveries(app: Tactful, wanted: str) -> list[str]:
    if app.delivery(wanted) is not None:
        return [wanted]
    found = [row.id for row in app.deliveries(notification_id=wanted, limit=SHOWN)]
    if not found:
        raise NotFound("id", wanted, "names no delivery and no notification with deliveries")
    return found


def _row(row: Delivery) -> dict[str, str]:
    return {"delivery_id": row.id, "recipient": row.recipient, "state": row.state.value}


def _listed(rows: list[Delivery]) -> Iterator[str]:
    yield f"This notification has several deliveries; the first {len(rows)}:"
    yield from columns(
        ("delivery", "recipient", "state", "rule"),
        [(row.id, row.recipient, row.state, row.rule or "") for row in rows],
    )


def _lines(why: Why, now: Millis) -> Iterator[str]:
    yield why.text[:1].upper() + why.text[1:] + "."
    yield ""
    rule = why.rule and (f"{why.rule} ({why.limit})" if why.limit else why.rule)
    yield from facts(
        [
            ("state", why.state),
            ("decision", why.decision),
            ("rule", rule),
            ("reason", why.reason),
            ("deliver at", instant(why.deliver_at, now)),
            ("place in line", why.place),
            ("notification", why.notification_id),
        ]
    )
    if why.fills:
        yield from ("", "What fills the window:")
        rows = [
            (instant(at, now), kind.type, kind.channel, "sent" if at <= now else "planned")
            for at, kind in why.fills
        ]
        yield from ("  " + line for line in columns(("at", "type", "channel", ""), rows))
    if why.attempts:
        yield from ("", "Attempts:")
        tried = [
            (one.number, iso(one.at), one.outcome or "under way", one.detail or "")
            for one in why.attempts
        ]
        yield from ("  " + line for line in columns(("no", "at", "outcome", "detail"), tried))
    yield from ("", "What happened:")
    for event in why.events:
        data = ", ".join(f"{key} {value}" for key, value in event.data.items())
        yield f"  {iso(event.at)}  {event.name}" + (f"  ({data})" if data else "")
