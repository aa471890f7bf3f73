"""The plots of the benchmarks show what was measured, and the page shows the plots."""

from __future__ import annotations

import re
from xml.etree.ElementTree import fromstring

from benchmarks import plots

PAGE = plots.ROOT / "docs" / "benchmarks.md"


def test_the_plots_are_those_of_the_committed_figures() -> None:
    found = {file.name: file.read_text("utf-8") for file in plots.PLOTS.glob("*.svg")}

    assert found == plots.made(), "run `python -m benchmarks.plots`"


def test_the_page_shows_every_plot() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(plots/([^)]+)\)", PAGE.read_text("utf-8"))

    assert sorted(shown) == sorted(plots.made())


def test_a_bar_is_as_long_as_its_figure_is_large() -> None:
    rows = [plots.Bar("one", 10, "10/s"), plots.Bar("two", 5, "5/s", ours=False)]
    svg = fromstring(plots.drawn("Of two", rows))
    bars = svg.findall("{*}rect")

    assert [int(bar.get("width", "")) for bar in bars] == [plots.BARS, plots.BARS // 2]
    assert [bar.get("class") for bar in bars] == ["ours", "theirs"]
