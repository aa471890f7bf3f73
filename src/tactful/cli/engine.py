"""From the options of a command to an engine that is wired as configured."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pkgutil import resolve_name

from tactful.app import Tactful
from tactful.channels.rehearsal import Rehearsal
from tactful.cli.options import wanted
from tactful.config import Config, load
from tactful.ports import Probe, Tracer
from tactful.stores.chosen import open_store


def configured() -> Config:
    """The configuration that the running command is to use; raises ConfigError."""
    options = wanted()
    return load(options.config, store=options.store)


def build(config: Config, owner: str = "", probe: Probe | None = None) -> Tactful:
    """An engine as configured: the first of mail, webhooks and Apprise is the default channel."""
    channels = [Rehearsal(channel) for channel in config.channels()]
    ledger = None if config.ledger is None else config.ledger.ledger()
    return Tactful(
        open_store(config.store, pool=config.store_pool, connections=config.store_connections),
        channels=channels,
        settings=config.engine,
        unsubscribe=config.unsubscribe,
        tracking=config.tracking,
        owner=owner,
        probe=probe,
        egress=config.reach.egress(),
        tracer=_tracer(),
        ledger=ledger,
    )


def _tracer() -> Tracer | None:
    """One for OpenTelemetry, where `opentelemetry-instrument` has loaded and set that up before."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    found: Tracer = resolve_name("tactful.telemetry.tracing:Traces")()
    return found


@contextmanager
def opened(config: Config | None = None, owner: str = "") -> Iterator[Tactful]:
    """The engine for one command, or for a worker whose leases have an owner; closed afterwards."""
    app = build(config if config is not None else configured(), owner)
    try:
        yield app
    finally:
        app.close()


def author() -> str:
    """Who changes policies from here, for their history."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # an account without a name, as in many containers
        return "cli"
