"""`tactful broadcast`: one notification to everyone who is registered now."""

from __future__ import annotations

from typing import Any

import click

from tactful.cli.content import content, fields_of
from tactful.cli.engine import opened
from tactful.cli.options import facts, shared, show


@click.command("broadcast")
@click.argument("type")
@content
@shared
def command(type: str, wait: bool, **options: Any) -> None:  # noqa: A002
    """Submit one notification to everyone registered.

    Returns as soon as it is stored; `tactful work` decides and sends it person by person.
    """
    with opened() as app:
        receipt = app.broadcast(type=type, **fields_of(**options))
        data = receipt.to_dict()
        pairs: list[tuple[str, object]] = [
            ("decision", receipt.decision + (" (as before)" if receipt.replayed else "")),
            ("notification", receipt.notification_id),
        ]
        if wait:
            app.start()
            app.drain()
            app.stop()
            stats = app.stats(receipt.notification_id)
            more = {"waiting": len(stats.waiting), "not_sent": len(stats.not_sent)}
            figures = {**stats.to_dict(), **more}
            data["stats"] = figures
            pairs += [(name.replace("_", " "), value) for name, value in figures.items()]
        show(data, facts(pairs))
