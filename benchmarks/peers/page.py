"""The published run: its figures in benchmarks/results, its tables in docs/benchmarks.md."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.peers import tables
from benchmarks.peers.environments import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- begin: written by python -m benchmarks.peers --publish -->\n"
END = "<!-- end -->\n"


def publish(figures: dict[str, Any]) -> None:
    """Writes both. Tables that stood in the page are replaced."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    before, _, after = parts(PAGE.read_text("utf-8"))
    PAGE.write_text(f"{before}{BEGIN}\n{tables.for_the_page(figures)}\n\n{END}{after}", "utf-8")


def parts(page: str) -> tuple[str, str, str]:
    """What stands before, between and after the two marks; raises ValueError without them."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"{PAGE.name} has lost the marks between which the tables stand")
    before, _, rest = page.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before, inside, after
