"""`tactful retry`: a failed delivery goes back into the queue."""

from __future__ import annotations

import click

from tactful.cli.engine import opened
from tactful.cli.options import shared, show
from tactful.core.errors import RequestError


@click.command("retry")
@click.argument("id")
@shared
def command(id: str) -> None:  # noqa: A002 - the word that people see
    """Put a failed delivery back into the queue.

    Its tries start anew; what it has used of the limits stays used.
    """
    with opened() as app:
        if not app.retry(id):
            delivery = app.delivery(id)
            state = delivery.state.value if delivery is not None else "gone"
            raise RequestError("id", id, f"is {state}; only failed and unknown can be tried again")
    show({"queued": id}, [f"{id} is in the queue again"])
