"""The options that every command has, before or after its name, and how answers are printed.

Light on purpose: `tactful --help` imports this and nothing of the engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tactful.core.errors import RequestError, TactfulError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Wanted:
    """What the options say; the one after the command's name wins."""

    config: Path | None = None
    store: str | None = None
    json: bool = False


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    options = context.ensure_object(Wanted)  # by the group, so that its commands share it
    if value and parameter.name is not None:
        setattr(options, parameter.name, value)


def shared(command: F) -> F:
    """Give a command `--config`, `--store` and `--json`."""
    for decorate in (
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_keep,
            help="Print one JSON document and nothing else.",
        ),
        click.option(
            "--store",
            metavar="URL",
            expose_value=False,
            callback=_keep,
            help="The store; overrules file and environment.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            envvar="TACTFUL_CONFIG",
            metavar="FILE",
            expose_value=False,
            callback=_keep,
            help="The configuration; default: tactful.toml here.",
        ),
    ):
        command = decorate(command)
    return command


def wanted() -> Wanted:
    """What the options of the running command say."""
    return click.get_current_context().ensure_object(Wanted)


# Answers --------------------------------------------------------------------------------------


def show(data: Any, lines: Iterable[str]) -> None:
    """Print an answer: `data` with `--json`, else `lines`."""
    if wanted().json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))
        return
    for line in lines:
        click.echo(line)


def note(text: str) -> None:
    """Say something in passing, on stderr; nothing with `--json`."""
    if not wanted().json:
        click.echo(text, err=True)


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines with aligned columns under their names."""
    table = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """One `name  value` line for each pair that has a value, aligned."""
    given = [(name, str(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in given), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in given]


def complain(error: TactfulError) -> None:
    """Print an error: one line on stderr, and with `--json` a document on stdout too."""
    click.echo(f"error: {error}", err=True)
    if wanted().json:
        body: dict[str, Any] = {"code": getattr(error, "code", type(error).__name__.lower())}
        if isinstance(error, RequestError):
            body |= {"field": error.field, "value": error.value, "bound": error.bound}
        body["message"] = str(error)
        click.echo(json.dumps({"error": body}, indent=2, ensure_ascii=False, default=repr))
