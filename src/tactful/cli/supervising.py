"""`tactful work --processes N`: workers as processes of their own, and what one hears of them.

What a worker writes is shown behind its number. What happens in the store is counted here, once,
since it is the work of all.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import FrameType
from typing import Final

import click

from tactful.app import clock_of
from tactful.cli.engine import configured
from tactful.cli.exits import USAGE
from tactful.cli.options import Wanted, wanted
from tactful.cli.tally import Tally, in_words
from tactful.config import Config
from tactful.core.errors import ConfigError, Unavailable
from tactful.core.model import Millis
from tactful.engine.timekeeper import Timekeeper
from tactful.engine.zones import iso
from tactful.runtime.clock import SystemClock
from tactful.runtime.pace import Share
from tactful.runtime.roster import Roster
from tactful.runtime.supervise import Notice, Supervisor
from tactful.stores.chosen import POSTGRES, open_store

REPORT_S = 1.0
TROUBLE: Final = ("unstarted", "killed", "released", "unreleased", "unreplaced")


def supervise(
    processes: int, patience_ms: Millis, *, express: bool, quiet: bool, log_level: str
) -> None:
    """Keep that many workers running until a signal comes; exits like one that could not work.

    With `express` there is one more, the last one, for what is critical alone.
    """
    config, options = configured(), wanted()
    if express and not config.store.startswith(POSTGRES):
        raise ConfigError(f"--express: needs PostgreSQL (the store is {config.shown_store})")
    voice = _Voice(options.json, quiet)
    roster = Roster(processes + express, patience_ms=patience_ms, hopeless=(USAGE,))

    def command(place: int, owner: str) -> Sequence[str]:
        share: Share = "all"
        if express:
            share = "rest" if place <= processes else "urgent"
        return _command(options, owner, share, log_level)

    with closing(open_store(config.store)) as store:
        tally = Tally(store)
        supervisor = Supervisor(
            roster,
            command=command,
            release=lambda owners: _release(config, owners),
            check=lambda: _check(config),
            tell=voice.tell,
            hear=voice.hear,
        )
        voice.say(
            f"{processes} worker{'s' if processes > 1 else ''}"
            f"{' and one for what is critical' if express else ''} on {config.shown_store}; "
            "Ctrl-C ends them gracefully, twice at once"
        )
        with _obeying(supervisor), _counting(tally, voice):
            failed = supervisor.run()
        tally.news()
        with store.reading() as reader:
            waiting = reader.next_due()
    voice.sum_up(tally, waiting)
    if failed is not None:
        click.get_current_context().exit(failed)


def _command(options: Wanted, owner: str, share: Share, log_level: str) -> Sequence[str]:
    """The same program with the same configuration; without -P it would import what lies here."""
    command = [sys.executable, "-P", "-m", "tactful", "work", "--member", owner]
    command += ["--share", share, "--log-level", log_level]
    if options.config is not None:
        command += ["--config", str(options.config)]
    if options.store is not None:
        command += ["--store", options.store]
    return command


def _release(config: Config, owners: Sequence[str]) -> Sequence[int]:
    """End the leases of workers that are gone, through a store that is opened for this alone.

    One that is kept open may be what broke.
    """
    with closing(open_store(config.store)) as store, store.transaction() as tx:
        now = Timekeeper(clock_of(store)).now(tx)
        return [tx.release(now, owners=[owner]) for owner in owners]


def _check(config: Config) -> None:
    """Whether new workers can be started with what the configuration says now."""
    if configured().store != config.store:
        raise ConfigError("store: was changed; end all workers and start them again")


# Signals and counts ---------------------------------------------------------------------------


@contextmanager
def _obeying(supervisor: Supervisor) -> Iterator[None]:
    """SIGINT and SIGTERM stop the workers, SIGHUP replaces them, unless `nohup` ignores it."""

    def handler(act: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        return lambda number, frame: act()

    wishes = {signal.SIGINT: supervisor.stop, signal.SIGTERM: supervisor.stop}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wishes[signal.SIGHUP] = supervisor.replace_all
    before = {number: signal.signal(number, handler(act)) for number, act in wishes.items()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def _counting(tally: Tally, voice: _Voice) -> Iterator[None]:
    """Say from time to time what has happened in the store; in a thread, which may have to wait."""
    over = threading.Event()

    def count() -> None:
        while not over.wait(REPORT_S):
            try:
                news = tally.news()
            except Unavailable:  # as its workers say, too
                continue
            if news:
                voice.say(f"{iso(voice.now())}  {in_words(news)}")

    counting = threading.Thread(target=count, name="count", daemon=True)
    counting.start()
    try:
        yield
    finally:
        over.set()
        counting.join()


# What is said ---------------------------------------------------------------------------------


class _Voice:
    """Lines for people on stderr or, with `--json`, one object a line on stdout."""

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._clock = SystemClock()

    def now(self) -> Millis:
        return self._clock.now()

    def say(self, text: str) -> None:
        """In passing, for people."""
        if not self._quiet and not self._as_json:
            click.echo(text, err=True)

    def hear(self, worker: int, line: str) -> None:
        """What a worker says."""
        click.echo(f"{worker}: {line}", err=True)

    def tell(self, notice: Notice) -> None:
        """What happened in the group; with `--quiet` only if it is trouble."""
        trouble = notice.name in TROUBLE or notice.facts.get("asked") is False
        if self._quiet and not trouble:
            return
        now = self.now()
        if self._as_json:
            worker = {"worker": notice.worker} if notice.worker else {}
            line = {"at": now, "event": notice.name, **worker, **notice.facts}
            click.echo(json.dumps(line, ensure_ascii=False))
        else:
            click.echo(f"{iso(now)}  {_sentence(notice)}", err=True)

    def sum_up(self, tally: Tally, waiting: Millis | None) -> None:
        """The last line."""
        if self._as_json:
            click.echo(json.dumps({"events": dict(tally.total), "next_due": waiting}))
            return
        due = "" if waiting is None else f"; next due {iso(waiting)}"
        click.echo((in_words(tally.total) or "nothing was due") + due)


SENTENCES: Final = {
    "started": "worker {worker} started, pid {pid}",
    "working": "worker {worker} works",
    "ended": "worker {worker} ended: {how}{next}",
    "unstarted": "worker {worker} cannot be started: {why}{next}",
    "killed": "worker {worker} did not end in time and is killed",
    "released": "worker {worker} left {leases} deliveries, which go on now",
    "unreleased": "what workers left cannot be released yet: {why}",
    "replacing": "replacing the workers, one after the other",
    "unreplaced": "the workers stay, new ones could not work: {why}",
    "stopping": "ending the workers",
}


def _sentence(notice: Notice) -> str:
    return SENTENCES[notice.name].format(
        worker=notice.worker, next=_next(notice.facts), **notice.facts
    )


def _next(facts: Mapping[str, object]) -> str:
    again_ms = facts.get("again_ms")
    if not isinstance(again_ms, int):
        return ""
    return f"; the next starts in {again_ms / 1000:g} s" if again_ms else "; the next starts now"
