"""`tactful work`: the worker, in the foreground."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tactful.app import Tactful
from tactful.cli.engine import configured, opened
from tactful.cli.options import note, shared, show
from tactful.engine.zones import iso

REPORT_S = 1.0
PAGE = 5_000


class _Log:
    """What happened since the last look, counted by the names of events."""

    def __init__(self, app: Tactful) -> None:
        self._app = app
        with app.store.reading() as reader:
            self._after = reader.last_event()
        self.total: Counter[str] = Counter()

    def news(self) -> Counter[str]:
        """Count on from where the last call ended."""
        found: Counter[str] = Counter()
        while page := self._app.events(after=self._after, limit=PAGE):
            found.update(event.name for event in page)
            self._after = page[-1].seq
        self.total += found
        return found


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of what they do otherwise."""
    told = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: told.set()) for number in signals]
    try:
        yield told
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@click.command("work")
@click.option("--once", is_flag=True, help="Send what is due and exit.")
@click.option("--quiet", is_flag=True, help="No lines about what happens.")
@shared
def command(once: bool, quiet: bool) -> None:
    """Send what is due, until interrupted.

    Any number of these may work on one store. On SIGINT or SIGTERM nothing more is begun, and what
    is under way is finished and recorded.
    """
    config = configured()
    with opened(config) as app, _until_told() as told:
        log = _Log(app)
        if not quiet and not once:
            note(f"working on {config.shown_store}; Ctrl-C ends it gracefully")
        app.start()
        try:
            while not told.is_set():
                if once:
                    if app.drain(REPORT_S):
                        break
                else:
                    told.wait(REPORT_S)
                _report(app, log, quiet)
        finally:
            app.stop()
        _report(app, log, quiet or once)
        waiting = app.status()["next_due"]
        summary = _words(log.total) or "nothing was due"
        show(
            {"events": dict(log.total), "next_due": waiting},
            [f"{summary}" + (f"; next due {iso(waiting)}" if waiting is not None else "")],
        )


def _report(app: Tactful, log: _Log, quiet: bool) -> None:
    news = log.news()
    if news and not quiet:
        note(f"{iso(app.clock.now())}  {_words(news)}")


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
