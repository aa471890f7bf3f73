"""The figures of benchmarks/results as plots in docs/plots: bars, in SVG, with nothing to load.

A plot follows the reader's light or dark surroundings by its own style sheet.

    python -m benchmarks.plots
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLOTS = ROOT / "docs" / "plots"

WIDTH, LABELS, BARS, ROW, TOP = 860, 400, 340, 26, 34
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .ours { fill: #0969da } .theirs { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .ours { fill: #4493f8 } .theirs { fill: #7d8590 }
}
"""


class Bar(NamedTuple):
    """One figure: `said` is its text, `ours` whether it is Tactful's."""

    label: str
    value: float
    said: str
    ours: bool = True


Figures = dict[str, Any]


def drawn(title: str, rows: Sequence[Bar]) -> str:
    """Bars beside each other, the longest as long as there is room for."""
    height = TOP + ROW * len(rows) + 4
    svg = Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    svg.set("viewBox", f"0 0 {WIDTH} {height}")
    SubElement(svg, "title").text = title
    SubElement(svg, "style").text = STYLE
    SubElement(svg, "text", {"x": "4", "y": "18", "class": "title"}).text = title
    most = max(row.value for row in rows) or 1
    for place, row in enumerate(rows):
        y, length = TOP + ROW * place, max(1, round(BARS * row.value / most))
        label = {"x": str(LABELS - 8), "y": str(y + 15), "text-anchor": "end"}
        SubElement(svg, "text", label).text = row.label
        kind = "ours" if row.ours else "theirs"
        at = {"x": str(LABELS), "y": str(y + 3), "width": str(length), "height": str(ROW - 8)}
        SubElement(svg, "rect", {**at, "class": kind})
        SubElement(svg, "text", {"x": str(LABELS + length + 6), "y": str(y + 15)}).text = row.said
    indent(svg)
    return tostring(svg, "unicode") + "\n"


def rate(value: float) -> str:
    return f"{value:,.0f}/s"


def middle(runs: Iterable[Figures], figure: str) -> float:
    return statistics.median(run[figure] for run in runs)


# One function for each file of figures -----------------------------------------------------------


def of_peers(figures: Figures) -> dict[str, str]:
    rows, costs = [], []
    for run in figures["runs"]:
        if run["kind"] != "pipeline":
            continue
        label, ours = f"{run['name']}, {run['where']}", run["peer"] == "tactful"
        spent = sum(run["cpu_us_each"].values())
        rows.append(Bar(label, run["per_second"], rate(run["per_second"]), ours))
        costs.append(Bar(label, spent, f"{spent:,.0f} µs", ours))
    return {
        "pipelines": drawn("Mails per second, from submission to the record of the 250", rows),
        "pipeline-cost": drawn("Processor time for one mail, servers included", costs),
    }


def of_scaling(figures: Figures) -> dict[str, str]:
    titles = {
        "at_once": "Mails per second on PostgreSQL, a server that answers at once",
        "slow": f"Mails per second, a server that takes {figures['latency_ms']:.0f} ms for each",
    }
    return {
        f"scaling-{name.replace('_', '-')}": drawn(
            title,
            [
                Bar(
                    f"{run['workers']} worker{'s' * (run['workers'] > 1)}",
                    run["per_second"],
                    f"{rate(run['per_second'])}, {run['per_second'] / first:.2f} x",
                )
                for first in [figures[name][0]["per_second"]]
                for run in figures[name]
            ],
        )
        for name, title in titles.items()
    }


def of_limiter(figures: Figures) -> dict[str, str]:
    rows = [
        Bar(name, row["per_second"], rate(row["per_second"]), name.startswith("Tactful"))
        for name, row in figures["rows"].items()
    ]
    return {"limiter": drawn("Decisions per second with three rules, on one Valkey", rows)}


def of_admission(figures: Figures) -> dict[str, str]:
    rows = []
    for store in ("sqlite", "postgresql"):
        for name, runs in figures.items():
            if name.endswith(store):
                label = name.removesuffix(f"_{store}").replace("many_", "many, ").replace("_", " ")
                speed = middle(runs, "per_second")
                rows.append(Bar(f"{label} at once, {store}", speed, rate(speed)))
    return {"admission": drawn("Deliveries admitted per second, on the disk", rows)}


def of_latency(figures: Figures) -> dict[str, str]:
    rows = []
    parts = {
        "idle": "idle",
        "load": "beside a broadcast",
        "express": "with a worker of its own",
    }
    for store in ("sqlite", "postgresql"):
        for part, words in parts.items():
            runs = figures.get(f"{part}_{store}", [])
            for mark in ("p50_ms", "p99_ms") if runs else ():
                value = middle(runs, mark)
                label = f"{store}, {words}, {mark.removesuffix('_ms')}"
                rows.append(Bar(label, value, f"{value:,.1f} ms"))
    return {"latency": drawn("A critical message, from its submission to the 250", rows)}


def of_million(figures: Figures) -> dict[str, str]:
    rows = [
        Bar(f"after {tenth:,}", held, f"{held:,} MiB")
        for tenth, held in zip(
            range(figures["notifications"] // 10, figures["notifications"] + 1, 100_000),
            figures["resident_mib"],
            strict=False,
        )
    ]
    return {"memory": drawn("Memory of one process over a million deliveries", rows)}


def of_bloat(figures: Figures) -> dict[str, str]:
    rows = [
        Bar(f"after {look['admitted']:,}", look["due"], f"{look['due'] / 1e6:,.1f} MB")
        for look in figures["looks"]
    ]
    return {"queue": drawn("The queue's table on PostgreSQL, 10,000 always in it", rows)}


SOURCES: dict[str, Callable[[Figures], dict[str, str]]] = {
    "peers": of_peers,
    "scaling": of_scaling,
    "limiter": of_limiter,
    "admission": of_admission,
    "latency": of_latency,
    "million": of_million,
    "bloat": of_bloat,
}


def made() -> dict[str, str]:
    """All plots of which there are figures, by the names of their files."""
    found: dict[str, str] = {}
    for name, draw in SOURCES.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            plots = draw(json.loads(file.read_text("utf-8")))
            found |= {f"{plot}.svg": text for plot, text in plots.items()}
    return found


def write() -> None:
    """Draw them all anew."""
    PLOTS.mkdir(exist_ok=True)
    for name, text in made().items():
        (PLOTS / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write()
