"""`tactful recipients`: who is registered."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import Progress

from tactful.app import Tactful
from tactful.cli.engine import opened
from tactful.cli.exits import REFUSED
from tactful.cli.options import columns, shared, show, wanted
from tactful.cli.people import BadLine, recipients_in
from tactful.core.errors import NotFound, RequestError
from tactful.core.model import Recipient

BATCH = 1_000
SHOWN_BAD = 20


@click.group("recipients")
def command() -> None:
    """Register and import people."""


@command.command("list")
@click.option("--after", type=int, default=0, help="Registration number to go on from.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
@shared
def list_(after: int, limit: int) -> None:
    """List who is registered, in the order of registration."""
    with opened() as app:
        page = app.recipients.page(after, limit)
    rows = [
        (n, one.id, one.name or "", one.email or "", one.timezone, " ".join(one.mute))
        for n, one in page
    ]
    lines = columns(("no", "id", "name", "email", "timezone", "mutes"), rows)
    if len(page) == limit:
        lines.append(f"(go on with --after {page[-1][0]})")
    show({"recipients": [{"number": n, **_plain(one)} for n, one in page]}, lines)


def _plain(person: Recipient) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "timezone": person.timezone,
        "locale": person.locale,
        "addresses": dict(person.addresses),
        "mute": list(person.mute),
    }


@command.command("add")
@click.argument("id")
@click.option("--name")
@click.option("--email")
@click.option("--timezone", default="UTC", show_default=True)
@click.option("--locale", default="en", show_default=True)
@click.option("--mute", multiple=True, metavar="WHAT", help="all, type:NAME, ...; repeatable.")
@click.option("--address", multiple=True, metavar="KIND=ADDRESS", help="Repeatable.")
@shared
def add(id: str, address: tuple[str, ...], **options: Any) -> None:  # noqa: A002
    """Register a person, or change one."""
    addresses = {}
    for text in address:
        kind, equals, where = text.partition("=")
        if not equals:
            raise RequestError("address", text, "must be such as sms=+4366012345")
        addresses[kind] = where
    with opened() as app:
        person = app.recipients.put(Recipient(id, addresses=addresses, **options))
    show(_plain(person), [f"registered {person.id}"])


@command.command("remove")
@click.argument("id")
@shared
def remove(id: str) -> None:  # noqa: A002 - the word that people see
    """Forget a person, by id or address; what was sent to them stays counted."""
    with opened() as app:
        if not app.recipients.remove(id):
            raise NotFound("id", id, "is not registered")
    show({"removed": id}, [f"removed {id}"])


# Import ---------------------------------------------------------------------------------------


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--skip-bad", is_flag=True, help="Leave bad lines out and go on.")
@shared
def import_(file: Path, skip_bad: bool) -> None:
    """Register people from a file, CSV with a header or one JSON object a line (- is stdin).

    Columns: id, email, name, timezone, locale, mute (separated by ;) and address.KIND. Without an
    id, the e-mail address is it. Every line is checked before the first person is written; if one
    is bad, none is, unless --skip-bad is given.
    """
    with tempfile.TemporaryFile() as copy, _progress() as progress:
        with _source(file) as source:
            shutil.copyfileobj(source, copy)
        good, bad = _check(copy, file, progress)
        new = 0
        written = skip_bad or not bad
        if written:
            with opened() as app:
                new = _write(app, copy, file, progress, good)
    data = {
        "imported": good if written else 0,
        "new": new,
        "bad": [one._asdict() for one in bad[:SHOWN_BAD]],
        "bad_count": len(bad),
    }
    for one in bad[:SHOWN_BAD]:
        click.echo(f"error: line {one.line}: {one.problem}", err=True)
    if len(bad) > SHOWN_BAD:
        click.echo(f"error: and {len(bad) - SHOWN_BAD} lines more", err=True)
    if written:
        show(data, [f"imported {good}, of which {new} new; bad lines left out: {len(bad)}"])
    else:
        show(data, [f"imported nobody: {len(bad)} bad lines; --skip-bad leaves them out"])
        click.get_current_context().exit(REFUSED)


def _source(file: Path) -> BinaryIO:
    try:
        return sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise RequestError("file", str(file), f"cannot be read: {error.strerror}") from None


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        console=console, transient=True, disable=wanted().json or not console.is_terminal
    )


def _check(copy: BinaryIO, file: Path, progress: Progress) -> tuple[int, list[BadLine]]:
    task = progress.add_task("checking", total=None)
    good, bad = 0, []
    for found in recipients_in(copy, file.suffix):
        if isinstance(found, BadLine):
            bad.append(found)
        else:
            good += 1
        if good % BATCH == 0:
            progress.update(task, completed=good)
    progress.update(task, total=good, completed=good)
    return good, bad


def _write(app: Tactful, copy: BinaryIO, file: Path, progress: Progress, total: int) -> int:
    task = progress.add_task("writing", total=total)
    new = 0
    batch: list[Recipient] = []
    for found in recipients_in(copy, file.suffix):
        if isinstance(found, Recipient):
            batch.append(found)
        if len(batch) == BATCH:
            new += app.recipients.put_many(batch)
            progress.advance(task, len(batch))
            batch = []
    if batch:
        new += app.recipients.put_many(batch)
        progress.advance(task, len(batch))
    return new
