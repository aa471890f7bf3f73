"""`tactful work`: the worker, in the foreground; or several, and one process that watches them."""

from __future__ import annotations

import gc
import logging
import os
import threading
from typing import Final

import click

from tactful.app import Tactful
from tactful.cli.bell import Bell, rings, until_told
from tactful.cli.brokering import exchanging
from tactful.cli.engine import configured, opened
from tactful.cli.log_format import JSON, TEXT, log_as, log_options
from tactful.cli.options import note, shared, show
from tactful.cli.supervising import supervise
from tactful.cli.tally import Tally, in_words
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Millis
from tactful.engine.requests import parse_duration
from tactful.engine.zones import iso
from tactful.runtime.pace import SHARES, Share
from tactful.runtime.supervise import LOOK_S, UP

log = logging.getLogger("tactful.work")

REPORT_S = 1.0
PROCESSES_MAX: Final = 64
NICE: Final = 10
"""Where cores are full, whoever sends a broadcast lets go first what is critical."""
STDIN, STDOUT, STDERR = range(3)


@click.command("work")
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    show_default=True,
    help="How many workers, each a process of its own.",
)
@click.option(
    "--patience",
    metavar="SPAN",
    default="30s",
    show_default=True,
    help="How long one of several may take to end.",
)
@click.option(
    "--express",
    is_flag=True,
    help="One worker more, for what is critical alone (PostgreSQL).",
)
@click.option("--once", is_flag=True, help="Send what is due and exit.")
@click.option("--quiet", is_flag=True, help="No lines about what happens.")
@log_options
@click.option("--member", metavar="OWNER", hidden=True, help="One of a group, with its leases.")
@click.option("--share", type=click.Choice(list(SHARES)), default="all", hidden=True)
@shared
def command(
    *,
    processes: int,
    patience: str,
    express: bool,
    once: bool,
    quiet: bool,
    log_format: str,
    log_level: str,
    member: str | None,
    share: Share,
) -> None:
    """Send what is due, until interrupted.

    Any number of these may work on one store. On SIGINT or SIGTERM nothing more is begun, and what
    is under way is finished and recorded. With several processes, one that dies is replaced, and
    SIGHUP replaces all, one after the other. With --express the others leave what is critical to a
    worker of its own for a quarter of a second, and run at a lower priority (nice).
    """
    got = "got --express" if express else "got --processes above 1"
    if member is not None:
        _work_in_group(member, share, log_level)
    elif processes == 1 and not express:
        _work_alone(once=once, quiet=quiet, form=log_format, level=log_level)
    elif log_format == JSON:
        raise ConfigError(f"--log-format: json needs one process ({got})")
    elif once:
        raise ConfigError(f"--once: needs no more than one process ({got})")
    else:
        supervise(processes, _span(patience), express=express, quiet=quiet, log_level=log_level)


def _span(text: str) -> Millis:
    try:
        return parse_duration(text, "--patience")
    except RequestError as error:
        raise ConfigError(str(error)) from None


# One process ----------------------------------------------------------------------------------


def _work_alone(*, once: bool, quiet: bool, form: str, level: str) -> None:
    config = configured()
    broker = None if once else config.broker
    with opened(config) as app, until_told() as bell, exchanging(app, broker):
        tally = Tally(app.store)
        log_as(form, level, app, events=True)
        if form == JSON:
            log.info("working")
        if not quiet and not once:
            note(f"working on {config.shown_store}; Ctrl-C ends it gracefully")
        _start(app, "all")
        try:
            while not rings(bell, 0.0 if once else REPORT_S):
                if once and app.drain(REPORT_S):
                    break
                _report(app, tally, quiet)
        finally:
            app.stop()
        _report(app, tally, quiet or once)
        waiting = app.status()["next_due"]
        summary = in_words(tally.total) or "nothing was due"
        show(
            {"events": dict(tally.total), "next_due": waiting},
            [f"{summary}" + (f"; next due {iso(waiting)}" if waiting is not None else "")],
        )


def _start(app: Tactful, share: Share) -> None:
    # What is here now stays: to look through all of it for garbage again and again takes long.
    gc.freeze()
    if share == "rest":
        os.nice(NICE)
    app.start(share)


def _report(app: Tactful, tally: Tally, quiet: bool) -> None:
    news = tally.news()
    if news and not quiet:
        note(f"{iso(app.clock.now())}  {in_words(news)}")


# One of a group -------------------------------------------------------------------------------


def _work_in_group(owner: str, share: Share, log_level: str) -> None:
    """See `runtime.supervise` for what the supervisor expects of this process."""
    config = configured()
    broker = None if share == "urgent" else config.broker
    with (
        until_told() as bell,
        opened(config, owner) as app,
        exchanging(app, broker),
    ):
        log_as(TEXT, log_level, app, events=False)
        threading.Thread(target=_feel_leash, args=(bell,), daemon=True).start()
        _start(app, share)
        try:
            click.echo(UP)
            while not rings(bell, LOOK_S):
                pass
        finally:
            app.stop()


def _feel_leash(bell: Bell) -> None:
    """Ring when the supervisor is gone; then nobody reads any more what is written here."""
    while os.read(STDIN, 1):
        pass
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.dup2(nowhere, STDERR)
    bell.put(None)
