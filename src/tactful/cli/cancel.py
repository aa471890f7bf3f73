"""`tactful cancel`: call off what has not gone out yet."""

from __future__ import annotations

import click

from tactful.cli.engine import opened
from tactful.cli.options import shared, show


@click.command("cancel")
@click.argument("id")
@shared
def command(id: str) -> None:  # noqa: A002 - the word that people see
    """Call off what has not gone out yet.

    ID is that of a delivery or of a notification, with all of its deliveries.
    """
    with opened() as app:
        count = app.cancel(id)
        with app.store.reading() as reader:
            found = reader.notifications([id]).get(id)
    ended = count or (found is not None and found.cancelled)
    show({"cancelled": count}, [f"cancelled {count}" if ended else "nothing of it was waiting"])
