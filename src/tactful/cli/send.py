"""`tactful send`: one notification to one recipient."""

from __future__ import annotations

from typing import Any

import click

from tactful.app import Tactful
from tactful.cli.content import content, fields_of
from tactful.cli.engine import opened
from tactful.cli.exits import NOT_SENT
from tactful.cli.instants import instant
from tactful.cli.options import facts, shared, show
from tactful.core.model import Millis, State
from tactful.engine.requests import Receipt

_NO = ("reject", "suppress", "expire")
_GONE = (State.SENT, State.DELIVERED, State.DIGESTED)
_WAITING = (State.QUEUED, State.DEFERRED, State.SENDING)


@click.command("send")
@click.argument("type")
@click.argument("to")
@content
@shared
def command(type: str, to: str, wait: bool, **options: Any) -> None:  # noqa: A002
    """Submit one notification to one recipient.

    TYPE is what rules speak of, such as news; TO is a recipient's id or an address. Exits with 3
    if it will not go: a rule rejects it, or the recipient does not want it.
    """
    with opened() as app:
        receipt = app.send(type=type, to=to, **fields_of(**options))
        if wait:
            app.start()
            app.drain()
            app.stop()
        receipts = (receipt, *receipt.others)
        data = receipt.to_dict()
        if wait:
            data["state"] = _state(app, receipt)
        lines = []
        for one in receipts:
            lines += _lines(one, app.clock.now(), _state(app, one) if wait else None)
        show(data, lines)
        refused = [one.decision in _NO for one in receipts]
    if all(refused):
        click.get_current_context().exit(NOT_SENT)


def _state(app: Tactful, receipt: Receipt) -> str | None:
    delivery = app.delivery(receipt.delivery_id) if receipt.delivery_id else None
    return delivery.state.value if delivery is not None else None


def _lines(receipt: Receipt, now: Millis, state: str | None) -> list[str]:
    done = state in _GONE
    return facts(
        [
            ("decision", receipt.decision + (" (as before)" if receipt.replayed else "")),
            ("rule", receipt.rule),
            ("reason", receipt.reason),
            ("state", state),
            ("deliver at", None if done else instant(receipt.deliver_at, now)),
            ("retry at", instant(receipt.retry_at, now)),
            ("remaining", receipt.remaining),
            ("channel", receipt.channel),
            ("delivery", receipt.delivery_id),
            ("notification", receipt.notification_id),
        ]
    )
