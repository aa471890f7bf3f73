"""The options that say what a notification is, for `send` and `broadcast`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tactful.cli.instants import parse_instant
from tactful.core.errors import RequestError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--subject", help="One line."),
    click.option("--text", help="The text, in the clear."),
    click.option("--text-file", metavar="FILE", help="Read the text from a file; - is stdin."),
    click.option("--html", help="The HTML."),
    click.option("--html-file", metavar="FILE", help="Read the HTML from a file; - is stdin."),
    click.option("--template", metavar="NAME", help="A template instead of literal content."),
    click.option("--data", metavar="JSON", help="What fills the template: a JSON object."),
    click.option("--channel", "channels", multiple=True, metavar="NAME", help="Repeatable."),
    click.option("--priority", help="low, normal, high or critical."),
    click.option("--ttl", metavar="SPAN", help="Worthless after, such as 2h."),
    click.option("--at", metavar="INSTANT", help="Not before: ISO 8601 with a zone, or ms."),
    click.option("--key", help="Idempotency key: a repetition stores nothing new."),
    click.option("--collapse-key", metavar="NAME", help="Replaces what waits under it."),
    click.option("--wait", is_flag=True, help="Send all that is due here and now, then report."),
)


def content(command: F) -> F:
    """Give a command these options."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


def fields_of(
    *,
    text_file: str | None,
    html_file: str | None,
    data: str | None,
    channels: tuple[str, ...],
    at: str | None,
    key: str | None,
    **plain: Any,
) -> dict[str, Any]:
    """The fields of `Tactful.send` that the options give; raises RequestError."""
    for name, file in (("text", text_file), ("html", html_file)):
        if file is not None:
            if plain.get(name) is not None:
                raise RequestError(f"{name}-file", file, f"goes without --{name}")
            plain[name] = _read(file, f"{name}-file")
    found = {name: value for name, value in plain.items() if value is not None}
    if data is not None:
        found["data"] = _object(data)
    if channels:
        found["channels"] = list(channels)
    if at is not None:
        found["deliver_at"] = parse_instant(at, "at")
    if key is not None:
        found["idempotency_key"] = key
    return found


def _read(file: str, field: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(field, file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(field, file, "must be UTF-8") from None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise RequestError("data", text, f"must be JSON: {error}") from None
    if not isinstance(found, dict):
        raise RequestError("data", text, "must be a JSON object")
    return found
