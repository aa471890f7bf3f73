"""`tactful pause`: hand over nothing more of a notification."""

from __future__ import annotations

import click

from tactful.cli.engine import author, opened
from tactful.cli.options import shared, show


@click.command("pause")
@click.argument("id")
@shared
def command(id: str) -> None:  # noqa: A002 - the word that people see
    """Hand over nothing more of a notification until it is resumed.

    What is in hand already may still go. What waits gives up its slot, and expires as it would.

    ID is that of a notification.
    """
    with opened() as app:
        count = app.pause(id, by=author())
        with app.store.reading() as reader:
            stands = reader.notifications([id])[id].paused
    show({"paused": count}, [f"paused {count}" if stands else "nothing of it was waiting"])
