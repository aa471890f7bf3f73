"""Figures for reports: of an example, of a week of a small team, and the same with hostile names in
every place."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tactful.sim.exercise import adjusted
from tactful.sim.figures import Figures, figures
from tactful.sim.reading import read_scenario, scenario_from
from tactful.sim.run import simulate

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mixed.toml"

MIXED = """
name = "A week of a small team"
seed = 11
start = 2026-03-26T00:00:00Z    # the clocks of Berlin jump on the 29th
horizon = "5d"
patience = "2d"

[population]
count = 60
[[population.segments]]
name = "berlin"
share = 2
timezone = "Europe/Berlin"
[[population.segments]]
name = "new york"
timezone = "America/New_York"

[[traffic]]
kind = "broadcast"
type = "news"
count = 23
every = "5h"
text = "What is new, part {number}."
[[traffic]]
kind = "stream"
type = "comment"
rate = "3/day"
burst = 2
within = "10m"
[[traffic]]
kind = "stream"
type = "marketing"
rate = "1/day"
[[traffic]]
kind = "stream"
type = "login code"
rate = "0.3/day"
priority = "critical"

[rules.comments]
types = ["comment"]
limit = "2/6h"
on_limit = "digest"
[rules.marketing]
types = ["marketing"]
limit = "1/day"
on_limit = "reject"
[rules.night]
quiet = "22:00-08:00"
exempt = ["critical"]
[rules.everything]
limit = "6/day"
exempt = ["critical"]

[channels.inbox]
loss = 0.04
bounce = 0.05
latency = {median = "2s", p99 = "2m"}

[behaviour]
open = 0.6
click = 0.2
open_delay = {median = "20m", p99 = "1d"}
fatigue = {opens = 0.02, unsubscribes = 0.0005}
"""

HOSTILE = """</title></style></pre><script>document.title = "taken"</script>
<img src="http://example.com/x.png" onerror="alert(1)">"'<svg onload=alert(2)>&amp;"""


def figures_of(text: str) -> Figures:
    return figures(simulate(scenario_from(tomllib.loads(text), Path("scenario.toml"))))


@cache
def mixed() -> Figures:
    return figures_of(MIXED)


@cache
def example() -> Figures:
    """The mixed traffic of the examples, for 40 people."""
    return figures(simulate(adjusted(read_scenario(EXAMPLE), users=40)))


@cache
def hostile() -> Figures:
    """Every text that can come from a scenario holds markup."""
    found = mixed()

    def renamed(table: Any) -> dict[str, Any]:
        return {f"{HOSTILE}{name}": value for name, value in table.items()}

    return replace(
        found,
        name=HOSTILE,
        types=renamed(found.types),
        delays={"all": found.delays["all"], **renamed(found.delays)},
        rules=renamed(found.rules),
        messages=[{**one, "type": HOSTILE, "body": HOSTILE} for one in found.messages],
        worst=[
            replace(
                hit,
                person=HOSTILE,
                timeline=tuple(
                    (at, HOSTILE + type_, outcome, HOSTILE, gone)
                    for at, type_, outcome, _, gone in hit.timeline
                ),
            )
            for hit in found.worst
        ],
    )
