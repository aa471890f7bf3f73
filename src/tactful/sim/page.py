"""The report of a run as one HTML page, which needs nothing else: no request, no font, no library.

What comes from a scenario is escaped, and a content security policy allows nothing but this page's
own style sheet and script, each by its digest (CSP Level 3): whatever slipped through would be
neither loaded nor run. Without the script the page lacks nothing but the line that repeats what a
mark says. The same figures give the same page, byte for byte.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from tactful import __version__
from tactful.sim import plots
from tactful.sim.figures import Figures, Hit, Tally
from tactful.sim.wording import NOTHING, count, instant, part, period, span

MESSAGES_SHOWN: Final = 20
TIMELINE_SHOWN: Final = 60
_BODY_SHOWN: Final = 60
_ALWAYS: Final = ("submitted", "sent", "received", "lost", "opened", "deferred", "rejected")
_STOPPED: Final = ("rejected", "collapsed", "suppressed", "expired", "cancelled")
_RATIOS: Final = {
    "received": ("of sent", "received_ratio"),
    "opened": ("of received", "opened_ratio"),
}
_PAGES: Final = Environment(
    loader=PackageLoader("tactful.sim", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what it is called, its columns, and rows of texts and numbers.

    The first column names the row; columns listed in `words` are text, the others numbers. `more`
    says what was left out below.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset({0})
    more: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot with what is said beside it: heading, explanation, legend, and its figures."""

    title: str
    says: str
    svg: str
    figures: Table
    keys: Sequence[plots.Key] = ()
    wide: bool = False


class Tile(NamedTuple):
    """A headline figure, with what it means below it."""

    name: str
    value: str
    says: str


class Story(NamedTuple):
    """One of the people who were hit worst."""

    hit: Hit
    longest_delay: str
    svg: str
    table: Table


def page(figures: Figures, command: str = "") -> str:
    """The report of a run; `command` is the command line that repeats it, where there was one."""
    total = figures.total
    return render(
        "run.html.j2",
        title=figures.name,
        found=figures,
        command=command or f"tactful simulate SCENARIO.toml --seed {figures.seed}",
        summary=summary(figures),
        period=period(figures.start, figures.ended_at),
        bar=plots.outcome_bar(total, "What became of all that was submitted"),
        outcomes=[
            (plots.Key(name, name), count(number), part(number / total.submitted))
            for name, number in plots.outcomes_of(total)
        ],
        tiles=tiles(figures),
        plots=panels(figures),
        types=type_table(figures),
        delays=delay_table(figures),
        rules=rule_table(figures),
        messages=message_table(figures),
        stories=[story(hit, figures) for hit in figures.worst],
    )


def render(template: str, **values: Any) -> str:
    """A page of the folder `pages` with its style sheet, script and content security policy."""
    style, script = _text("page.css"), _text("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _PAGES.get_template(template).render(
        **values, style=style, script=script, policy=policy, version=__version__
    )


def summary(figures: Figures) -> str:
    """The run in a sentence or two."""
    total = figures.total
    if not figures.people:
        return "There was nobody to send anything to."
    people = _several(figures.people, "person", "people")
    if not total.submitted:
        return f"Nothing was submitted for {people}."
    meant = _several(total.submitted, "message was", "messages were")
    said = f"{meant} meant for {people} in {span(max(1, figures.ended_at - figures.start))}."
    if not total.sent:
        return f"{said} None was handed over to a channel."
    said += f" {count(total.sent)} went out and {count(total.received)} arrived"
    said += f" ({part(total.received_ratio)})."
    if total.received:
        said += f" Of these, {count(total.opened)} were opened ({part(total.opened_ratio)})."
    return said


def tiles(figures: Figures) -> list[Tile]:
    """The headline figures."""
    total, late = figures.total, figures.delays["all"].p95
    stopped = {name: getattr(total, name) for name in _STOPPED}
    mostly = max(_STOPPED, key=stopped.__getitem__)
    return [
        Tile("Handed over", count(total.sent), f"of {count(total.submitted)} submitted"),
        Tile("Received", part(total.received_ratio), f"{count(total.lost)} lost"),
        Tile("Opened", part(total.opened_ratio), f"{count(total.opened)} of what was received"),
        Tile(
            "Put off by a rule",
            count(total.deferred),
            "nothing was sent"
            if late is None
            else f"95 % of all went {f'within {span(late)}' if late else 'at once'}",
        ),
        Tile(
            "Not sent, by decision",
            count(sum(stopped.values())),
            f"{count(stopped[mostly])} {mostly}",
        ),
        Tile(
            "Most in a day",
            count(max(figures.per_day, default=0)),
            f"to one person; {count(total.unsubscribed)} unsubscribed",
        ),
    ]


def panels(figures: Figures) -> list[Panel]:
    """The four plots of a run."""
    bins = figures.delay_bins
    days = sum(figures.per_day.values())
    names = [name for name, counts in figures.volume.items() if any(counts)]
    submitted_at = range(max((len(one) for one in figures.volume.values()), default=0))
    return [
        Panel(
            "Messages over time",
            f"How many in each {span(figures.bin_ms)}, by what became of them. Where the dashed "
            "line rises above the area, messages had to wait.",
            plots.volume_plot(figures),
            Table(
                "Messages over time",
                ["from (UTC)", *names],
                [
                    [
                        instant(figures.start + place * figures.bin_ms),
                        *(count(figures.volume[name][place]) for name in names),
                    ]
                    for place in submitted_at
                ],
            ),
            plots.volume_keys(figures),
            wide=True,
        ),
        Panel(
            "Delay",
            "From submission, or the planned time, to the hand-over.",
            plots.delay_plot(figures),
            Table(
                "Delay",
                ["up to", "sent", "part"],
                [
                    [span(upper), count(number), part(number / sum(n for _, n in bins))]
                    for upper, number in bins
                ],
            ),
        ),
        Panel(
            "Messages per person",
            "The days of all people, by how many messages each brought.",
            plots.per_person_plot(figures),
            Table(
                "Messages per person and day",
                ["in a day", "person-days", "part"],
                [[count(n), count(many), part(many / days)] for n, many in figures.per_day.items()],
            ),
        ),
        Panel(
            "Opens against volume",
            "Larger dots stand for more messages, the dashed line for everybody.",
            plots.opens_plot(figures),
            Table(
                "Opens against volume",
                ["in a week", "received", "opened", "part"],
                [
                    [count(load), count(got), count(opened), part(opened / got if got else None)]
                    for load, (got, opened) in figures.opens_by_load.items()
                ],
            ),
        ),
    ]


def type_table(figures: Figures) -> Table:
    """Each type's figures, and those of all together where there are several."""
    tallies = dict(figures.types)
    if len(tallies) != 1:
        tallies["all"] = figures.total
    names = _counted(list(tallies.values()))
    return Table(
        "Types",
        ["type", *_headings(names)],
        [[name, *_cells(tally.to_dict(), names)] for name, tally in tallies.items()],
    )


def message_table(figures: Figures) -> Table:
    """The first messages to everybody, and how many more there were."""
    shown = figures.messages[:MESSAGES_SHOWN]
    names = _counted(shown)
    left = len(figures.messages) - len(shown)
    return Table(
        "Messages to everybody",
        ["no.", "type", "text", *_headings(names)],
        [
            [count(one["number"]), one["type"], _shortened(one["body"]), *_cells(one, names)]
            for one in shown
        ],
        words=frozenset({1, 2}),
        more=f"and {count(left)} more" if left else "",
    )


def delay_table(figures: Figures) -> Table:
    """Percentiles of the delay for each type."""
    delays = {name: one for name, one in figures.delays.items() if name != "all"}
    if len(delays) > 1:
        delays["all"] = figures.delays["all"]
    return Table(
        "Delays",
        ["type", "half within", "95 % within", "99 % within", "longest"],
        [[name, *(span(one) for one in asdict(d).values())] for name, d in delays.items()],
    )


def rule_table(figures: Figures) -> Table:
    """On how many deliveries each rule has acted."""
    whole = figures.total.submitted
    return Table(
        "Rules",
        ["rule", "deliveries", "of submitted"],
        [[n, count(acted), part(acted / whole)] for n, acted in figures.rules.items()],
    )


def story(hit: Hit, figures: Figures) -> Story:
    """What was meant for one person, as a plot and as a table."""
    shown = hit.timeline[:TIMELINE_SHOWN]
    left = len(hit.timeline) - len(shown)
    return Story(
        hit,
        span(hit.longest_delay),
        plots.timeline_plot(hit, figures.start, figures.ended_at),
        Table(
            f"What {hit.person} was to get",
            ["submitted (UTC)", "type", "outcome", "rule", "handed over", "delay"],
            [
                [
                    instant(at),
                    type_,
                    outcome,
                    rule or NOTHING,
                    NOTHING if gone is None else instant(gone),
                    NOTHING if gone is None else span(max(0, gone - at)),
                ]
                for at, type_, outcome, rule, gone in shown
            ],
            words=frozenset(range(5)),
            more=f"and {count(left)} more" if left else "",
        ),
    )


# Parts ----------------------------------------------------------------------------------------


def _counted(tallies: Sequence[Tally | Mapping[str, Any]]) -> list[str]:
    """The counts that a table shows: the usual ones, and others where there are any."""
    found = [one.to_dict() if isinstance(one, Tally) else one for one in tallies]
    return [n for n in asdict(Tally()) if n in _ALWAYS or any(one[n] for one in found)]


def _headings(names: Sequence[str]) -> list[str]:
    return [text for n in names for text in ((n, _RATIOS[n][0]) if n in _RATIOS else (n,))]


def _cells(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    cells = []
    for name in names:
        cells.append(count(found[name]))
        if name in _RATIOS:
            cells.append(part(found[_RATIOS[name][1]]))
    return cells


def _shortened(text: str) -> str:
    return text if len(text) <= _BODY_SHOWN else f"{text[: _BODY_SHOWN - 1]}…"


def _several(number: int, one: str, many: str) -> str:
    return f"{count(number)} {one if number == 1 else many}"


def _text(name: str) -> str:
    return files("tactful.sim").joinpath("pages", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
