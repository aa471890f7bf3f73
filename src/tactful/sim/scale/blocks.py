"""People in blocks, over threads; and the figures of what came of them.

Compiled code holds no lock, so threads are as good as processes. Each has room for one person and
sums of its own, and takes the next block when it is done with one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.core.model import DAY, Millis
from tactful.sim.figures import _BIN_SIZES as BIN_SIZES
from tactful.sim.figures import _BINS as BINS
from tactful.sim.figures import Delays, Figures, Hit, Tally
from tactful.sim.scale.columns import Numbers, Records
from tactful.sim.scale.cover import Covered, covered, refused
from tactful.sim.scale.live import live_all
from tactful.sim.scale.room import CROWDED, LINE_MAX, LONG_LINE, TABLES, Room, room_for
from tactful.sim.scale.sums import (
    CLICKED,
    DEFERRED,
    OPENED,
    STATES,
    SUBMITTED,
    UNSUBSCRIBED,
    Sums,
    longest_of,
    sums_for,
    together,
)
from tactful.sim.scenario import Scenario

BLOCK: Final = 50_000
"""People in a block: some hundredths of a second."""
CORES_MAX: Final = 1_024

OUTCOMES: Final = (
    "waiting", "received", "lost", "collapsed", "rejected", "suppressed", "expired",
)  # fmt: skip
"""What the states of rows are called, by number."""


def run(
    scenario: Scenario,
    *,
    cores: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Figures:
    """See `run_scale`."""
    cores = (os.cpu_count() or 1) if cores is None else cores
    if isinstance(cores, bool) or not isinstance(cores, int) or not 1 <= cores <= CORES_MAX:
        raise RequestError("cores", cores, f"must be a whole number from 1 to {CORES_MAX}")
    made = covered(scenario)
    people = scenario.population.count
    blocks = _Blocks(people, progress or (lambda _: None))
    workers = [Worker(made) for _ in range(min(cores, max(1, math.ceil(people / BLOCK))))]
    # The first compiles what is not kept from another time; the others would wait for it.
    workers[0].lead(0, 0)
    with ThreadPoolExecutor(len(workers)) as threads:
        try:
            for done in [threads.submit(worker.work, blocks) for worker in workers]:
                done.result()
        finally:
            blocks.stop()
    return _figures(made, together([worker.sums for worker in workers]), workers[0])


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one delivery: what was decided about it first, and its end.

    `flow` is its stream's place in the traffic and `number` its own within the stream. `said` is
    the decision as in `limits`, with the rule that it names and the slot.
    """

    flow: int
    number: int
    at: Millis
    type: str
    said: int
    said_rule: str | None
    said_slot: Millis
    outcome: str
    rule: str | None
    sent: Millis | None
    opened: Millis | None
    clicked: bool


class _Blocks:
    """Hands out blocks of people, and tells how far they are."""

    def __init__(self, people: int, progress: Callable[[float], None]) -> None:
        self._people = people
        self._progress = progress
        self._firsts = iter(range(0, people, BLOCK))
        self._done = 0
        self._lock = Lock()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        while True:
            with self._lock:
                first = next(self._firsts, None)
            if first is None:
                return
            end = min(self._people, first + BLOCK)
            yield first, end
            with self._lock:
                self._done += end - first
                self._progress(self._done / self._people)

    def stop(self) -> None:
        """Hand out no more."""
        with self._lock:
            self._firsts = iter(range(0))


class Worker:
    """Leads blocks of people through the scenario, one after the other."""

    def __init__(self, made: Covered) -> None:
        self.made = made
        self.room: Room = room_for(made.columns, made.deliveries)
        self.sums: Sums = self._nothing()

    def work(self, blocks: _Blocks) -> None:
        """Until there are no more."""
        for first, end in blocks:
            self.lead(first, end)

    def lead(self, first: int, end: int) -> None:
        """Lead some people; where there is trouble, make what was too small larger and go on."""
        while True:
            first = live_all(self.made.columns, self.room, self.sums, first, end)
            if first >= end:
                return
            trouble = int(self.room.mine[0]["trouble"])
            if trouble == LONG_LINE:
                feature = f"lines of more than {LINE_MAX} that wait for one person"
                raise refused("rules", f"user-{first + 1}", feature)
            if trouble == TABLES:
                self.made = self.made.longer()
            if trouble == CROWDED:
                self.room = room_for(self.made.columns, 2 * len(self.room.rows))

    def lines_of(self, person: int) -> list[Line]:
        """What became of all that was meant for one person."""
        kept, self.sums = self.sums, self._nothing()
        self.lead(person, person + 1)
        self.sums = kept
        last = self.made.columns.world[0]["last"]
        rows = self.room.rows[: self.room.mine[0]["rows"]]
        return [self._line(row) for row in rows if row["at"] <= last]

    def _line(self, row: Records) -> Line:
        kinds, rules = self.made.columns.kinds, [*self.made.rules, None]
        return Line(
            int(row["flow"]),
            int(row["number"]),
            int(row["at"]),
            self.made.types[kinds[row["kind"]]["type"]],
            int(row["said"]),
            rules[row["said_rule"]],
            int(row["said_slot"]),
            OUTCOMES[row["state"]],
            rules[row["rule"]],
            _instant(row["sent"]),
            _instant(row["opened"]),
            bool(row["clicked"]),
        )

    def _nothing(self) -> Sums:
        made = self.made
        sizes = len(made.types), len(made.messages), len(made.rules), made.bins
        return sums_for(made.columns, *sizes)


def _instant(value: Any) -> Millis | None:
    return None if value < 0 else int(value)


# Figures --------------------------------------------------------------------------------------


def _figures(made: Covered, sums: Sums, worker: Worker) -> Figures:
    scenario, ended = made.scenario, int(sums.ended[0])
    met = [number for number in range(len(made.types)) if sums.types[number][SUBMITTED]]
    casts = sorted(zip(made.messages, sums.casts, strict=True), key=lambda cast: cast[0].at)
    names = sorted((made.types[number], number) for number in met)
    return Figures(
        scenario.name,
        scenario.seed,
        scenario.population.count,
        scenario.start,
        ended,
        _tally(sums.types.sum(axis=0)),
        {name: _tally(sums.types[number]) for name, number in names},
        {
            "all": _percentiles(sums.delays.sum(axis=0), max(sums.longest, default=0)),
            **{
                name: _percentiles(sums.delays[number], sums.longest[number])
                for name, number in names
                if sums.delays[number].any()
            },
        },
        [
            {
                "number": number,
                "id": message.name,
                "type": message.type,
                "body": message.body,
                **_tally(counts).to_dict(),
            }
            for number, (message, counts) in enumerate(casts, start=1)
        ],
        {name: int(count) for name, count in zip(made.rules, sums.rules, strict=True) if count},
        _days(scenario, sums, ended),
        [_hit(hit, worker) for hit in sums.worst],
        *_volume(made, sums, ended),
        _delay_bins(made, sums),
        _loads(scenario, sums, ended),
    )


def _tally(counts: Numbers) -> Tally:
    states = dict(zip(OUTCOMES, counts[STATES : STATES + len(OUTCOMES)].tolist(), strict=True))
    return Tally(
        submitted=int(counts[SUBMITTED]),
        sent=states["received"] + states["lost"],
        deferred=int(counts[DEFERRED]),
        opened=int(counts[OPENED]),
        clicked=int(counts[CLICKED]),
        unsubscribed=int(counts[UNSUBSCRIBED]),
        **states,
    )


def _percentiles(bins: Numbers, longest: Any) -> Delays:
    total = int(bins.sum())
    if not total:
        return Delays()
    so_far = bins.cumsum()

    def at(share: float) -> Millis:
        place = int(so_far.searchsorted(max(1, math.ceil(share * total))))
        return min(longest_of(place), int(longest))

    return Delays(at(0.5), at(0.95), at(0.99), int(longest))


def _days(scenario: Scenario, sums: Sums, ended: Millis) -> dict[int, int]:
    span = max(1, math.ceil((ended - scenario.start + 1) / DAY))
    found = {count: int(days) for count, days in enumerate(sums.per_day) if days}
    idle = scenario.population.count * span - sum(found.values())
    return {**({0: idle} if idle > 0 else {}), **found}


def _hit(hit: Records, worker: Worker) -> Hit:
    lines = worker.lines_of(int(hit["person"]))
    timeline = [(one.at, one.type, one.outcome, one.rule, one.sent) for one in lines]
    received = sum(one.outcome == "received" for one in lines)
    return Hit(
        f"user-{hit['person'] + 1}",
        int(hit["most"]),
        received,
        int(hit["longest"]),
        tuple(sorted(timeline, key=str)),
    )


def _volume(made: Covered, sums: Sums, ended: Millis) -> tuple[Millis, dict[str, list[int]]]:
    """In bins as `sim.figures` has them, unless those would be finer than what was counted in."""
    fine = int(made.columns.world[0]["bin"])
    least = max(fine, math.ceil(max(1, ended - made.scenario.start) / BINS))
    usual = (size for size in BIN_SIZES if size >= least and not size % fine)
    size = next(usual, math.ceil(least / fine) * fine) // fine
    used = (ended - made.scenario.start) // fine + 1
    counts = sums.volume[:, :used]
    volume = {
        name: [int(row[at : at + size].sum()) for at in range(0, used, size)]
        for name, row in sorted(zip(("submitted", *OUTCOMES, "opened"), counts, strict=True))
        if row.any()
    }
    return fine * size, volume


def _delay_bins(made: Covered, sums: Sums) -> list[tuple[Millis, int]]:
    """Up to the bin that the longest delay falls into."""
    used = sums.steps.nonzero()[0]
    size = int(used[-1]) + 1 if len(used) else 0
    pairs = zip(made.columns.delay_edges.tolist(), sums.steps.tolist(), strict=True)
    return list(pairs)[:size]


def _loads(scenario: Scenario, sums: Sums, ended: Millis) -> dict[int, tuple[int, int]]:
    weeks = max(1.0, (ended - scenario.start) / (7 * DAY))
    loads: dict[int, tuple[int, int]] = {}
    for received, people in enumerate(sums.received):
        if received and people:
            before = loads.get(round(received / weeks), (0, 0))
            loads[round(received / weeks)] = (
                before[0] + received * int(people),
                before[1] + int(sums.opened[received]),
            )
    return loads
