"""`python -m tactful.testing.swarm`: many seeds, on all processors of the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tactful.testing.swarm.drawing import FEATURES, draw
from tactful.testing.swarm.trial import Trial, try_seed

SHOWN = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many.")
@click.option(
    "--from", "first", type=click.IntRange(0), default=0, show_default=True, help="The first one."
)
@click.option(
    "--without",
    multiple=True,
    metavar="FEATURE",
    type=click.Choice(FEATURES),
    help="Leave a feature out; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="How many processes.",
)
@click.option("--show", is_flag=True, help="Print what each seed draws, and all findings.")
def main(seeds: int, first: int, without: Sequence[str], workers: int, show: bool) -> None:
    """Play SEEDS random worlds on a virtual clock and judge them.

    Prints a line for each failing seed, and exits with 1 if there is any.
    """
    began = time.monotonic()
    done: list[Trial] = []
    for trial in _trials(range(first, first + seeds), without, workers):
        done.append(trial)
        if show:
            _describe(trial, without)
        if trial.findings:
            _report(trial, without, len(trial.findings) if show else SHOWN)
    _sum_up(done, time.monotonic() - began)
    if any(trial.findings for trial in done):
        raise SystemExit(1)


def _trials(seeds: range, without: Sequence[str], workers: int) -> Iterator[Trial]:
    """The trials as they come in."""
    one = partial(try_seed, without=tuple(without))
    if workers == 1 or len(seeds) == 1:
        yield from map(one, seeds)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(one, seeds, chunksize=4)


def _describe(trial: Trial, without: Sequence[str]) -> None:
    case = draw(trial.seed, without)
    click.echo(f"seed {trial.seed}: {', '.join(sorted(case.features))}")
    for rule in case.scenario.policies.rules:
        click.echo(f"  {rule.to_dict()}")
    for incident in case.incidents:
        click.echo(f"  {incident}")


def _report(trial: Trial, without: Sequence[str], shown: int) -> None:
    left_out = "".join(f" --without '{feature}'" for feature in without)
    again = f"python -m tactful.testing.swarm --from {trial.seed} --seeds 1{left_out} --show"
    click.echo(f"seed {trial.seed} FAILED ({len(trial.findings)} findings), again: {again}")
    for finding in trial.findings[:shown]:
        click.echo(f"    {finding}")


def _sum_up(done: Sequence[Trial], seconds: float) -> None:
    table = Table(box=SIMPLE_HEAD)
    rows = (
        ("seeds", f"{len(done):,}"),
        ("failed", f"{sum(bool(trial.findings) for trial in done):,}"),
        ("findings", f"{sum(len(trial.findings) for trial in done):,}"),
        ("deliveries", f"{sum(trial.deliveries for trial in done):,}"),
        ("copies", f"{sum(trial.copies for trial in done):,}"),
        ("marked", f"{sum(trial.again for trial in done):,}"),
        ("faults", f"{sum(trial.faults for trial in done):,}"),
        ("seconds", f"{seconds:.1f}"),
    )
    for name, _ in rows:
        table.add_column(name, justify="right")
    table.add_row(*(value for _, value in rows))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
