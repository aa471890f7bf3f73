"""`tactful simulate`: what a rule will do, before it is live."""

from __future__ import annotations

import csv
import gc
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from tactful.cli.options import note, shared, show, wanted
from tactful.cli.simulated import comparison_lines, figure_lines, sweep_lines
from tactful.core.errors import ConfigError, RequestError
from tactful.sim.assertions import check, holds
from tactful.sim.compare import compare, sweep
from tactful.sim.exercise import EXERCISE, adjusted
from tactful.sim.figures import Figures, figures
from tactful.sim.page import page
from tactful.sim.reading import read_rules, read_scenario
from tactful.sim.run import Progress as Told
from tactful.sim.run import simulate
from tactful.sim.scale import run_scale
from tactful.sim.scenario import Scenario
from tactful.sim.schema import schema
from tactful.sim.tables import ratio
from tactful.sim.trace import write_trace

FAILED = 1
_STEPS = 1_000


class Number(click.ParamType[int | float]):
    """A whole number from 0, or a ratio; errors name the option, the value and the bound."""

    name = "number"

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self.name = "N" if whole else "RATIO"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """The number; raises RequestError."""
        field = (param.name or "").rstrip("_") if param is not None else ""
        if not self._whole:
            try:
                return ratio(float(value), field)
            except (ValueError, RequestError):
                raise RequestError(field, value, "must be a number from 0 to 1") from None
        if isinstance(value, int) or (value.strip().isascii() and value.strip().isdigit()):
            return int(value)
        raise RequestError(field, value, "must be a whole number of at least 0")


@click.command("simulate")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--users", type=Number(whole=True), help="So many people instead.")
@click.option("--messages", type=Number(whole=True), help="So many broadcasts instead.")
@click.option("--loss", type=Number(whole=False), help="The part of all copies that gets lost.")
@click.option("--open", "open_", type=Number(whole=False), help="The chance that one is opened.")
@click.option("--seed", type=Number(whole=True), help="Decides every draw; the same, the same run.")
@click.option(
    "--compare",
    "other",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The same world under the rules of another file, too.",
)
@click.option(
    "--sweep",
    "swept",
    metavar="RULE=VALUES",
    help="Run for each value: rules.NAME.FIELD=VALUE,VALUE,...",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="How many seeds a comparison takes.",
)
@click.option(
    "--assert",
    "asserted",
    multiple=True,
    metavar="TEXT",
    help="Exit with 1 unless this holds, such as 'lost == 0 and p99_delay < 2h'.",
)
@click.option(
    "--csv",
    "table",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures of each type and message as a table.",
)
@click.option(
    "--html",
    "page_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write one page with plots, which needs nothing else.",
)
@click.option(
    "--trace",
    "trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write every decision, one JSON document a line.",
)
@click.option("--scale", "scaled", is_flag=True, help="The compiled model, for millions of people.")
@click.option("--cores", type=click.IntRange(1, 1024), help="With --scale: so many threads.")
@click.option(
    "--schema",
    "as_schema",
    is_flag=True,
    help="Print the JSON schema of scenario files, for editors.",
)
@shared
def command(
    *,
    file: Path | None,
    users: int | None,
    messages: int | None,
    loss: float | None,
    open_: float | None,
    seed: int | None,
    other: Path | None,
    swept: str | None,
    runs: int,
    asserted: Sequence[str],
    table: Path | None,
    page_file: Path | None,
    trace: Path | None,
    scaled: bool,
    cores: int | None,
    as_schema: bool,
) -> None:
    """Try rules on a whole population before they are live.

    A scenario runs on a virtual clock, with the engine that runs in production, or with --scale a
    compiled model of it. Without FILE, everybody gets 5 messages, of which a tenth is lost.
    """
    if as_schema:
        click.echo(json.dumps(schema(), indent=2))
        return
    for text in asserted:
        check(text)
    if scaled and (other, swept, trace) != (None, None, None):
        raise ConfigError("--scale: goes with neither --compare, --sweep nor --trace")
    scenario = adjusted(
        EXERCISE if file is None else read_scenario(file),
        users=users,
        messages=messages,
        loss=loss,
        opens=open_,
        seed=seed,
    )
    with _without_pauses():
        if other is not None:
            found = compare(scenario, read_rules(other), runs)
            show(found.to_dict(), comparison_lines(found))
            seen = found.after
        elif swept is not None:
            curve = sweep(scenario, swept, lambda value: note(f"{swept.partition('=')[0]}={value}"))
            show(curve.to_dict(), sweep_lines(curve))
            seen = curve.points[-1][1]
        elif scaled:
            with _progress() as told:
                seen = run_scale(scenario, cores=cores, progress=told)
            show(seen.to_dict(), figure_lines(seen))
        else:
            seen = _one(scenario, trace)
    _write(seen, table, page_file)
    _judge(seen, asserted)


def _one(scenario: Scenario, trace: Path | None) -> Figures:
    with _progress() as told:
        run = simulate(scenario, told)
    found = figures(run)
    if trace is not None:
        with _opened(trace) as lines:
            write_trace(run, lines)
    show(found.to_dict(), figure_lines(found))
    return found


def _write(found: Figures, table: Path | None, page_file: Path | None) -> None:
    if table is not None:
        with _opened(table) as lines:
            rows = csv.writer(lines, lineterminator="\n")
            names = list(found.total.to_dict())
            rows.writerow(["kind", "name", *names])
            rows.writerow(["total", "", *found.total.to_dict().values()])
            for name, tally in found.types.items():
                rows.writerow(["type", name, *tally.to_dict().values()])
            for one in found.messages:
                rows.writerow(["message", one["number"], *(one[name] for name in names)])
        note(f"wrote {table}")
    if page_file is not None:
        with _opened(page_file) as lines:
            lines.write(page(found, _repeated()))
        note(f"wrote {page_file}")


def _repeated() -> str:
    """The command line that gives the same figures again."""
    given = click.get_current_context().params
    words = ["tactful", "simulate", *([str(given["file"])] if given["file"] is not None else [])]
    for name in ("users", "messages", "loss", "open_", "seed"):
        if given[name] is not None:
            words += [f"--{name.rstrip('_')}", str(given[name])]
    if given["scaled"]:
        words.append("--scale")
    return shlex.join(words)


def _judge(found: Figures, asserted: Sequence[str]) -> None:
    failed = [text for text in asserted if not holds(text, found)]
    for text in failed:
        click.echo(f"failed: {text}", err=True)
    if failed:
        click.get_current_context().exit(FAILED)
    if asserted:
        note(f"holds: {', '.join(asserted)}")


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open("w", encoding="utf-8", newline="") as lines:
            yield lines
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar on stderr where a person watches."""
    if wanted().json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=_STEPS, label="simulating", file=sys.stderr) as bar:
        yield lambda part: bar.update(max(0, int(part * _STEPS) - bar.pos))


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Without the collector of cycles: a run makes millions of objects and hardly any cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
