"""What a run came to, in figures.

A copy is *sent* when a channel took it, alone or inside a digest; *received* when it arrived;
*lost* when it did not; *opened*, *clicked* by whoever received it. `received_ratio` is received of
sent, `opened_ratio` opened of received; a ratio of nothing is None. Delays run from the instant at
which a delivery was to go (its submission, or its schedule) to its hand-over.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Millis, State
from tactful.ports import Delivery
from tactful.sim.run import Run

WORST: Final = 5
_BINS: Final = 120
# Bins of time, and the spans that delays are counted by, are such as people think in.
_BIN_SIZES: Final = (
    *(SECOND * n for n in (1, 5, 10, 30)),
    *(MINUTE * n for n in (1, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 7)),
)
_DELAY_EDGES: Final = (
    0, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, 30 * MINUTE,
    *(HOUR * n for n in (1, 2, 4, 8, 12)), *(DAY * n for n in (1, 2, 4, 7, 14, 30, 400)),
)  # fmt: skip
_WENT_OUT: Final = frozenset({State.SENT, State.DELIVERED, State.LOST, State.BOUNCED})
_WAITS: Final = frozenset({State.QUEUED, State.DEFERRED, State.SENDING})
_OTHER: Final = {
    State.SUPERSEDED: "collapsed",
    State.REJECTED: "rejected",
    State.SUPPRESSED: "suppressed",
    State.EXPIRED: "expired",
    State.FAILED: "failed",
    State.UNKNOWN: "failed",
    State.CANCELLED: "cancelled",
}


@dataclass(slots=True)
class Tally:
    """Counts of deliveries; `submitted` is all of them, and each is in one place: sent, waiting,
    collapsed, rejected, suppressed, expired, failed or cancelled.

    `deferred` are those that went out or still wait because a rule put them off; `digested` those
    of `sent` that were carried by a digest.
    """

    submitted: int = 0
    sent: int = 0
    received: int = 0
    lost: int = 0
    bounced: int = 0
    deferred: int = 0
    digested: int = 0
    collapsed: int = 0
    rejected: int = 0
    suppressed: int = 0
    expired: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0

    @property
    def received_ratio(self) -> float | None:
        """Received of sent."""
        return _ratio(self.received, self.sent)

    @property
    def opened_ratio(self) -> float | None:
        """Opened of received."""
        return _ratio(self.opened, self.received)

    def to_dict(self) -> dict[str, Any]:
        """Counts and ratios, by name."""
        ratios = {"received_ratio": self.received_ratio, "opened_ratio": self.opened_ratio}
        return {**asdict(self), **ratios}


@dataclass(frozen=True, slots=True)
class Delays:
    """Percentiles of the delay in milliseconds, of what was sent; None when nothing was."""

    p50: Millis | None = None
    p95: Millis | None = None
    p99: Millis | None = None
    max: Millis | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One of the people who were hit worst: most messages within a day, and what became of all
    that was meant for them, as `(instant, type, outcome, rule, hand-over)`."""

    person: str
    most_in_a_day: int
    received: int
    longest_delay: Millis
    timeline: tuple[tuple[Millis, str, str, str | None, Millis | None], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a run.

    `messages` has one entry for each broadcast; `per_day` says on how many person-days so many
    messages were handed over; `volume` counts by bins of `bin_ms` what was submitted and opened,
    and the outcomes: of what went out at its hand-over, of the rest at its submission. `delay_bins`
    counts what was sent by its delay, each up to and with the milliseconds given; `opens_by_load`
    has, by how many messages a person got in a week on average, how many were received and opened.
    """

    name: str
    seed: int
    people: int
    start: Millis
    ended_at: Millis
    total: Tally
    types: Mapping[str, Tally]
    delays: Mapping[str, Delays]
    messages: Sequence[Mapping[str, Any]]
    rules: Mapping[str, int]
    per_day: Mapping[int, int]
    worst: Sequence[Hit]
    bin_ms: Millis
    volume: Mapping[str, Sequence[int]]
    delay_bins: Sequence[tuple[Millis, int]]
    opens_by_load: Mapping[int, tuple[int, int]]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        return {
            "name": self.name,
            "seed": self.seed,
            "people": self.people,
            "start": self.start,
            "ended_at": self.ended_at,
            "total": self.total.to_dict(),
            "types": {name: tally.to_dict() for name, tally in self.types.items()},
            "delays": {name: asdict(delays) for name, delays in self.delays.items()},
            "messages": [dict(one) for one in self.messages],
            "rules": dict(self.rules),
            "per_day": {str(count): days for count, days in self.per_day.items()},
            "worst": [asdict(hit) for hit in self.worst],
            "bin_ms": self.bin_ms,
            "volume": {name: list(counts) for name, counts in self.volume.items()},
            "delay_bins": [list(one) for one in self.delay_bins],
            "opens_by_load": {str(load): list(two) for load, two in self.opens_by_load.items()},
        }


@dataclass(slots=True)
class _Table:
    """What is collected in one pass over the deliveries."""

    tallies: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    casts: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    delays: defaultdict[str, list[Millis]] = field(default_factory=lambda: defaultdict(list))
    rules: Counter[str] = field(default_factory=Counter)
    longest: defaultdict[str, Millis] = field(default_factory=lambda: defaultdict(int))
    received: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)


def figures(run: Run) -> Figures:
    """The figures of a run, by one pass over its deliveries."""
    table = _Table()
    states = {delivery.id: delivery.state for delivery in run.deliveries}
    casts = {one.receipt.notification_id for one in run.submitted if one.arrival.to is None}
    for delivery in run.deliveries:
        tallies = [table.tallies[delivery.type]]
        if delivery.notification_id in casts:
            tallies.append(table.casts[delivery.notification_id])
        _count(delivery, states, tallies, table)
        _clock(delivery, run, table)
    for _, _, type_, _ in run.muted:
        table.tallies[type_].unsubscribed += 1
    total = _sum(table.tallies.values())
    everything = [delay for delays in table.delays.values() for delay in delays]
    start, span = run.scenario.start, max(1, run.ended_at - run.scenario.start)
    fallback = max(1, math.ceil(span / _BINS))
    bin_ms = next((size for size in _BIN_SIZES if size >= fallback), fallback)
    days = _person_days(run)
    return Figures(
        run.scenario.name,
        run.scenario.seed,
        run.scenario.population.count,
        start,
        run.ended_at,
        total,
        dict(sorted(table.tallies.items())),
        {
            "all": percentiles(everything),
            **{name: percentiles(found) for name, found in sorted(table.delays.items())},
        },
        _messages(run, table),
        dict(sorted(table.rules.items())),
        _distribution(run, days),
        _worst(run, days, table),
        bin_ms,
        _volume(run, states, bin_ms),
        _delay_bins(everything),
        _load(run, table),
    )


def percentiles(delays: Sequence[Millis]) -> Delays:
    """The nearest-rank percentiles."""
    if not delays:
        return Delays()
    ordered = sorted(delays)

    def at(part: float) -> Millis:
        return ordered[max(0, math.ceil(part * len(ordered)) - 1)]

    return Delays(at(0.5), at(0.95), at(0.99), ordered[-1])


def outcome_of(delivery: Delivery, states: Mapping[str, State]) -> str:
    """What became of a delivery, as the tables call it; a digest's member fares as its head."""
    state = delivery.state
    if state is State.DIGESTED:
        state = states.get(delivery.digest_id or "", State.SENT)
    if state in _WAITS:
        return "waiting"
    return _OTHER.get(state, {State.DELIVERED: "received"}.get(state, state.value))


def _count(
    delivery: Delivery, states: Mapping[str, State], tallies: Iterable[Tally], table: _Table
) -> None:
    outcome = outcome_of(delivery, states)
    went_out = outcome in ("sent", "received", "lost", "bounced")
    put_off = delivery.rule is not None and (went_out or outcome == "waiting")
    if delivery.rule is not None:
        table.rules[delivery.rule] += 1
    for tally in tallies:
        tally.submitted += 1
        if went_out:
            tally.sent += 1
        if outcome != "sent":
            setattr(tally, outcome, getattr(tally, outcome) + 1)
        tally.deferred += put_off
        tally.digested += delivery.state is State.DIGESTED
        tally.opened += delivery.opened_at is not None
        tally.clicked += delivery.clicked_at is not None
    if outcome == "received":
        table.received[delivery.recipient] += 1
        table.opened[delivery.recipient] += delivery.opened_at is not None


def _clock(delivery: Delivery, run: Run, table: _Table) -> None:
    found = run.sent.get(delivery.digest_id or delivery.id)
    if found is None:
        return
    delay = max(0, found[0] - max(delivery.created_at, delivery.not_before))
    table.delays[delivery.type].append(delay)
    table.longest[delivery.recipient] = max(table.longest[delivery.recipient], delay)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        for name, count in asdict(tally).items():
            setattr(total, name, getattr(total, name) + count)
    return total


def _messages(run: Run, table: _Table) -> list[dict[str, Any]]:
    casts = [one for one in run.submitted if one.arrival.to is None]
    return [
        {
            "number": number,
            "id": one.receipt.notification_id,
            "type": one.arrival.fields["type"],
            "body": one.arrival.fields.get("text", ""),
            **table.casts[one.receipt.notification_id].to_dict(),
        }
        for number, one in enumerate(casts, start=1)
    ]


def _person_days(run: Run) -> Counter[tuple[str, int]]:
    """How many messages each person was handed over on each day since the start."""
    start = run.scenario.start
    return Counter((person, (at - start) // DAY) for at, person in run.sent.values())


def _distribution(run: Run, days: Counter[tuple[str, int]]) -> dict[int, int]:
    span = max(1, math.ceil((run.ended_at - run.scenario.start + 1) / DAY))
    found = Counter(days.values())
    idle = run.scenario.population.count * span - len(days)
    return dict(sorted({**({0: idle} if idle > 0 else {}), **found}.items()))


def _worst(run: Run, days: Counter[tuple[str, int]], table: _Table) -> list[Hit]:
    most: Counter[str] = Counter()
    for (person, _), count in days.items():
        most[person] = max(most[person], count)
    first = {person: place for place, person in enumerate(most)}
    order = sorted(most, key=lambda p: (-most[p], -table.longest[p], first[p]))[:WORST]
    chosen = set(order)
    states = {d.id: d.state for d in run.deliveries} if chosen else {}
    lines: defaultdict[str, list[Any]] = defaultdict(list)
    for one in run.deliveries:
        if one.recipient in chosen:
            gone = run.sent.get(one.digest_id or one.id)
            lines[one.recipient].append(
                (one.created_at, one.type, outcome_of(one, states), one.rule, gone and gone[0])
            )
    return [
        Hit(p, most[p], table.received[p], table.longest[p], tuple(sorted(lines[p], key=str)))
        for p in order
    ]


def _volume(run: Run, states: Mapping[str, State], bin_ms: Millis) -> dict[str, list[int]]:
    start = run.scenario.start
    size = (run.ended_at - start) // bin_ms + 1
    volume: defaultdict[str, list[int]] = defaultdict(lambda: [0] * size)

    def add(name: str, at: Millis) -> None:
        volume[name][min(size - 1, (at - start) // bin_ms)] += 1

    for delivery in run.deliveries:
        gone = run.sent.get(delivery.digest_id or delivery.id)
        add("submitted", delivery.created_at)
        add(outcome_of(delivery, states), delivery.created_at if gone is None else gone[0])
        if delivery.opened_at is not None:
            add("opened", delivery.opened_at)
    return dict(sorted(volume.items()))


def _delay_bins(delays: Sequence[Millis]) -> list[tuple[Millis, int]]:
    """Up to so many milliseconds, how many; up to the span that the longest falls into."""
    bins = [0] * len(_DELAY_EDGES)
    for delay in delays:
        bins[min(bisect_left(_DELAY_EDGES, delay), len(bins) - 1)] += 1
    last = max((place for place, number in enumerate(bins) if number), default=-1)
    return list(zip(_DELAY_EDGES, bins, strict=True))[: last + 1]


def _load(run: Run, table: _Table) -> dict[int, tuple[int, int]]:
    weeks = max(1.0, (run.ended_at - run.scenario.start) / (7 * DAY))
    received: Counter[int] = Counter()
    opened: Counter[int] = Counter()
    for person, count in table.received.items():
        load = round(count / weeks)
        received[load] += count
        opened[load] += table.opened[person]
    return {load: (received[load], opened[load]) for load in sorted(received)}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
