"""What `tactful simulate` shows a person: tables of figures, comparisons and sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tactful.sim.compare import RATIOS, Comparison, Sweep
from tactful.sim.figures import Delays, Figures, Tally
from tactful.sim.wording import instant, period, span

_SHOWN: Final = 20
_ALWAYS: Final = ("submitted", "sent", "received", "lost", "opened")
_TIMELINE: Final = 8


def ratio(value: float | None) -> str:
    """A ratio with two places, or a dash for one of nothing."""
    return "-" if value is None else f"{value:.2f}"


def figure_lines(found: Figures) -> Iterator[str]:
    """The figures of one run."""
    yield (
        f"{found.name}: {found.people:,} people, seed {found.seed},"
        f" {period(found.start, found.ended_at)} (UTC)"
    )
    if found.messages:
        yield from _messages(found)
    yield from _types(found)
    yield from _delays(found.delays)
    if found.rules:
        yield ""
        yield from _table(
            ["rule", "acted on"], [[name, f"{count:,}"] for name, count in found.rules.items()]
        )
    yield ""
    days = sum(found.per_day.values())
    rows = [[str(n), f"{c:,}", f"{c / days:.1%}"] for n, c in _thinned(found.per_day).items()]
    yield from _table(["messages a day", "person-days", "part"], rows)
    yield from _worst(found)


def comparison_lines(found: Comparison) -> Iterator[str]:
    """What moved between two rule sets; what did not, or may be chance, is only counted."""
    moved = [one for one in found.differences if one.change]
    count = len(found.seeds)
    clear = [one for one in moved if one.clear or count == 1]
    yield f"{count} seed{'s' if count > 1 else ''}, from {found.seeds[0]}; 95 % intervals"
    if not moved:
        yield "no figure differs"
        return
    rows = []
    for one in clear:
        show = _teller(one.name)
        interval = f"{show(one.low)} to {show(one.high)}" if one.low is not None else "-"
        sign = "+" if one.change > 0 else ""
        change = f"{sign}{show(one.change)}"
        rows.append([one.name, show(one.before), show(one.after), change, interval])
    yield from _table(["figure", "before", "after", "change", "interval"], rows)
    if len(clear) < len(moved):
        yield f"{len(moved) - len(clear)} more differ by no more than chance may make them"


def sweep_lines(found: Sweep) -> Iterator[str]:
    """The curve of one field, with its knee marked."""
    head = [found.field, "sent", "deferred", "rejected", "opened", "op./rec.", "unsubscribed"]
    rows = [
        [
            value,
            f"{one.total.sent:,}",
            f"{one.total.deferred:,}",
            f"{one.total.rejected:,}",
            f"{one.total.opened:,}",
            ratio(one.total.opened_ratio),
            f"{one.total.unsubscribed:,}",
            span(one.delays["all"].p95),
            "<- knee" if value == found.knee else "",
        ]
        for value, one in found.points
    ]
    yield f"rule {found.rule}"
    yield from _table([*head, "p95 delay", ""], rows)


# Parts ----------------------------------------------------------------------------------------


def _messages(found: Figures) -> Iterator[str]:
    yield ""
    rows = [
        [
            str(one["number"]),
            _short(one["body"]),
            *(f"{one[name]:,}" for name in ("sent", "received", "lost", "opened")),
            ratio(one["received_ratio"]),
            ratio(one["opened_ratio"]),
        ]
        for one in found.messages[:_SHOWN]
    ]
    head = ["#", "body", "sent", "received", "lost", "opened", "rec./sent", "op./rec."]
    yield from _table(head, rows, left=(1,))
    if len(found.messages) > _SHOWN:
        yield f"and {len(found.messages) - _SHOWN:,} more"


def _types(found: Figures) -> Iterator[str]:
    yield ""
    everything = {**found.types, "all": found.total} if len(found.types) != 1 else found.types
    if not everything:
        everything = {"all": Tally()}
    dicts = {name: tally.to_dict() for name, tally in everything.items()}
    names = [
        name
        for name in Tally().to_dict()
        if name in _ALWAYS or name in RATIOS or any(d[name] for d in dicts.values())
    ]
    rows = [
        [
            name.removesuffix("_ratio") + (" ratio" if name in RATIOS else ""),
            *(ratio(d[name]) if name in RATIOS else f"{d[name]:,}" for d in dicts.values()),
        ]
        for name in names
    ]
    yield from _table(["", *dicts], rows)


def _delays(delays: Mapping[str, Delays]) -> Iterator[str]:
    if all(one.max in (None, 0) for one in delays.values()):
        return
    yield ""
    rows = [
        [name, span(one.p50), span(one.p95), span(one.p99), span(one.max)]
        for name, one in delays.items()
        if len(delays) != 2 or name != "all"
    ]
    yield from _table(["delay", "p50", "p95", "p99", "max"], rows)


def _worst(found: Figures) -> Iterator[str]:
    if not found.worst:
        return
    yield ""
    rows = [
        [hit.person, str(hit.most_in_a_day), f"{hit.received:,}", span(hit.longest_delay)]
        for hit in found.worst
    ]
    yield from _table(["hit worst", "most in a day", "received", "longest delay"], rows)
    hit = found.worst[0]
    yield ""
    rows = [
        [instant(at), type_, outcome, rule or "", "-" if gone is None else instant(gone)]
        for at, type_, outcome, rule, gone in hit.timeline[:_TIMELINE]
    ]
    head = [f"submitted to {hit.person}", "type", "outcome", "rule", "handed over"]
    yield from _table(head, rows, left=(0, 1, 2, 3, 4))
    if len(hit.timeline) > _TIMELINE:
        yield f"and {len(hit.timeline) - _TIMELINE:,} more"


def _thinned(per_day: Mapping[int, int]) -> dict[str, int]:
    """The first of a long distribution, and the rest together."""
    items = list(per_day.items())
    shown = {str(count): days for count, days in items[:10]}
    if len(items) > 10:
        shown[f"{items[10][0]} and more"] = sum(days for _, days in items[10:])
    return shown


def _teller(name: str) -> Any:
    if name.endswith("_delay"):
        return lambda value: ("-" if value < 0 else "") + span(round(abs(value)))
    if name.rpartition(".")[2] in RATIOS:
        return lambda value: f"{value:.3f}"
    return lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _short(text: str) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 40 else line[:39] + "…"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> Iterator[str]:
    """Aligned columns: names to the left, numbers to the right."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    for row in table:
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
