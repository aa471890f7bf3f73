"""`tactful feedback`: bounces and complaints in, and how channels stand with their receivers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import BinaryIO

import click

from tactful.app import Tactful
from tactful.cli.bell import rings, until_told
from tactful.cli.engine import configured, opened
from tactful.cli.exits import UNAVAILABLE
from tactful.cli.options import columns, facts, note, shared, show
from tactful.config.service import Inbound
from tactful.core.errors import ConfigError, NotFound, RequestError
from tactful.engine.feedback.reputation import PPM, Rate
from tactful.inbound.mail import reports_in
from tactful.inbound.parts import SIZE_MAX
from tactful.runtime.supervise import LOOK_S


@click.group("feedback")
def command() -> None:
    """Take bounces and complaints in, and see what they add up to."""


@command.command("read")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--to", metavar="ADDRESS", multiple=True, help="Whom the envelope named; repeatable.")
@shared
def read(file: Path, to: tuple[str, ...]) -> None:
    """Take in one mail that came to the bounce address (- is stdin).

    A mail that reports nothing is no error. Exits with 5 where it has to be read again later.
    """
    with _source(file) as source:
        raw = source.read(SIZE_MAX)
        while source.read(SIZE_MAX):  # whoever pipes it wants to be rid of all of it
            pass
    with opened() as app:
        taken = app.reports.take(reports_in(raw, to))
    show(
        taken._asdict(), facts((name, n) for name, n in taken._asdict().items() if n) or ["nothing"]
    )
    if taken.early:
        click.get_current_context().exit(UNAVAILABLE)


def _source(file: Path) -> BinaryIO:
    try:
        return sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as error:
        raise RequestError("file", str(file), f"cannot be read: {error.strerror}") from None


@command.command("listen")
@shared
def listen() -> None:
    """Take in mail at the port of [inbound], until interrupted."""
    config = configured()
    if config.inbound is None or config.inbound.port is None:
        raise ConfigError("inbound.port: is missing; it says where to listen")
    with until_told() as bell, opened(config) as app, taking(app, config.inbound):
        while not rings(bell, LOOK_S):
            pass


@contextmanager
def taking(app: Tactful, settings: Inbound | None) -> Iterator[None]:
    """Take mail for the bounce address while it lasts, where that is configured."""
    if settings is None or settings.port is None:
        yield
        return
    if not find_spec("aiosmtpd"):
        raise ConfigError("inbound: needs `pip install 'tactful[inbound]'`")
    with resolve_name("tactful.inbound.listener:Listener")(app, settings) as listener:
        note(f"mail to {settings.address} is taken at {listener.host}:{listener.port}")
        yield


@command.command("rates")
@shared
def rates() -> None:
    """Show the part of each channel's mail that bounced or was complained about."""
    with opened() as app:
        found = app.reputation.rates()
    rows = [(r.channel, r.kind, f"{r.bad} of {r.volume}", _percent(r), _standing(r)) for r in found]
    names = ("channel", "kind", "of the last", "rate", "standing")
    data = {"rates": [{**_plain(rate), "ppm": rate.ppm} for rate in found]}
    show(data, columns(names, rows) if rows else ["nothing has gone out"])


@command.command("release")
@click.argument("channel")
@shared
def release(channel: str) -> None:
    """Let a channel send again that is held, and count from now on."""
    with opened() as app:
        if not app.reputation.release(channel):
            raise NotFound("channel", channel, "is not held")
    show({"released": channel}, [f"{channel} sends again"])


def _plain(rate: Rate) -> dict[str, object]:
    return {name: getattr(rate, name) for name in rate.__slots__}


def _percent(rate: Rate) -> str:
    return f"{rate.ppm * 100 / PPM:.2f} %"


def _standing(rate: Rate) -> str:
    return "held" if rate.held else rate.level or "good"
