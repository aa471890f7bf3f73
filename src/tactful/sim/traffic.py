"""Traffic: what is submitted when, in the order of time.

Streams are Poisson processes whose rate follows the local hour and the day of the week. They are
made by thinning (Lewis and Shedler 1979): candidates come at the highest rate there is, and each is
kept with the chance that its hour has. A stream per person is one process for all, of which each
arrival belongs to a person drawn evenly; it is kept by that person's local hour.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from tactful.core.model import HOUR, Millis, Recipient
from tactful.sim.draws import Draws, exponential
from tactful.sim.scenario import Broadcasts, Recorded, Says, Scenario, Stream

_UTC: Final = UTC


class Arrival(NamedTuple):
    """One submission: `name` tells it from all others, in every run of the scenario.

    `to` is None for everybody.
    """

    at: Millis
    name: str
    to: str | None
    fields: Mapping[str, Any]


class Everyone(NamedTuple):
    """The population, by id; `segments` holds the places of each segment's people."""

    people: Sequence[Recipient]
    segments: Mapping[str, Sequence[int]]


def submission(says: Says, number: int) -> dict[str, Any]:
    """What is submitted as number so many of a stream of traffic."""
    fields: dict[str, Any] = {"type": says.type}
    if says.template is None:
        fields["text"] = says.text.replace("{number}", str(number)).replace("{type}", says.type)
    else:
        fields |= {"template": says.template, "data": dict(says.data)}
    more = {
        "subject": says.subject.replace("{number}", str(number)),
        "channels": list(says.channels),
        "priority": says.priority,
        "ttl": says.ttl_ms,
        "collapse_key": says.collapse_key,
    }
    return fields | {key: value for key, value in more.items() if value}


def arrivals(scenario: Scenario, everyone: Everyone, draws: Draws) -> Iterator[Arrival]:
    """All traffic of a scenario in the order of time."""
    flows: list[Iterator[Arrival]] = []
    for place, one in enumerate(scenario.traffic):
        match one:
            case Broadcasts():
                flows.append(_broadcasts(one, place, scenario, everyone))
            case Stream():
                flows.append(_stream(one, place, scenario, everyone, draws))
            case Recorded():
                flows.append(_recorded(one, place, scenario))
    return heapq.merge(*flows, key=lambda arrival: arrival.at)


def _broadcasts(
    cast: Broadcasts, place: int, scenario: Scenario, everyone: Everyone
) -> Iterator[Arrival]:
    for number, at in enumerate(cast.at, start=1):
        fields = submission(cast.says, number)
        if at >= scenario.horizon_ms:
            continue
        if cast.segment is None:
            yield Arrival(scenario.start + at, f"{place}.{number}", None, fields)
            continue
        for which in everyone.segments[cast.segment]:
            to = everyone.people[which].id
            yield Arrival(scenario.start + at, f"{place}.{number}", to, fields)


def _recorded(recorded: Recorded, place: int, scenario: Scenario) -> Iterator[Arrival]:
    for number, (at, item) in enumerate(recorded.items, start=1):
        if at < scenario.horizon_ms:
            fields = dict(item)
            to = fields.pop("to", None)
            yield Arrival(scenario.start + at, f"{place}.{number}", to, fields)


def _stream(
    stream: Stream, place: int, scenario: Scenario, everyone: Everyone, draws: Draws
) -> Iterator[Arrival]:
    audience = (
        range(len(everyone.people)) if stream.segment is None else everyone.segments[stream.segment]
    )
    hours, days = _scaled(stream.hours), _scaled(stream.days)
    peak = max(hours) * max(days)
    rate = stream.rate * (len(audience) if stream.per == "person" else 1) * peak / stream.burst
    if not audience or not rate:
        return
    ends = scenario.horizon_ms if stream.ends is None else min(stream.ends, scenario.horizon_ms)
    at, candidate, number = float(stream.begins), 0, 0
    pending: list[Arrival] = []
    while True:
        candidate += 1
        draw = draws.about("stream", str(place), str(candidate))
        at += exponential(draw[0]) / rate
        if at >= ends:
            break
        now = scenario.start + int(at)
        while pending and pending[0].at <= now:
            yield heapq.heappop(pending)
        person = everyone.people[audience[int(draw[1] * len(audience))]]
        hour, day = _local(now, person.timezone)
        if draw[2] * peak >= hours[hour] * days[day]:
            continue
        for copy in range(_burst(stream.burst, draw[3])):
            number += 1
            later = _within(stream, draws, place, candidate, copy)
            heapq.heappush(
                pending,
                Arrival(
                    now + later, f"{place}.{number}", person.id, submission(stream.says, number)
                ),
            )
    while pending:
        yield heapq.heappop(pending)


def _scaled(weights: Sequence[float]) -> list[float]:
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]


def _burst(mean: float, draw: float) -> int:
    """How many come together: geometric from 1, with that mean."""
    if mean <= 1:
        return 1
    size, tail, chance = 1, 1.0 - 1 / mean, 1.0 - 1 / mean
    while draw < tail and size < 10_000:
        size += 1
        tail *= chance
    return size


def _within(stream: Stream, draws: Draws, place: int, candidate: int, copy: int) -> Millis:
    if not copy or not stream.within_ms:
        return 0
    return int(draws.about("burst", f"{place}.{candidate}.{copy}")[0] * stream.within_ms)


def _local(now: Millis, zone: str) -> tuple[int, int]:
    """Hour and weekday on a local clock."""
    return _hour_of(now // (HOUR // 4), zone)


@lru_cache(maxsize=4_096)
def _hour_of(quarter: int, zone: str) -> tuple[int, int]:
    # No zone's offset has changed within a quarter of an hour since 1972.
    local = datetime.fromtimestamp(quarter * (HOUR // 4000), _UTC).astimezone(ZoneInfo(zone))
    return local.hour, local.weekday()
