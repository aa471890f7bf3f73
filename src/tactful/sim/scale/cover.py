"""From a scenario to its columns; what scale mode does not cover is refused by name.

The rules and types first go through the engine's own edge, so what the engine refuses is refused
here, too, and in the same words. Then the core compiles the checks of each kind of delivery.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from tactful.app import Tactful
from tactful.channels.capture import CaptureChannel
from tactful.core.checks import Bound, Checks, Span, compile_checks
from tactful.core.errors import RequestError
from tactful.core.model import DAY, Kind, Millis, NotificationType, Recipient
from tactful.core.rules import Rule, parse_priority
from tactful.core.windows import Hours, Unit
from tactful.engine.people import unwanted
from tactful.engine.requests import Request, parse_request
from tactful.engine.zones import zone_of
from tactful.sim.figures import _BIN_SIZES as BIN_SIZES
from tactful.sim.figures import _DELAY_EDGES as DELAY_EDGES
from tactful.sim.scale.arrive import FLOW_BITS
from tactful.sim.scale.calendar import QUARTER, beyond, kept_by_quarter, tabulated
from tactful.sim.scale.columns import (
    BROADCAST,
    CHECK,
    FLOW,
    KIND,
    SEGMENT,
    STREAM,
    WORLD,
    Columns,
    Numbers,
    Records,
)
from tactful.sim.scale.limits import COLLAPSE, DEFER, REJECT
from tactful.sim.scale.room import LINE_MAX
from tactful.sim.scenario import Broadcasts, Delay, Scenario, Stream, Way
from tactful.sim.traffic import submission

BINS_MAX: Final = 1 << 17
"""Bins of time in which is counted; the figures put several together."""
FAR_MS: Final[Millis] = 200 * 366 * DAY
"""How far ahead calendars are looked up at most."""

_SEVERITY: Final = {"defer": DEFER, "collapse": COLLAPSE, "reject": REJECT}
_Z99: Final = NormalDist().inv_cdf(0.99)


class Message(NamedTuple):
    """A broadcast to everybody, at so many milliseconds after the start."""

    at: Millis
    name: str
    type: str
    body: str


@dataclass(frozen=True, slots=True)
class Covered:
    """A scenario as columns, with the names of what has a number in them."""

    scenario: Scenario
    columns: Columns
    types: Sequence[str]
    rules: Sequence[str]
    messages: Sequence[Message]
    bins: int
    deliveries: int
    """So many deliveries are expected for one person, and a good deal more."""
    tables: Sequence[Unit | Hours]
    zones: Sequence[tzinfo]
    until: Millis
    """Up to where calendars are tabulated."""

    def longer(self) -> Covered:
        """The same with longer tables of calendars; raises RequestError when they are too long."""
        start, until = self.columns.world[0]["start"], self.until
        if until - start > FAR_MS:
            raise refused("horizon", until - start, "slots that lie centuries ahead")
        further = beyond(until, int(start))
        edges, places = tabulated(self.tables, self.zones, int(start), further)
        columns = self.columns._replace(edges=edges, places=places)
        return replace(self, columns=columns, until=further)


def covered(scenario: Scenario) -> Covered:
    """The columns of a scenario; raises RequestError for what is not covered."""
    _check(scenario)
    return _Making(scenario).made()


def refused(field: str, value: object, feature: str) -> RequestError:
    """The error for something that is not covered."""
    bound = f"scale mode does not cover {feature}: leave it out, or simulate in the faithful mode"
    return RequestError(field, value, bound)


# What is not covered --------------------------------------------------------------------------


def _check(scenario: Scenario) -> None:
    settings = scenario.settings
    if scenario.population.people is not None:
        raise refused("population.csv", len(scenario.population.people), "listed people")
    if settings.unknown_types != "accept":
        raise refused("unknown_types", settings.unknown_types, "refusing unknown types")
    if settings.waiting_max < LINE_MAX:
        raise refused("waiting_max", settings.waiting_max, f"a bound below {LINE_MAX}")
    if len(scenario.traffic) >= 1 << FLOW_BITS:
        most = (1 << FLOW_BITS) - 1
        raise refused("traffic", len(scenario.traffic), f"more than {most} streams")
    for way in scenario.channels:
        _check_way(way)
    for rule in scenario.policies.rules:
        place = f"rules.{rule.name}"
        if rule.is_throughput:
            raise refused(f"{place}.per", rule.per, "limits over everybody together")
        if rule.on_limit not in _SEVERITY:
            raise refused(f"{place}.on_limit", rule.on_limit, "digests")
    for number, one in enumerate(scenario.traffic):
        if not isinstance(one, Broadcasts | Stream):
            raise refused(f"traffic[{number}].kind", "recorded", "recorded traffic")
        if one.says.template is not None:
            raise refused(f"traffic[{number}].template", one.says.template, "templates")


def _check_way(way: Way) -> None:
    place = f"channels.{way.name}"
    if way.bounce:
        raise refused(f"{place}.bounce", way.bounce, "bounces")
    if way.latency != Delay():
        raise refused(f"{place}.latency", way.latency.median_ms, "latency")
    if way.outages:
        raise refused(f"{place}.outages", len(way.outages), "outages")
    if way.throughput is not None:
        raise refused(f"{place}.throughput", way.throughput, "a provider's throughput")


# Columns --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Names:
    """Numbers for names, in the order in which they are met."""

    known: dict[Any, int] = field(default_factory=dict)

    def number(self, name: Any) -> int:
        return self.known.setdefault(name, len(self.known))


class _Making:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._rules, self._policies = _through_the_edge(scenario)
        self._ways = {way.name: way for way in scenario.channels}
        self._types, self._labels, self._tables = _Names(), _Names(), _Names()
        self._categories, self._channels, self._kinds = _Names(), _Names(), _Names()
        self._zones = _Names()
        self._mandatory: list[bool] = []
        self._casts: list[Millis] = []
        self._messages: list[Message] = []
        self._weights: list[Numbers] = []
        self._deliveries = 1.0

    def made(self) -> Covered:
        scenario = self._scenario
        world = self._world()
        segments = self._segments()
        zones = [zone_of(name) for name in self._zones.known]
        flows = [self._flow(place, world, zones) for place in range(len(scenario.traffic))]
        kinds = [Kind(*kind) for kind in self._kinds.known]
        checks = [compile_checks(self._rules, kind) for kind in kinds]
        rows, bounds, spans = self._checks(kinds, checks)
        until = int(world["last"][0]) + max((check.reach_ms for check in checks), default=0)
        tables = list(self._tables.known)
        edges, places = tabulated(tables, zones, scenario.start, until)
        every = [bound for check in checks for bound in check.bounds]
        counted = [[bound.counted[kind] for kind in kinds] for bound in every]
        wishes = [self._wishes(segment.mute, kinds) for segment in scenario.population.segments]
        columns = Columns(
            world,
            _records(FLOW, flows),
            segments,
            rows,
            bounds,
            spans,
            _grid(counted, len(kinds)),
            _grid([muted for muted, _ in wishes], len(kinds)),
            _grid([wished for _, wished in wishes], len(self._categories.known)),
            edges,
            places,
            np.array(self._casts, dtype=np.int64),
            np.concatenate([np.zeros(1), *self._weights]),
            np.array(DELAY_EDGES, dtype=np.int64),
        )
        size = scenario.horizon_ms + scenario.patience_ms
        return Covered(
            scenario,
            columns,
            list(self._types.known),
            [rule.name for rule in self._rules],
            self._messages,
            size // int(world["bin"][0]) + 1,
            int(self._deliveries + 8 * math.sqrt(self._deliveries)) + 16,
            tables,
            zones,
            until,
        )

    def _world(self) -> Records:
        scenario, does = self._scenario, self._scenario.behaviour
        delay, tired = does.open_delay, does.fatigue
        median = delay.median_ms
        sigma = math.log(delay.p99_ms / median) / _Z99 if median else 0.0
        first = scenario.start // QUARTER
        horizon, size = scenario.horizon_ms, scenario.horizon_ms + scenario.patience_ms
        world = {
            "seed": scenario.seed,
            "start": scenario.start,
            "last": scenario.start + size,
            "never": does.never,
            "always": does.always,
            "click": does.click,
            "unsubscribe": does.unsubscribe,
            "tired_window": tired.window_ms,
            "tired_opens": tired.opens,
            "tired_unsubscribes": tired.unsubscribes,
            "delay_median": median,
            "delay_sigma": sigma,
            "quarters": (scenario.start + horizon) // QUARTER - first + 1,
            "quarter": first,
            "bin": _bin(size),
        }
        return _records(WORLD, [world])

    def _segments(self) -> Records:
        population, usual = self._scenario.population, self._scenario.behaviour.open
        whole, so_far = sum(segment.share for segment in population.segments), 0.0
        rows = []
        for segment in population.segments:
            so_far += segment.share / whole
            zone = self._zones.number(segment.timezone)
            opens = usual if segment.open is None else segment.open
            rows.append({"until": so_far, "zone": zone, "open": opens})
        return _records(SEGMENT, rows)

    # Traffic ----------------------------------------------------------------------------------

    def _flow(self, place: int, world: Records, zones: Sequence[tzinfo]) -> dict[str, Any]:
        traffic = self._scenario.traffic[place]
        assert isinstance(traffic, Broadcasts | Stream), "others have been refused"
        request = parse_request(**submission(traffic.says, 1), broadcast=True)
        type_ = self._policies.get(request.type) or NotificationType(request.type)
        kind, label = self._kind(place, request, type_)
        names = [segment.name for segment in self._scenario.population.segments]
        segment = -1 if traffic.segment is None else names.index(traffic.segment)
        flow = {
            "kind": kind,
            "label": label,
            "segment": segment,
            "lifetime": request.ttl_ms or type_.ttl_ms or self._scenario.settings.ttl_ms,
        }
        if isinstance(traffic, Broadcasts):
            return flow | self._broadcasts(place, traffic, request.type)
        return flow | self._stream(traffic, segment, world, zones)

    def _broadcasts(self, place: int, traffic: Broadcasts, type_: str) -> dict[str, Any]:
        first, cast = len(self._casts), len(self._messages)
        at = [at for at in traffic.at if at < self._scenario.horizon_ms]
        self._casts += [self._scenario.start + one for one in at]
        self._deliveries += len(at)
        everyone = traffic.segment is None
        if everyone:
            self._messages += [
                Message(one, f"{place}.{number}", type_, _body(traffic, number))
                for number, one in enumerate(at, start=1)
            ]
        last = len(self._casts)
        return {
            "mode": BROADCAST, "everyone": everyone, "cast": cast, "first": first, "last": last,
        }  # fmt: skip

    def _kind(self, place: int, request: Request, type_: NotificationType) -> tuple[int, int]:
        """The numbers of its kind and of its collapse group."""
        ways = request.channels or type_.channels or (next(iter(self._ways)),)
        if len(ways) > 1:
            raise refused(f"traffic[{place}].channels", list(ways), "more than one channel each")
        if ways[0] not in self._ways:
            bound = f"must be one of {', '.join(self._ways)}"
            raise RequestError(f"traffic[{place}].channels", ways[0], bound)
        priority = request.priority
        if priority is None:
            priority = int(parse_priority(type_.priority, "priority"))
        kind = self._kinds.number((request.type, type_.category, ways[0], priority))
        if kind == len(self._mandatory):
            self._mandatory.append(type_.mandatory)
        return kind, self._labels.number(request.collapse_key or request.type)

    def _stream(
        self, stream: Stream, segment: int, world: Records, zones: Sequence[tzinfo]
    ) -> dict[str, Any]:
        hours, days = _scaled(stream.hours), _scaled(stream.days)
        peak = max(hours) * max(days)
        rate = stream.rate * peak / stream.burst
        if stream.per == "all":
            segments = self._scenario.population.segments
            whole = sum(one.share for one in segments)
            share = 1.0 if segment < 0 else segments[segment].share / whole
            rate /= max(1.0, share * self._scenario.population.count)
        horizon = self._scenario.horizon_ms
        ends = horizon if stream.ends is None else min(stream.ends, horizon)
        weights = -1
        if min(hours) < max(hours) or min(days) < max(days):
            weights = 1 + sum(map(len, self._weights))
            first, count = int(world["quarter"][0]), int(world["quarters"][0])
            for zone in zones:
                quarters = range(first, first + count)
                self._weights.append(kept_by_quarter(hours, days, zone, quarters))
        self._deliveries += rate * stream.burst * max(0, ends - stream.begins)
        return {
            "mode": STREAM,
            "rate": rate,
            "burst": stream.burst,
            "within": stream.within_ms,
            "begins": stream.begins,
            "ends": ends,
            "weights": weights,
        }

    # Rules ------------------------------------------------------------------------------------

    def _checks(
        self, kinds: Sequence[Kind], checks: Sequence[Checks]
    ) -> tuple[Records, Records, Records]:
        numbers = {rule.name: number for number, rule in enumerate(self._rules)}
        rows: list[dict[str, Any]] = []
        bounds: list[dict[str, Any]] = []
        spans: list[dict[str, Any]] = []
        for kind, check, mandatory in zip(kinds, checks, self._mandatory, strict=True):
            row: dict[str, Any] = {"bounds": len(bounds), "spans": len(spans)}
            bounds += [self._bound(bound, numbers) for bound in check.bounds]
            spans += [self._span(span, numbers) for span in check.spans]
            row |= {
                "bounds_end": len(bounds),
                "spans_end": len(spans),
                "priority": kind.priority,
                "type": self._types.number(kind.type),
                "category": self._categories.number(kind.category),
                "channel": self._channels.number(kind.channel),
                "label": self._labels.number(kind.type),
                "mandatory": mandatory,
                "loss": self._ways[kind.channel].loss,
            }
            rows.append(row)
        return _records(KIND, rows), _records(CHECK, bounds), _records(CHECK, spans)

    def _bound(self, bound: Bound, numbers: dict[str, int]) -> dict[str, Any]:
        return {
            "rule": numbers[bound.rule.name],
            "on_limit": _SEVERITY[bound.rule.on_limit],
            "count": bound.count,
            "window": bound.window_ms,
            "reach": bound.reach_ms,
            "table": -1 if bound.unit is None else self._tables.number(bound.unit),
        }

    def _span(self, span: Span, numbers: dict[str, int]) -> dict[str, Any]:
        return {
            "rule": numbers[span.rule.name],
            "on_limit": _SEVERITY[span.rule.on_limit],
            "table": self._tables.number(span.hours),
            "quiet": span.quiet,
        }

    def _wishes(
        self, mute: tuple[str, ...], kinds: Sequence[Kind]
    ) -> tuple[list[bool], list[bool]]:
        """Which kinds people with these wishes do not want, and which categories they name."""
        person = Recipient("x", mute=mute)
        muted = [
            unwanted(person, kind, "", {}, mandatory=mandatory) is not None
            for kind, mandatory in zip(kinds, self._mandatory, strict=True)
        ]
        return muted, [f"category:{name}" in mute for name in self._categories.known]


def _records(kind: np.dtype[Any], rows: Sequence[Mapping[str, Any]]) -> Records:
    """Records of these fields; what is not said is 0."""
    found = np.zeros(len(rows), dtype=kind)
    for place, row in enumerate(rows):
        for name, value in row.items():
            found[name][place] = value
    return found


def _through_the_edge(
    scenario: Scenario,
) -> tuple[Sequence[Rule], dict[str, NotificationType]]:
    """Rules and types as an engine would have them in force, by name."""
    channels = [CaptureChannel(way.name) for way in scenario.channels]
    app = Tactful("memory://", channels=channels, settings=scenario.settings, seed=0)
    if scenario.policies.types:
        app.types.put(*scenario.policies.types)
    if scenario.policies.rules:
        app.rules.put(*scenario.policies.rules)
    rules, types = app.rules.list(), app.types.list()
    app.close()
    return rules, {one.name: one for one in types}


def _grid(rows: Sequence[Sequence[bool]], width: int) -> Numbers:
    """Answers as rows of 0 and 1, also where there is none."""
    return np.array(rows, dtype=np.uint8).reshape(len(rows), width)


def _bin(size: Millis) -> Millis:
    """Bins fine enough for a run that ends early, of which the figures' bins are made."""
    whole = [one for one in BIN_SIZES if not any(more % one for more in BIN_SIZES if more > one)]
    return next((one for one in whole if size <= one * BINS_MAX), math.ceil(size / BINS_MAX))


def _body(cast: Broadcasts, number: int) -> str:
    return str(submission(cast.says, number).get("text", ""))


def _scaled(weights: Sequence[float]) -> list[float]:
    mean = sum(weights) / len(weights)
    return [weight / mean for weight in weights]
