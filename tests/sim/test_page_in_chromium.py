"""The report of a run, opened in a real browser as a person would: from a file, at two widths.

Run by `make pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mixed_figures import example, figures_of, hostile, mixed
from playwright.sync_api import BrowserContext, Page

from chromium import CONTRAST, WIDTHS, chromium
from tactful.sim.figures import Figures
from tactful.sim.page import page as report

pytestmark = pytest.mark.browser

TEXTS = "h1, h2, p, dt, dd, th, td, summary, svg text"

# What a script in the page finds out about each plot: its name, whether it is in sight, and its
# marks with something to see.
PLOTS = """() => [...document.querySelectorAll("svg.plot")].map(svg => {
  const all = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll(".mark")].map(mark => mark.getBoundingClientRect());
  const drawn = boxes.filter(box => box.width > 0 && box.height > 0);
  return {
    name: svg.querySelector("title").textContent, role: svg.getAttribute("role"),
    width: all.width, height: all.height, marks: drawn.length,
    inside: drawn.every(box => box.left >= all.left - 1 && box.right <= all.right + 1
      && box.top >= all.top - 1 && box.bottom <= all.bottom + 1),
  };
})"""

# Pairs of labels below one plot that lie on each other, and labels beyond the page.
CROWDED = """() => [...document.querySelectorAll("svg.plot")].flatMap(svg => {
  const labels = [...svg.querySelectorAll("text.tick.below")]
    .map(label => [label.textContent, label.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0);
  const beyond = labels.filter(([, box]) => box.left < 0 || box.right > innerWidth);
  const crowded = labels.filter(([, box], place) =>
    place > 0 && labels[place - 1][1].right > box.left - 1);
  return [...beyond, ...crowded].map(([text]) => text);
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with chromium(tmp_path_factory.mktemp("profile")) as context:
        yield context


class Opened:
    """A page in the browser, with whatever it asked for and complained about."""

    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.requests: list[str] = []
        self.blocked: list[tuple[str, str | None]] = []
        self.complaints: list[str] = []
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("requestfailed", lambda gone: self.blocked.append((gone.url, gone.failure)))
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def ask(self, script: str) -> Any:
        return self.tab.evaluate(script)


@pytest.fixture
def opened(browser: BrowserContext, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    tabs: list[Page] = []

    def show(html: str, width: int = 1280, scheme: Any = "light") -> Opened:
        file = tmp_path / f"report-{len(tabs)}.html"
        file.write_text(html, encoding="utf-8")
        tab = browser.new_page()
        tabs.append(tab)
        seen = Opened(tab)
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=scheme)
        tab.goto(file.as_uri())
        return seen

    yield show
    for tab in tabs:
        tab.close()


@pytest.mark.parametrize("figures", [example, mixed])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_plot_is_drawn_and_nothing_is_asked_for(
    opened: Callable[..., Opened], width: int, figures: Callable[[], Figures]
) -> None:
    seen = opened(report(figures()), width)
    plots = seen.ask(PLOTS)

    assert seen.complaints == []
    assert seen.requests == [seen.tab.url]
    assert [plot["name"] for plot in plots[:5]] == [
        "What became of all that was submitted",
        "Messages over time, by outcome",
        "Delay from submission to hand-over",
        "Messages per person and day",
        "Opens against volume",
    ]
    assert len(plots) == 5 + len(figures().worst)
    for plot in plots:
        assert plot["role"] == "img"
        assert plot["marks"] > 0, plot
        assert plot["inside"], plot
        assert 200 < plot["width"] <= width, plot
    assert seen.ask("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("figures", [example, mixed])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_labels_keep_apart(
    opened: Callable[..., Opened], width: int, figures: Callable[[], Figures]
) -> None:
    assert opened(report(figures()), width).ask(CROWDED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_in_dark(
    opened: Callable[..., Opened], scheme: str
) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3); the two schemes do differ."""
    seen = opened(report(mixed()), scheme=scheme)
    ground = seen.ask("getComputedStyle(document.body).backgroundColor")

    assert seen.tab.evaluate(CONTRAST, TEXTS) >= 4.5
    assert (ground == "rgb(20, 23, 26)") == (scheme == "dark")


def test_pointing_at_a_mark_tells_its_figures(opened: Callable[..., Opened]) -> None:
    seen = opened(report(mixed()))
    figure = seen.tab.locator("figure", has_text="Messages per person")
    figure.locator(".mark").first.hover()

    days = mixed().per_day[0]
    assert figure.locator(".readout").inner_text().startswith(f"0 in a day: {days:,} person-days")


def test_a_hostile_scenario_runs_nothing_and_fetches_nothing(
    opened: Callable[..., Opened],
) -> None:
    seen = opened(report(hostile(), command=hostile().name), 390)

    assert seen.complaints == []
    assert seen.requests == [seen.tab.url]
    assert seen.tab.title() != "taken"
    assert seen.ask("document.scripts.length") == 1
    assert seen.ask("document.images.length") == 0
    assert seen.ask("document.documentElement.scrollWidth") <= 390


def test_what_slipped_into_a_page_would_still_not_run(opened: Callable[..., Opened]) -> None:
    """The policy of the page holds by itself, were something not escaped."""
    image = "http://127.0.0.1:9/x.png"
    slipped = f"""<img src="{image}" onerror="document.title=1"><script>document.title=1</script>"""
    seen = opened(report(mixed()).replace("<main>", f"<main>{slipped}"))

    assert seen.blocked == [(image, "csp")]
    assert seen.tab.title() != "1"
    assert sum("Content Security Policy" in complaint for complaint in seen.complaints) == 3


@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_of_nothing_is_a_page_without_faults(
    opened: Callable[..., Opened], width: int
) -> None:
    for text in ("[population]\ncount = 0", "[population]\ncount = 3"):
        seen = opened(report(figures_of(text)), width)

        assert seen.complaints == []
        assert seen.ask("document.documentElement.scrollWidth") <= width
        remarks = seen.tab.locator("svg .remark").all_text_contents()
        assert "Nothing was submitted." in remarks
        assert "Nothing was sent." in remarks
