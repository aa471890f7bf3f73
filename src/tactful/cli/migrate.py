"""`tactful migrate`: bring the schema of the store up to date."""

from __future__ import annotations

import click
from rich.console import Console

from tactful.cli.engine import configured
from tactful.cli.exits import PENDING
from tactful.cli.options import shared, show, wanted
from tactful.stores.chosen import open_store, schema_of


@click.command("migrate")
@click.option("--check", is_flag=True, help="Only tell; exit with 1 if there is something to do.")
@shared
def command(check: bool) -> None:
    """Bring the schema of the store up to date.

    Forward only, all of it or nothing; an empty database gets its tables. A SQLite file is brought
    up to date whenever it is opened, PostgreSQL here alone.
    """
    config = configured()
    shown = config.shown_store
    schema = schema_of(config.store)
    if schema is None:
        show({"store": shown, "from": None, "to": None}, [f"{shown} has no schema"])
        return
    found, newest = schema
    behind = found < newest
    if behind and not check:
        console = Console(stderr=True, quiet=wanted().json)
        with console.status(f"Changing the schema from {found} to {newest}"):
            open_store(config.store, migrated=True).close()
    if not behind:
        said = f"the schema is {found}, as this program needs it"
    elif check:
        said = f"the schema is {found}, this program needs {newest}: run tactful migrate"
    else:
        said = f"the schema was {found} and is {newest} now"
    data = {"store": shown, "from": found, "to": newest, "migrated": behind and not check}
    show(data, [f"{shown}: {said}"])
    if behind and check:
        click.get_current_context().exit(PENDING)
