"""`tactful backtest`: what would have happened under rules that are proposed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from tactful.cli.engine import configured
from tactful.cli.instants import parse_instant, span
from tactful.cli.options import columns, shared, show, wanted
from tactful.config import Policies, read_policies
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import SECOND, Millis
from tactful.core.names import name_key
from tactful.core.rules import Rule
from tactful.engine.requests import parse_duration
from tactful.engine.rulebook import Rulebook
from tactful.engine.zones import iso
from tactful.ports import Reader
from tactful.runtime.clock import SystemClock
from tactful.sim.backtest import Backtest, Column, Part, backtest
from tactful.sim.fates import OUTCOMES, SENT
from tactful.stores.chosen import viewing

_AGO: Final = re.compile(r"\s*\d+\s*[a-z]+\s*", re.IGNORECASE)
_HEADS: Final = {SENT: "at once"}
_CHANGES: Final = {
    "same": "as they do now",
    "earlier": "go out earlier",
    "later": "go out later",
    "stopped": "do not go out any more",
    "freed": "go out that do not now",
}


@click.command("backtest")
@click.option(
    "--rules",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The rules that are proposed, as `rules apply` takes them.",
)
@click.option("--since", default="30d", show_default=True, metavar="WHEN", help="From then on.")
@click.option("--until", metavar="WHEN", help="To before then; default: now.")
@click.option("--type", "types", multiple=True, metavar="NAME", help="Of this type; repeatable.")
@click.option(
    "--people",
    type=click.IntRange(0, 10_000),
    default=5,
    show_default=True,
    help="How many of those hit most to name.",
)
@shared
def command(
    *, file: Path, since: str, until: str | None, types: Sequence[str], people: int
) -> None:
    """Replay recorded traffic under rules that are proposed.

    Says what would have changed: what goes out later, in digests or not at all, and for whom.
    WHEN is a span before now, such as 30d, or an instant: ISO 8601 with a zone, or milliseconds.
    The store is only read, and may be in use.
    """
    config = configured()
    policies = read_policies(file)
    if policies.rules is None:
        raise ConfigError(f"rules: {file} has none; an empty table [rules] stands for no rules")
    now = SystemClock().now()
    begins, ends = _when(since, "since", now), _when(until or str(now), "until", now)
    if begins >= ends:
        raise RequestError("since", since, f"must be before {iso(ends)}")
    names = [name_key(name, "type") for name in types]
    console = Console(stderr=True, quiet=wanted().json)
    with viewing(config.store) as reader, console.status("Reading") as status:
        others = _others(reader, policies)
        found = backtest(
            reader,
            policies.rules,
            config.engine,
            since=begins,
            until=ends,
            now=now,
            types=names,
            worst=people,
            progress=lambda seen: status.update(f"Replaying: {seen:,} deliveries"),
        )
    data = {"store": config.shown_store, "file": str(file), **found.to_dict(), "others": others}
    show(data, _lines(found, others))


def _when(text: str, field: str, now: Millis) -> Millis:
    if _AGO.fullmatch(text):
        return now - parse_duration(text, field)
    return parse_instant(text, field)


def _others(reader: Reader, policies: Policies) -> list[str]:
    """The types of the file that are not as those in force: what they change is not replayed."""
    in_force = Rulebook().current(reader).types
    return [one.name for one in policies.types or () if in_force.get(one.name) != one]


# What people read -----------------------------------------------------------------------------


def _lines(found: Backtest, others: Sequence[str]) -> Iterator[str]:
    submitted = found.proposed.total.submitted
    yield (
        f"{submitted:,} deliveries to {_people(found.people)},"
        f" {_minute(found.since)} to {_minute(found.until)} UTC"
    )
    if not submitted:
        yield "nothing was submitted then"
        return
    yield from ("", *_totals(found), "", *_types(found))
    rules = list(_rules(found))
    if rules:
        yield from ("", *rules)
    yield from ("", "compared with the rules in force:")
    width = len(f"{submitted:,}")
    for name, count in found.changes.items():
        if count:
            yield f"  {count:>{width},} {_CHANGES[name]}"
    if found.hit:
        yield from ("", f"{_people(found.people_hit)} with something later or not at all; most:")
        yield from _hit(found)
    notes = list(_notes(found, others))
    if notes:
        yield from ("", *notes)


def _totals(found: Backtest) -> list[str]:
    """What is recorded, beside the same under both sets of rules."""
    sides = (found.recorded, found.in_force, found.proposed)
    rows: list[Sequence[object]] = [
        (_HEADS.get(name, name), *(f"{side.total.outcomes[name]:,}" for side in sides))
        for name in OUTCOMES
        if any(side.total.outcomes[name] for side in sides)
    ]
    rows.append(("messages", *(f"{side.messages:,}" for side in sides)))
    rows.append(("most to one in a day", *(f"{side.most_in_a_day:,}" for side in sides)))
    for name in ("p50", "p95", "p99", "max"):
        delays = (_late(getattr(side.total.delays, name)) for side in sides)
        rows.append((f"delay {name}", *delays))
    return columns(("", "recorded", "in force", "proposed"), rows)


def _types(found: Backtest) -> list[str]:
    """Each type under the rules in force and under those proposed."""
    before, after = found.in_force.types, found.proposed.types
    shown = [name for name in OUTCOMES if _any(found.in_force, name) or _any(found.proposed, name)]
    rows = [
        (
            name,
            f"{part.submitted:,}",
            *(_pair(f"{before[name].outcomes[one]:,}", f"{part.outcomes[one]:,}") for one in shown),
            _pair(_late(before[name].delays.p95), _late(part.delays.p95)),
        )
        for name, part in after.items()
    ]
    heads = [_HEADS.get(name, name) for name in shown]
    return columns(("type", "submitted", *heads, "delay p95"), rows)


def _any(column: Column, outcome: str) -> bool:
    return column.total.outcomes[outcome] > 0


def _pair(before: str, after: str) -> str:
    return before if before == after else f"{before} > {after}"


def _rules(found: Backtest) -> list[str]:
    """What each proposed rule does."""
    nothing = Part(dict.fromkeys(OUTCOMES, 0), found.proposed.total.delays)
    names = [rule.name for rule in found.rules]
    parts = [*names, *(name for name in found.proposed.rules if name not in names)]
    if not parts:
        return []
    known = {rule.name: _what(rule) for rule in found.rules}
    shown = [
        one
        for one in OUTCOMES
        if one != SENT and any(part.outcomes[one] for part in found.proposed.rules.values())
    ]
    rows = []
    for name in parts:
        part = found.proposed.rules.get(name, nothing)
        late = [part.delays.p50, part.delays.p95, part.delays.max] if part.submitted else [None] * 3
        counts = (f"{part.outcomes[one]:,}" for one in shown)
        rows.append((name, known.get(name, ""), *counts, *map(_late, late)))
    return columns(("rule", "what", *shown, "p50", "p95", "max"), rows)


def _what(rule: Rule) -> str:
    return str(rule.limit or (f"quiet {rule.quiet}" if rule.quiet else f"only {rule.window}"))


def _hit(found: Backtest) -> list[str]:
    rows = [
        (
            one.recipient,
            f"{one.submitted:,}",
            f"{one.later:,}",
            f"{one.stopped:,}",
            _late(one.longest_ms),
        )
        for one in found.hit
    ]
    return columns(("recipient", "submitted", "later", "not at all", "longest delay"), rows)


def _notes(found: Backtest, others: Sequence[str]) -> Iterator[str]:
    """What the answer leaves out."""
    if found.unkept:
        yield f"not replayed, since it is everybody's limit together: {', '.join(found.unkept)}"
    if others:
        yield f"not replayed, since only rules are: the types {', '.join(others)}"
    if found.idle:
        yield f"speaks of nothing that was submitted: {', '.join(found.idle)}"
    if found.blind is not None:
        yield (
            f"up to {_minute(found.blind)} the rules look back to attempts that may have been"
            " deleted: more goes out there than would have"
        )


def _late(delay: Millis | None) -> str:
    if delay is None:
        return "-"
    return "0" if delay < SECOND else span(delay)


def _minute(at: Millis) -> str:
    return iso(at)[:16]


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"
