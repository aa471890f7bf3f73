"""Drawing in SVG that needs no script and no fixed width.

A plot is as wide as the page lets it be. Sideways everything is placed in per cent and downwards
in pixels, so that a phone shows narrower bars but no smaller letters; only areas and lines are
stretched, each in a viewport of its own (SVG 2, section 8.6). Room for the labels around the plot
is padding of the style sheet. Colours come from the style sheet, too: `c-NAME` says what a mark
stands for, `fill` and `line` how it is drawn. Texts are escaped by the serialiser.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Millis
from tactful.sim import wording

TOP: Final = 12
_BELOW: Final = 40
_LABELS: Final = 7
# Steps between the labels of a time axis.
_STEPS: Final = (
    *(SECOND * n for n in (1, 2, 5, 10, 30)),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7, 14, 28, 56, 112, 364)),
)


def add(parent: Element, tag: str, text: str = "", /, **attributes: str | float) -> Element:
    """A new last child: `stroke_width=1.5` becomes `stroke-width="1.5"`, `class_` is `class`."""
    named = {name.rstrip("_").replace("_", "-"): _spelt(v) for name, v in attributes.items()}
    child = SubElement(parent, tag, named)
    child.text = text or None
    return child


def mark(parent: Element, tag: str, says: str = "", /, **attributes: str | float) -> Element:
    """A child that stands for figures, and what it says when somebody points at it."""
    child = add(parent, tag, **attributes)
    if says:
        add(child, "title", says)
    return child


def percent(part: float) -> str:
    """A part of the width."""
    return f"{_spelt(100 * part)}%"


class Plot:
    """A plot with an area of `height` pixels; `kind` is a class that the style sheet knows."""

    def __init__(self, title: str, height: int, *, kind: str = "", below: int = _BELOW) -> None:
        self.height = height
        whole = str(TOP + height + below)
        self.root = Element("svg", {"class": f"plot {kind}".strip(), "role": "img"})
        self.root.set("width", "100%")
        self.root.set("height", whole)
        add(self.root, "title", title)

    def y(self, part: float) -> float:
        """The pixel at a part of the height, counted from below."""
        return TOP + self.height * (1 - part)

    def scale(self, most: float, tell: str = "count") -> float:
        """Draw the axis upwards from 0; returns the value at its end, which is at least `most`."""
        step = nice_step(most) if tell == "part" else math.ceil(nice_step(most))
        ticks = max(1, math.ceil(most / step - 1e-9))
        for tick in range(ticks + 1):
            y = round(self.y(tick / ticks)) + 0.5
            add(self.root, "line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if tick else "zero")
            value = step * tick
            said = wording.short_count(value) if tell == "count" else f"{100 * value:.4g} %"
            add(self.root, "text", said, x="-8", y=y, class_="tick before")
        return step * ticks

    def label(self, part: float, text: str, place: int = 0) -> None:
        """The label below the plot that is number `place` from the left; where there is little
        room, only every other or every fourth is shown."""
        rank = ("", " extra", " rare", " extra")[place % 4]
        y = TOP + self.height + 16
        add(self.root, "text", text, x=percent(part), y=y, class_=f"tick below{rank}")

    def caption(self, text: str) -> None:
        """What the axis below the plot shows."""
        y = TOP + self.height + 34
        add(self.root, "text", text, x="50%", y=y, class_="caption below")

    def times(self, start: Millis, end: Millis) -> None:
        """Label the axis below the plot with instants."""
        for place, (at, text) in enumerate(time_ticks(start, end)):
            part = (at - start) / max(1, end - start)
            x, y = percent(part), self.y(0)
            add(self.root, "line", x1=x, x2=x, y1=y, y2=y + 4, class_="zero")
            self.label(part, text, place)

    def stretched(self, wide: float, high: float) -> Element:
        """A viewport over the whole area, `wide` and `high` in its own units, y downwards."""
        return add(
            self.root, "svg", x="0", y=TOP, width="100%", height=self.height,
            viewBox=f"0 0 {_spelt(wide)} {_spelt(high)}", preserveAspectRatio="none",
        )  # fmt: skip

    def note(self, text: str) -> None:
        """A remark in the middle of a plot that has nothing to show."""
        add(self.root, "text", text, x="50%", y=self.y(0.5), class_="remark below")

    def svg(self) -> str:
        """The plot as inline SVG, safe in HTML."""
        return tostring(self.root, encoding="unicode")


def steps(values: Sequence[float], high: float, floor: Sequence[float] = ()) -> str:
    """A path of unit-wide steps; with a floor the outline of the area between the two."""
    there = [f"V{_spelt(high - v)}H{place}" for place, v in enumerate(values, start=1)]
    back = [f"V{_spelt(high - floor[n])}H{n}" for n in reversed(range(len(floor)))]
    return f"M0 {_spelt(high)}" + "".join(there) + "".join(back) + ("Z" if back else "")


def nice_step(most: float) -> float:
    """A step of 1, 2, 2.5 or 5 times a power of ten that goes into `most` four times or so."""
    if most <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most / 4))
    return next(size * n for n in (1, 2, 2.5, 5, 10) if size * n * 4.0001 >= most)


def time_ticks(start: Millis, end: Millis) -> Iterator[tuple[Millis, str]]:
    """Instants for labels of an axis, at full days or hours of UTC, and their texts."""
    step = next((one for one in _STEPS if (end - start) / one <= _LABELS), _STEPS[-1])
    first = -(-start // step) * step
    for at in range(first, end + 1, step):
        midnight = at % DAY == 0
        yield at, wording.day(at) if midnight else wording.clock(at, seconds=step < MINUTE)


def _spelt(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.3f}".rstrip("0").rstrip(".")
