"""Scenario files: TOML in, a checked `Scenario` out.

    seed = 1
    horizon = "7d"

    [population]
    count = 1000

    [[traffic]]
    kind = "stream"
    type = "comment"
    rate = "4/day"

    [rules.calm]
    limit = "3/day"

`docs/simulate.md` lists every key. Raises RequestError or ConfigError naming table and key.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tactful.config import Policies as Given
from tactful.config import policies_of, read_toml
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import DAY, HOUR, Millis, Recipient
from tactful.core.names import name_key
from tactful.core.rules import parse_limit
from tactful.engine.people import checked
from tactful.engine.requests import parse_request
from tactful.sim.scenario import (
    FLAT_DAY,
    FLAT_WEEK,
    Behaviour,
    Broadcasts,
    Delay,
    Fatigue,
    Person,
    Policies,
    Population,
    Recorded,
    Says,
    Scenario,
    Segment,
    Stream,
    Way,
)
from tactful.sim.tables import (
    Table,
    duration,
    each,
    instant,
    number,
    one_or_more,
    rate,
    ratio,
    text,
    whole,
    word,
)
from tactful.sim.traffic import submission

_COLUMNS: Final = ("id", "name", "segment", "timezone", "locale", "mute")


def read_scenario(file: Path) -> Scenario:
    """The scenario of a file; raises RequestError, ConfigError."""
    return scenario_from(read_toml(file), file)


def scenario_from(data: Mapping[str, Any], file: Path) -> Scenario:
    """The scenario in the tables of a file, which says where other files are looked for."""
    table = Table(data, "")
    usual = Scenario()
    population = _population(table.table("population"), file.parent)
    known = {segment.name for segment in population.segments}
    found = Scenario(
        name=table.take("name", text, file.stem),
        seed=table.take("seed", whole(0, 2**64 - 1), usual.seed),
        start=table.take("start", instant, usual.start),
        horizon_ms=table.take("horizon", duration, usual.horizon_ms),
        patience_ms=table.take("patience", duration, usual.patience_ms),
        population=population,
        policies=_policies(table, file),
        channels=tuple(_way(name, one) for name, one in table.named("channels")) or usual.channels,
        behaviour=_behaviour(table.table("behaviour")),
    )
    traffic = [_traffic(one, file.parent, found.start, known) for one in table.tables("traffic")]
    table.end()
    return replace(found, traffic=tuple(traffic))


def read_rules(file: Path) -> Policies:
    """The rules and types of a file, as they would be put in force; what else it says is not read.

    Raises ConfigError.
    """
    return _given(policies_of(read_toml(file), file))


# People ---------------------------------------------------------------------------------------


def _population(table: Table, folder: Path) -> Population:
    segments = tuple(_segment(one) for one in table.tables("segments")) or (Segment(),)
    names = [segment.name for segment in segments]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise RequestError(table.field(f"segments[{place}].name"), name, "is there twice")
    if not sum(segment.share for segment in segments) > 0:
        raise RequestError(table.field("segments"), 0, "must have shares that add up to above 0")
    listed = table.take("csv", text, None)
    count = table.take("count", whole(0, 100_000_000), None)
    table.end()
    if listed is None:
        return Population(Population().count if count is None else count, segments)
    if count is not None:
        raise RequestError(table.field("count"), count, "does not go with csv")
    people = _people(folder / listed, table.field("csv"), segments)
    return Population(len(people), segments, people)


def _segment(table: Table) -> Segment:
    found = Segment(
        name=table.take("name", text),
        share=table.take("share", number, 1.0),
        timezone=table.take("timezone", text, "UTC"),
        mute=table.take("mute", each(text), ()),
        open=table.take("open", ratio, None),
    )
    table.end()
    _recipient(table.field("timezone"), id="x", timezone=found.timezone, mute=found.mute)
    return found


def _people(file: Path, field: str, segments: tuple[Segment, ...]) -> tuple[Person, ...]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(field, str(file), f"cannot be read: {error}") from None
    by_name = {segment.name: segment for segment in segments}
    people: list[Person] = []
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        place = f"{file.name} line {line}"
        for column in row:
            if column not in _COLUMNS:
                raise RequestError(place, column, f"is no column: {', '.join(_COLUMNS)}")
        segment = by_name.get(row.get("segment") or segments[0].name)
        if segment is None:
            raise RequestError(place, row["segment"], f"must be one of {', '.join(by_name)}")
        person = _recipient(
            place,
            id=row.get("id") or "",
            name=row.get("name") or None,
            timezone=row.get("timezone") or segment.timezone,
            locale=row.get("locale") or "en",
            mute=tuple((row.get("mute") or "").split()) or segment.mute,
        )
        if person.id in seen:
            raise RequestError(place, person.id, "is there twice")
        seen.add(person.id)
        people.append(Person(person, segment.name))
    return tuple(people)


def _recipient(place: str, **fields: Any) -> Recipient:
    try:
        return checked(Recipient(**fields))
    except RequestError as error:
        raise RequestError(f"{place}: {error.field}", error.value, error.bound) from None


# Traffic --------------------------------------------------------------------------------------


def _traffic(
    table: Table, folder: Path, start: Millis, segments: set[str]
) -> Broadcasts | Stream | Recorded:
    kind = table.take("kind", word("broadcast", "stream", "recorded"))
    found: Broadcasts | Stream | Recorded
    if kind == "recorded":
        found = _recorded(folder / table.take("file", text), table.field("file"), start)
    elif kind == "broadcast":
        found = _broadcasts(table, _says(table), _segment_name(table, segments))
    else:
        found = _stream(table, _says(table), _segment_name(table, segments))
    table.end()
    return found


def _segment_name(table: Table, known: set[str]) -> str | None:
    return table.take("segment", word(*sorted(known)), None)


def _says(table: Table) -> Says:
    says = Says(
        type=table.take("type", text),
        text=table.take("text", text, Says("").text),
        subject=table.take("subject", text, ""),
        channels=table.take("channels", one_or_more(text), ()),
        priority=table.take("priority", text, None),
        ttl_ms=table.take("ttl", duration, None),
        collapse_key=table.take("collapse_key", text, ""),
        template=table.take("template", text, None),
        data=table.take("data", _data, {}),
    )
    try:
        parse_request(**submission(says, 0), broadcast=True)
    except RequestError as error:
        raise RequestError(table.field(error.field), error.value, error.bound) from None
    return says


def _data(value: object, field: str) -> Mapping[str, Any]:
    return Table(value, field).plain()


def _broadcasts(table: Table, says: Says, segment: str | None) -> Broadcasts:
    if "at" in table:
        return Broadcasts(says, tuple(sorted(table.take("at", one_or_more(duration)))), segment)
    count = table.take("count", whole(0, 1_000_000), 1)
    every = table.take("every", duration, HOUR)
    first = table.take("first", duration, 0)
    return Broadcasts(says, tuple(first + place * every for place in range(count)), segment)


def _stream(table: Table, says: Says, segment: str | None) -> Stream:
    return Stream(
        says,
        rate=table.take("rate", rate),
        per=table.take("per", word("person", "all"), "person"),
        hours=table.take("hours", _weights(24), FLAT_DAY),
        days=table.take("days", _weights(7), FLAT_WEEK),
        burst=table.take("burst", _burst, 1.0),
        within_ms=table.take("within", duration, 0),
        begins=table.take("begins", duration, 0),
        ends=table.take("ends", duration, None),
        segment=segment,
    )


def _burst(value: object, field: str) -> float:
    if (found := number(value, field)) >= 1:
        return found
    raise RequestError(field, value, "must be at least 1")


def _weights(count: int) -> Callable[[object, str], tuple[float, ...]]:
    def read(value: object, field: str) -> tuple[float, ...]:
        found = each(number)(value, field)
        if len(found) != count or not sum(found) > 0:
            raise RequestError(field, value, f"must be {count} numbers, not all of them 0")
        return found

    return read


def _recorded(file: Path, field: str, start: Millis) -> Recorded:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(field, str(file), f"cannot be read: {error}") from None
    items: list[tuple[Millis, Mapping[str, Any]]] = []
    for line, words in enumerate(lines, start=1):
        if not words.strip():
            continue
        place = f"{file.name} line {line}"
        try:
            item = Table(json.loads(words), place)
        except json.JSONDecodeError as error:
            raise RequestError(place, words, f"is no JSON: {error}") from None
        at = item.take("at", _moment)
        fields = {key: value for key, value in item.plain().items() if key != "at"}
        try:
            parse_request(**{"type": None, **fields}, broadcast="to" not in fields)
        except (RequestError, TypeError) as error:
            raise RequestError(place, words, str(error)) from None
        items.append((at - start if at >= DAY * 3650 else at, fields))
    return Recorded(tuple(sorted(items, key=lambda one: one[0])))


def _moment(value: object, field: str) -> Millis:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return instant(value, field)


# Channels and behaviour -----------------------------------------------------------------------


def _way(name: str, table: Table) -> Way:
    way = Way(
        name=name_key(name, table.field("name")),
        loss=table.take("loss", ratio, 0.0),
        bounce=table.take("bounce", ratio, 0.0),
        latency=_delay(table, "latency"),
        outages=tuple(_outage(one) for one in table.tables("outages")),
        throughput=table.take("throughput", _throughput, None),
    )
    table.end()
    return way


def _throughput(value: object, field: str) -> str:
    parse_limit(value, field)
    return str(value)


def _outage(table: Table) -> tuple[Millis, Millis]:
    begins = table.take("at", duration)
    lasts = table.take("for", duration)
    table.end()
    return begins, begins + lasts


def _delay(table: Table, key: str) -> Delay:
    within = table.table(key)
    median = within.take("median", duration, 0)
    p99 = within.take("p99", duration, median)
    within.end()
    if p99 < median or (p99 and not median):
        raise RequestError(within.field("p99"), p99, "must be at least the median, which is not 0")
    return Delay(median, p99)


def _behaviour(table: Table) -> Behaviour:
    usual = Behaviour()
    habits = table.table("habits")
    never, always = habits.take("never", ratio, 0.0), habits.take("always", ratio, 0.0)
    habits.end()
    if never + always > 1:
        raise RequestError(habits.field("always"), always, "and never must add up to at most 1")
    fatigue = table.table("fatigue")
    tired = Fatigue(
        fatigue.take("window", duration, usual.fatigue.window_ms),
        fatigue.take("opens", ratio, 0.0),
        fatigue.take("unsubscribes", ratio, 0.0),
    )
    fatigue.end()
    found = Behaviour(
        never,
        always,
        open=table.take("open", ratio, usual.open),
        open_delay=_delay(table, "open_delay"),
        click=table.take("click", ratio, 0.0),
        unsubscribe=table.take("unsubscribe", ratio, 0.0),
        fatigue=tired,
    )
    table.end()
    return found


# Policies -------------------------------------------------------------------------------------


def _policies(table: Table, file: Path) -> Policies:
    apart = table.take("rules_file", text, None)
    kinds = ("rules", "types", "templates")
    own = _given(policies_of({kind: table.take(kind, _data, {}) for kind in kinds}, file))
    if apart is None:
        return own
    if own.rules:
        raise ConfigError(f"rules: does not go with rules_file, in {file}")
    other = read_rules(file.parent / apart)
    return Policies(other.rules, own.types or other.types, own.templates or other.templates)


def _given(policies: Given) -> Policies:
    return Policies(policies.rules or (), policies.types or (), policies.templates or ())
