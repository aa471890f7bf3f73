"""One table for people, one document for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proof.trial import Scenario, Tally

COLUMNS = (
    "points",
    "attempts",
    "ok",
    "delivered",
    "lost",
    "unexpected",
    "recovered",
    "explained",
    "unexplained",
    "again",
    "violations",
)
BAD = frozenset(("lost", "unexpected", "unexplained", "violations"))

MEANING = """\
again: copies that came to a wire once more. explained: hand-overs that say that they may be such a
copy; unexplained: others. used: the share of the most used limit while something waited for it."""


@dataclass(slots=True)
class Played:
    """A scenario that was played, or is not because something is `missing`.

    `said` has the last lines that it wrote to stderr.
    """

    scenario: Scenario
    seed: int
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    missing: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        found = {"scenario": self.scenario.name, "promise": self.scenario.promise}
        if self.missing:
            return {**found, "not_run": self.missing}
        figures = {"seed": self.seed, "seconds": round(self.seconds, 1), **self.tally.to_dict()}
        return {**found, **figures}


def show(played: list[Played], console: Console) -> None:
    """The table, then what was not run, then what is broken and what was said last there."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("scenario")
    for name in (*COLUMNS, "used", "s"):
        table.add_column(name, justify="right")
    for one in played:
        if not one.missing:
            table.add_row(one.scenario.name, *_cells(one))
    console.print(table)
    console.print(MEANING)
    for one in played:
        for note in one.tally.notes:
            console.print(Text(f"{one.scenario.name}: {note}"))
    for one in played:
        if one.missing:
            text = f"{one.scenario.name}: NOT RUN, it needs {', '.join(one.missing)}"
            console.print(Text(text, style="yellow"))
    for one in played:
        for finding in one.tally.findings:
            console.print(Text(f"{one.scenario.name}: {finding}", style="red"))
        if one.tally.findings:
            console.print(Text("".join(one.said)), end="", soft_wrap=True)


def _cells(one: Played) -> list[Text]:
    cells = []
    for name in COLUMNS:
        count = getattr(one.tally, name)
        style = ("red" if count else "green") if name in BAD else ""
        cells.append(Text(f"{count:,}", style=style))
    share = one.tally.utilisation
    cells.append(Text("" if share is None else f"{share:.0%}"))
    return [*cells, Text(f"{one.seconds:,.0f}")]
