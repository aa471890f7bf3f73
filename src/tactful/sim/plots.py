"""The plots of a report: functions from figures to inline SVG, drawn with `tactful.sim.drawing`.

Each mark says its figures in a `<title>`, which a browser shows to whoever points at it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final, NamedTuple

from tactful.core.model import Millis
from tactful.sim.drawing import TOP, Plot, add, mark, percent, steps
from tactful.sim.figures import Figures, Hit, Tally
from tactful.sim.wording import count, instant, part, span

OUTCOMES: Final = (
    "sent", "received", "lost", "bounced", "waiting",
    "rejected", "collapsed", "suppressed", "expired", "failed", "cancelled",
)  # fmt: skip
"""What became of a delivery, in the order in which it is drawn. `sent` is what a channel took and
nobody heard of since."""

_BAR: Final = 0.76
_COLUMNS_MOST: Final = 24
_DOTS_MOST: Final = 24
_LANE: Final = 22


class Key(NamedTuple):
    """An entry of a legend: the class of its colour, what it stands for, and how it is drawn."""

    colour: str
    text: str
    form: str = "area"


def outcomes_of(tally: Tally) -> list[tuple[str, int]]:
    """What became of all that was submitted, in the order of drawing, without what never occurs."""
    counts = asdict(tally)
    counts["sent"] -= tally.received + tally.lost + tally.bounced
    return [(name, counts[name]) for name in OUTCOMES if counts[name] > 0]


def outcome_bar(tally: Tally, title: str, height: int = 28) -> str:
    """One bar that is divided by what became of all that was submitted."""
    plot = Plot(title, height, kind="bare", below=-TOP)
    left = 0.0
    for name, number in outcomes_of(tally):
        wide = number / tally.submitted
        mark(
            plot.root, "rect", f"{name}: {count(number)} ({part(wide)})",
            x=percent(left), y=0, width=percent(wide), height=height,
            class_=f"mark fill c-{name}",
        )  # fmt: skip
        left += wide
    return plot.svg()


def volume_keys(found: Figures) -> list[Key]:
    """The legend of `volume_plot`."""
    return [
        *(Key(name, name) for name in _stacked(found.volume)),
        Key("submitted", "submitted", "dashes"),
        Key("opened", "opened", "shade"),
    ]


def volume_plot(found: Figures) -> str:
    """What was submitted, what became of it, and what was opened, over time."""
    plot = Plot("Messages over time, by outcome", 240)
    size = max((len(counts) for counts in found.volume.values()), default=0)
    names = (*_stacked(found.volume), "submitted", "opened")
    rows = {name: list(found.volume.get(name) or [0] * size) for name in names}
    roofs = [[0] * size]
    for name in names[:-2]:
        roofs.append([low + more for low, more in zip(roofs[-1], rows[name], strict=True)])
    end = plot.scale(max((max(one, default=1) for one in (roofs[-1], *rows.values())), default=1))
    area = plot.stretched(max(1, size), 1000)
    if any(rows["submitted"]):
        line = steps(_scaled(rows["submitted"], end), 1000)
        mark(area, "path", d=line, class_="mark line c-submitted")
    else:
        plot.note("Nothing was submitted.")
    for name, floor, roof in zip(names, roofs, roofs[1:], strict=False):
        outline = steps(_scaled(roof, end), 1000, _scaled(floor, end))
        mark(area, "path", d=outline, class_=f"mark fill c-{name}")
    if any(rows["opened"]):
        shade = steps(_scaled(rows["opened"], end), 1000, roofs[0])
        mark(area, "path", d=shade, class_="mark shade c-opened")
    for place in range(size):
        counts = [f"{name} {count(row[place])}" for name, row in rows.items() if row[place]]
        begins = instant(found.start + place * found.bin_ms)
        mark(
            plot.root, "rect", f"from {begins}: {', '.join(counts) or 'nothing'}",
            x=percent(place / size), y=TOP, width=percent(1 / size), height=plot.height,
            class_="hit",
        )  # fmt: skip
    plot.times(found.start, found.start + max(1, size) * found.bin_ms)
    plot.caption("time (UTC)")
    return plot.svg()


def delay_plot(found: Figures) -> str:
    """How long what was sent had to wait: one bar for each span, with its part of all."""
    bins, whole = found.delay_bins, sum(number for _, number in found.delay_bins)
    row = min(34, max(17, 260 // max(1, len(bins))))
    plot = Plot("Delay from submission to hand-over", row * max(3, len(bins)), kind="rows", below=0)
    most = max((number for _, number in bins), default=1)
    so_far = 0
    for place, (upper, number) in enumerate(bins):
        so_far += number
        y, wide = TOP + place * row, number / most
        name = f"up to {span(upper)}" if upper else "at once"
        add(plot.root, "text", name, x="-8", y=y + row / 2, class_="tick before")
        mark(
            plot.root, "rect",
            f"{name}: {count(number)} ({part(number / whole)}); {part(so_far / whole)} so far",
            x=0, y=y + 2, width=percent(wide), height=row - 4, class_="mark fill c-sent",
        )  # fmt: skip
        add(
            plot.root, "text", part(number / whole),
            x=percent(wide), y=y + row / 2, dx="6", class_="tick after",
        )  # fmt: skip
    if not bins:
        plot.note("Nothing was sent.")
    return plot.svg()


def per_person_plot(found: Figures) -> str:
    """On which part of all person-days so many messages were handed over to a person."""
    plot = Plot("Messages per person and day", 240)
    whole = sum(found.per_day.values())
    columns = [
        (low, high, sum(found.per_day.get(n, 0) for n in range(low, high + 1)))
        for low, high in _groups([0, *found.per_day] if whole else (), _COLUMNS_MOST)
    ]
    end = plot.scale(max((days for _, _, days in columns), default=1) / max(1, whole), "part")
    for place, (low, high, days) in enumerate(columns):
        name = count(low) if low == high else f"{count(low)}-{count(high)}"
        high_up = days / whole / end
        mark(
            plot.root, "rect",
            f"{name} in a day: {count(days)} person-days ({part(days / whole)})",
            x=percent((place + (1 - _BAR) / 2) / len(columns)), y=plot.y(high_up),
            width=percent(_BAR / len(columns)), height=plot.height * high_up,
            class_="mark fill c-sent",
        )  # fmt: skip
        every = 1 if len(columns) <= 10 else 2 if low == high else 4
        if place % every == 0:
            plot.label((place + 0.5) / len(columns), name)
    if not columns:
        plot.note("There was nobody.")
    plot.caption("messages to one person in a day")
    return plot.svg()


def opens_plot(found: Figures) -> str:
    """Which part is opened by people who get so many messages in a week."""
    plot = Plot("Opens against volume", 240)
    dots = list(_dots(found.opens_by_load))
    end = plot.scale(max((dot.opened / dot.received for dot in dots), default=0) or 1, "part")
    if not dots:
        plot.note("Nothing was received.")
        plot.caption("messages received in a week")
        return plot.svg()
    usual = found.total.opened_ratio or 0
    y = plot.y(usual / end)
    add(plot.root, "line", x1="0", x2="100%", y1=y, y2=y, class_="usual")
    low, high = dots[0].load, dots[-1].load
    margin = 0.06
    most = max(dot.received for dot in dots)
    for dot in dots:
        x = 0.5 if low == high else margin + (1 - 2 * margin) * (dot.load - low) / (high - low)
        ratio = dot.opened / dot.received
        mark(
            plot.root, "circle",
            f"{dot.name} a week: {part(ratio)} of {count(dot.received)} opened",
            cx=percent(x), cy=plot.y(ratio / end), r=3 + 9 * (dot.received / most) ** 0.5,
            class_="mark dot c-received",
        )  # fmt: skip
    for place, load in enumerate(_few(low, high)):
        x = 0.5 if low == high else margin + (1 - 2 * margin) * (load - low) / (high - low)
        plot.label(x, count(load), place)
    plot.caption("messages received in a week")
    return plot.svg()


def timeline_plot(hit: Hit, start: Millis, end: Millis) -> str:
    """All that was meant for one person: a lane for each type, from submission to hand-over."""
    types = sorted({type_ for _, type_, _, _, _ in hit.timeline})
    plot = Plot(f"What {hit.person} was to get", _LANE * max(1, len(types)), kind="lanes", below=24)
    whole = max(1, end - start)
    for place, type_ in enumerate(types):
        y = TOP + _LANE * (place + 0.5)
        add(plot.root, "line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
        name = type_ if len(type_) <= 12 else f"{type_[:11]}…"
        mark(plot.root, "text", type_, x="-12", y=y, class_="tick before").text = name
    for at, type_, outcome, rule, gone in hit.timeline:
        y = TOP + _LANE * (types.index(type_) + 0.5)
        until = at if gone is None else gone
        left, right = (at - start) / whole, (until - start) / whole
        if until > at:
            add(
                plot.root, "line", x1=percent(left), x2=percent(right), y1=y, y2=y,
                class_="wait",
            )  # fmt: skip
        waited = f" after {span(until - at)}" if until > at else ""
        because = f" (rule {rule})" if rule else ""
        mark(
            plot.root, "circle", f"{instant(until)}: {type_} {outcome}{waited}{because}",
            cx=percent(right), cy=y, r=4.5, class_=f"mark dot c-{outcome}",
        )  # fmt: skip
    plot.times(start, end)
    return plot.svg()


# Parts ----------------------------------------------------------------------------------------


class _Dot(NamedTuple):
    name: str
    load: float
    received: int
    opened: int


def _stacked(volume: Mapping[str, Sequence[int]]) -> list[str]:
    """The outcomes that occur."""
    return [name for name in OUTCOMES if any(volume.get(name, ()))]


def _scaled(counts: Sequence[int], end: float) -> list[float]:
    return [1000 * number / end for number in counts]


def _groups(numbers: Collection[int], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of equal width, at most so many, that hold all the numbers."""
    if not numbers:
        return
    low, high = min(numbers), max(numbers)
    wide = -(-(high - low + 1) // most)
    for first in range(low, high + 1, wide):
        yield first, first + wide - 1


def _dots(loads: Mapping[int, tuple[int, int]]) -> Iterator[_Dot]:
    for low, high in _groups(loads, _DOTS_MOST):
        found = {load: loads[load] for load in range(low, high + 1) if load in loads}
        received = sum(got for got, _ in found.values())
        if received:
            middle = sum(load * got for load, (got, _) in found.items()) / received
            name = count(low) if low == high else f"{count(low)}-{count(high)}"
            yield _Dot(name, middle, received, sum(opened for _, opened in found.values()))


def _few(low: float, high: float) -> list[int]:
    """Up to seven whole numbers from low to high."""
    first, last = round(low), round(high)
    step = max(1, -(-(last - first) // 6))
    return list(range(first, last + 1, step))
