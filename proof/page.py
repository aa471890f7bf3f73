"""What was proven last, as a table in `docs/guarantees.md`.

    python -m proof --json proof/results/small.json && python -m proof.page

rewrites what stands between the markers of that page. Where a scenario was tried in several tiers,
the one with the most points is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
RESULTS = Path(__file__).with_name("results")
BEGIN, END = "<!-- proof: begin -->\n", "<!-- proof: end -->"
COLUMNS = ("points", "lost", "unexpected", "unexplained", "violations", "again")


def results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]


def table(documents: Iterable[dict[str, Any]]) -> str:
    """One line for each scenario that was tried."""
    found: dict[str, dict[str, Any]] = {}
    for document in documents:
        for one in document["scenarios"]:
            known = found.get(one["scenario"], {"points": 0})
            if one.get("points", 0) > known["points"]:
                found[one["scenario"]] = {**one, "tier": document["tier"]}
    lines = [
        f"| what holds | proven by | {' | '.join(COLUMNS)} |",
        f"|---|---|{'---:|' * len(COLUMNS)}",
    ]
    for name, one in found.items():
        command = f"`python -m proof --tier {one['tier']} --only {name}`"
        figures = " | ".join(f"{one[column]:,}" for column in COLUMNS)
        lines.append(f"| {one['promise']} | {command} | {figures} |")
    return "\n".join(lines) + "\n"


def rewritten(text: str, made: str) -> str:
    """The page with this table between its markers."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + made + END + rest.split(END)[1]


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    PAGE.write_text(rewritten(text, table(results())), "utf-8")
