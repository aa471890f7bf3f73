"""`tactful copy`: everything from one store into another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from tactful.cli.options import columns, note, shared, show, wanted
from tactful.core.errors import ConfigError
from tactful.stores.chosen import open_store, schema_of
from tactful.stores.relational.copying import (
    TABLES,
    Copied,
    Copyable,
    copy_tables,
    require_empty,
)
from tactful.stores.urls import without_password


@click.command("copy")
@click.argument("source")
@click.argument("target")
@click.option(
    "--while-sending", is_flag=True, help="A rehearsal: copy though the source is being changed."
)
@shared
def command(source: str, target: str, while_sending: bool) -> None:
    """Copy everything from one store into an empty one.

    SOURCE and TARGET are URLs, of SQLite or PostgreSQL. Every row is read back and compared; there
    is all of it in the end, or nothing. Nobody can send from the source meanwhile, or write to it.
    """
    with _opened(source, "source") as origin, _opened(target, "target") as place:
        if not while_sending and origin.in_use():
            raise ConfigError(
                "source: somebody sends from it, or its server was just started: stop the workers,"
                " or rehearse with --while-sending"
            )
        done = _copy(origin, place, still=not while_sending)
    changed = sum(one.changed for one in done)
    shown = without_password(target)
    data = {
        "source": without_password(source),
        "target": shown,
        "tables": {one.table: {"rows": one.rows, "checksum": one.checksum} for one in done},
        "changed": changed,
        "complete": not while_sending,
    }
    rows = sum(one.rows for one in done)
    said = [
        *columns(("table", "rows", "checksum"), [one[:3] for one in done]),
        "",
        f"copied {rows} rows to {shown}; what was read back is the same",
    ]
    if changed:
        said.append(f"{changed} texts held NUL, for which the copy has U+FFFD")
    show(data, said)
    if while_sending:
        note("what was sent or accepted meanwhile is not in the copy: do not send from it")
    else:
        note("let every program use the target now: what the source still takes stays there")


@contextmanager
def _opened(url: str, which: str) -> Iterator[Copyable]:
    """A store whose tables can be copied; as a source it has to be there."""
    schema = schema_of(url)
    if schema is None:
        raise ConfigError(f"{which}: must be on SQLite or PostgreSQL (got {url!r})")
    if which == "source" and not schema.found:
        raise ConfigError(f"source: there is no store {without_password(url)}")
    store = open_store(url)
    try:
        assert isinstance(store, Copyable), "every store with a schema"
        yield store
    finally:
        store.close()


def _copy(origin: Copyable, place: Copyable, *, still: bool) -> list[Copied]:
    console = Console(stderr=True)
    hidden = wanted().json or not console.is_terminal
    with (
        Progress(console=console, transient=True, disable=hidden) as progress,
        place.incoming() as target,
    ):
        # Before the source is held: they may be the same.
        require_empty(target)
        with origin.outgoing(still=still) as rows:
            total = sum(rows.count(table) for table in TABLES)
            task = progress.add_task("copying and comparing", total=2 * total)
            return copy_tables(rows, target, lambda seen: progress.advance(task, seen))
