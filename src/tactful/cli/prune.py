"""`tactful prune`: delete what has served its time."""

from __future__ import annotations

import click
from rich.console import Console

from tactful.cli.engine import opened
from tactful.cli.options import shared, show, wanted
from tactful.engine.requests import parse_duration


@click.command("prune")
@click.option("--older-than", metavar="SPAN", help="Such as 90d; default: engine.keep.")
@shared
def command(older_than: str | None) -> None:
    """Delete what has served its time.

    Finished deliveries with their events go; what a limit still counts stays. A worker does the
    same on its own, a little every hour.
    """
    keep = None if older_than is None else parse_duration(older_than, "older-than")
    console = Console(stderr=True, quiet=wanted().json)
    with opened() as app, console.status("Deleting what has served its time"):
        gone = app.prune(keep)
    show({"deleted": gone}, [f"deleted {gone} rows" if gone else "nothing was old enough"])
