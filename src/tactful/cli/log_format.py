"""`--log-format` and `--log-level`: how much is logged, for people or as JSON for machines."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from tactful.app import Tactful
from tactful.channels.failover import FailoverChannel
from tactful.cli.options import wanted
from tactful.runtime.entropy import new_secret
from tactful.telemetry.logs import TROUBLES, EventLog, JsonLines, TextLines

JSON: Final = "json"
TEXT: Final = "text"
LEVELS: Final = ("debug", "info", "warning")
KEY_NOTE: Final = "log_key"
F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("tactful.cli")


def log_options(command: F) -> F:
    """Give a command `--log-format` and `--log-level`."""
    command = click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="info",
        show_default=True,
        help="How much to log; below debug, of libraries only what is a warning.",
    )(command)
    return click.option(
        "--log-format",
        type=click.Choice([TEXT, JSON]),
        default=TEXT,
        show_default=True,
        help="How to log: for people, or one JSON object a line.",
    )(command)


def log_as(form: str, level: str, app: Tactful, *, events: bool) -> None:
    """From now on everything that this process logs goes to stderr in one form.

    With `events`, which needs a worker, what goes wrong with deliveries is logged as JSON, too,
    whoever sends them.
    """
    as_json = form == JSON
    handler = logging.StreamHandler(sys.stderr)
    names = _names(app)
    handler.setFormatter(JsonLines(names) if as_json else TextLines(names))
    others = logging.DEBUG if level == "debug" else logging.WARNING
    logging.basicConfig(level=others, handlers=[handler], force=True)
    logging.getLogger("tactful").setLevel(level.upper())
    sys.excepthook = lambda kind, error, trace: _crashed(error)
    threading.excepthook = lambda crash: _crashed(crash.exc_value)
    if as_json:
        wanted().json = True  # nothing else is said in passing
        if events:
            app.listen(EventLog(_key(app)), events=TROUBLES)


def _crashed(error: BaseException | None) -> None:
    log.critical("crashed", exc_info=error)


def _names(app: Tactful) -> set[str]:
    """The names of channels and providers."""
    names = set(app.channels)
    for channel in app.channels.values():
        inner = getattr(channel, "inner", channel)
        if isinstance(inner, FailoverChannel):
            names.update(inner.health)
    return names


def _key(app: Tactful) -> bytes:
    """The key of what stands for people in the logs: one for the store, so that all agree."""
    with app.store.transaction() as tx:
        key = tx.note(KEY_NOTE)
        if key is None:
            key = new_secret()
            tx.set_note(KEY_NOTE, key)
    return bytes.fromhex(key)
