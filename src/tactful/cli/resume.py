"""`tactful resume`: let a paused notification go on."""

from __future__ import annotations

import click

from tactful.cli.engine import author, opened
from tactful.cli.options import shared, show


@click.command("resume")
@click.argument("id")
@shared
def command(id: str) -> None:  # noqa: A002 - the word that people see
    """Let a paused notification go on.

    Each of its deliveries is decided anew.

    ID is that of a notification.
    """
    with opened() as app:
        with app.store.reading() as reader:
            stood = any(one.id == id for one in reader.paused_notifications())
        count = app.resume(id, by=author())
    show({"resumed": count}, [f"resumed {count}" if stood else "it was not paused"])
