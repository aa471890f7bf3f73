"""`--log-format`: the log as it comes, for people, or one JSON object a line, for machines."""

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
from tactful.telemetry.logs import TROUBLES, EventLog, JsonLines

JSON: Final = "json"
KEY_NOTE: Final = "log_key"
F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("tactful.cli")

log_format: Callable[[F], F] = click.option(
    "--log-format",
    type=click.Choice(["text", JSON]),
    default="text",
    show_default=True,
    help="How to log: for people, or one JSON object a line without personal data.",
)


def log_json(app: Tactful, *, events: bool) -> None:
    """From now on everything that this process logs is a line of JSON on stderr.

    With `events`, which needs a worker, what goes wrong with deliveries is logged, too, whoever
    sends them.
    """
    wanted().json = True  # nothing else is said in passing
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(_names(app)))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("tactful").setLevel(logging.INFO)
    sys.excepthook = lambda kind, error, trace: _crashed(error)
    threading.excepthook = lambda crash: _crashed(crash.exc_value)
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
