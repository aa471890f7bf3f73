"""`tactful verify`: prove from a history that every promise was kept, or show where not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tactful.cli.engine import configured
from tactful.cli.exits import BROKEN
from tactful.cli.instants import span
from tactful.cli.options import note, shared, show, wanted
from tactful.core.errors import ConfigError, RequestError
from tactful.engine.requests import parse_duration
from tactful.engine.zones import iso
from tactful.verify import (
    SKEW_MS,
    Arrival,
    History,
    Report,
    from_store,
    read_arrivals,
    read_history,
    read_receipts,
    verify,
    write_history,
)
from tactful.verify.limits import Violation

SHOWN: Final = 10
INSIDE: Final = 5


@click.command("verify")
@click.option("--history", metavar="FILE", help="Judge this file instead of the store.")
@click.option("--export", metavar="FILE", help="Write the history to this file, and judge nothing.")
@click.option("--sink-log", metavar="FILE", help="Compare with what a mail server took.")
@click.option("--receipts", metavar="FILE", help="Compare with what callers were told.")
@click.option("--skew", metavar="SPAN", help="How far clocks may differ; default: 1s.")
@shared
def command(
    history: str | None,
    export: str | None,
    sink_log: str | None,
    receipts: str | None,
    skew: str | None,
) -> None:
    """Prove from a history that every promise was kept.

    Limits, accepted deliveries and second copies are judged by code that shares nothing with the
    engine. The store is only read. Exits with 1 if something is found that must not be.
    """
    console = Console(stderr=True, quiet=wanted().json)
    with _clear_about_input(), console.status("Reading the history"):
        told = from_store(configured().store) if history is None else _history(history)
        if receipts is not None:
            with _opened(receipts) as file:
                told.receipts += read_receipts(file)
    if export is not None:
        _export(told, export)
        return
    with _clear_about_input(), console.status("Judging it"):
        skew_ms = SKEW_MS if skew is None else _skew(skew)
        report = verify(told, None if sink_log is None else _arrivals(sink_log), skew_ms=skew_ms)
    if wanted().json:
        show(report.to_dict(), ())
    else:
        _print(report)
    if not report.clean:
        click.get_current_context().exit(BROKEN)


# Files ----------------------------------------------------------------------------------------


@contextmanager
def _clear_about_input() -> Iterator[None]:
    """A history that cannot be read is wrong input, not a promise that was broken."""
    try:
        yield
    except RequestError as error:
        raise ConfigError(str(error)) from error


@contextmanager
def _opened(path: str, mode: str = "r") -> Iterator[IO[str]]:
    try:
        with click.open_file(path, mode, encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8") from error


def _history(path: str) -> History:
    with _opened(path) as file:
        return read_history(file)


def _arrivals(path: str) -> list[Arrival]:
    with _opened(path) as file:
        return read_arrivals(file)


def _export(history: History, path: str) -> None:
    with _opened(path, "w") as file:
        count = write_history(history, file)
    if path == "-":
        note(f"wrote {count} records")
    else:
        show({"records": count, "file": path}, [f"wrote {count} records to {path}"])


def _skew(text: str) -> int:
    return 0 if text.strip() in ("0", "0s", "0ms") else parse_duration(text, "skew")


# What people read -----------------------------------------------------------------------------


def _print(report: Report) -> None:
    console = Console(highlight=False, markup=False)
    if report.clean:
        console.print(Text("Every promise was kept.", style="bold green"))
    else:
        console.print(Text("A promise was broken.", style="bold red"))
    console.print(_deliveries(report))
    if report.rules:
        console.print(_rules(report))
    for one in report.limit_violations[:SHOWN]:
        console.print(Text("over the limit  ", style="red").append(_sentence(one), style=""))
    _more(console, report.violations)
    for name, findings in (
        ("lost", report.lost),
        ("unexpected", report.unexpected),
        ("duplicated", report.duplicated_unexplained),
    ):
        for text in findings[:SHOWN]:
            console.print(Text(f"{name}  ", style="red").append(text, style=""))
        _more(console, len(findings))


def _deliveries(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("deliveries")
    table.add_column("", justify="right")
    table.add_column("")
    rows: Sequence[tuple[str, int | None, str, bool]] = (
        ("attempts", report.attempts, "asked for", False),
        ("ok", report.ok, "accepted", False),
        ("waiting", report.waiting, "stand in the queue", False),
        ("ended", report.ended, "have come to one end", False),
        ("out", report.out, f"went out, in {report.handovers} hand-overs with all others", False),
        ("arrived", report.arrived, f"at the mail server, {_spread(report)}", False),
        ("recovered", report.recovered, "after an answer had been lost", False),
        ("duplicated", len(report.duplicated_explained), "explained: they say so", False),
        ("duplicated", len(report.duplicated_unexplained), "unexplained", True),
        ("unexpected", len(report.unexpected), "contradict themselves", True),
        ("lost", len(report.lost), "accepted and gone", True),
    )
    for name, count, meaning, is_bad in rows:
        if count is not None:
            style = ("red" if count else "green") if is_bad else ""
            table.add_row(Text(name), Text(f"{count:,}", style=style), Text(meaning))
    return table


def _spread(report: Report) -> str:
    return f"the slowest {span(report.spread_ms or 0)} behind the fastest"


def _rules(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("rule")
    table.add_column("limit")
    table.add_column("fullest window", justify="right")
    table.add_column("used while waiting", justify="right")
    table.add_column("violations", justify="right")
    for name, one in sorted(report.rules.items()):
        table.add_row(
            Text(name),
            Text(one.limit),
            "" if one.fullest is None else f"{one.fullest:,}",
            "" if one.used is None else f"{one.used:.1%}",
            Text(f"{one.violations:,}", style="red" if one.violations else "green"),
        )
    return table


def _sentence(one: Violation) -> str:
    inside = ", ".join(f"{other.name} at {iso(other.at)}" for other in one.inside[-INSIDE:])
    before = "..., " if len(one.inside) > INSIDE else ""
    counted = f"{one.held} where {one.most} may be"
    return f"{one.rule} ({one.limit}): {counted}, for {one.whom}, {one.window}: {before}{inside}"


def _more(console: Console, count: int) -> None:
    if count > SHOWN:
        console.print(f"... and {count - SHOWN:,} more; --json shows them")
