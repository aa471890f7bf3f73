"""`tactful links`: the secret that signs the links in mails."""

from __future__ import annotations

import click

from tactful.cli.engine import opened
from tactful.cli.options import shared, show

KEPT = "new links are signed with a new secret; those of earlier mails go on to work"
FORGOTTEN = "new links are signed with a new secret; those of earlier mails open nothing any more"


@click.group("links")
def command() -> None:
    """Change what signs the links in mails."""


@command.command("rotate")
@click.option("--forget", is_flag=True, help="Make the links of all earlier mails void.")
@shared
def rotate(*, forget: bool) -> None:
    """Sign the links of new mails with a new secret."""
    with opened() as app:
        app.links.change_secret(forget=forget)
    again = "start the processes that run again, so that they use it"
    show({"rotated": True, "forgotten": forget}, [FORGOTTEN if forget else KEPT, again])
