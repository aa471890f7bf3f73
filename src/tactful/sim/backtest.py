"""What would have happened: the recorded traffic of a store under rules that are proposed.

Every submission of a span of time is decided anew, under the proposed rules and, by the same
replay, under those now in force, so that what differs is the rules' doing and not that of an outage
or of a worker that stood still. What is recorded stands beside them. Attempts before the span count
as they were made; what was submitted before it keeps the instant at which it really went.

One recipient is replayed after the other (`sim.replay`), so memory does not grow with the traffic
but for a number for each delay. The store is only read.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, tzinfo
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from tactful.core.errors import InvalidRule
from tactful.core.model import DAY, NEVER, Entry, Kind, Millis, State
from tactful.core.rules import Limit, Rule
from tactful.engine.rulebook import Book, Rulebook
from tactful.engine.settings import Settings
from tactful.engine.zones import zone_of
from tactful.ports import Reader, Record
from tactful.sim.fates import (
    CANCELLED,
    COLLAPSED,
    DEFERRED,
    DIGESTED,
    EXPIRED,
    FAILED,
    OUTCOMES,
    REJECTED,
    SENT,
    SUPPRESSED,
    WAITING,
    Fate,
)
from tactful.sim.figures import Delays, percentiles
from tactful.sim.replay import replay

CHANGES: Final = ("same", "earlier", "later", "stopped", "freed")
"""How the proposed rules change what those in force do with a delivery: nothing; it goes out
earlier; later; not at all any more; or it goes out that did not."""

_ENDS: Final = {
    State.REJECTED: REJECTED,
    State.SUPPRESSED: SUPPRESSED,
    State.SUPERSEDED: COLLAPSED,
    State.EXPIRED: EXPIRED,
    State.CANCELLED: CANCELLED,
    State.FAILED: FAILED,
    State.UNKNOWN: FAILED,
}
_WAITS: Final = frozenset({State.QUEUED, State.DEFERRED, State.SENDING})
_NONE: Final = Fate(WAITING, None, NEVER)


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a part of the deliveries: how many by outcome (`sim.fates.OUTCOMES`), and how
    late those that went out were, from the instant at which they were to go."""

    outcomes: Mapping[str, int]
    delays: Delays

    @property
    def submitted(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"outcomes": dict(self.outcomes), "delays": asdict(self.delays)}


@dataclass(frozen=True, slots=True)
class Column:
    """What became of all deliveries, of those of each type, and of those that each rule held or
    ended. A digest is one of the `messages`; a day is one in UTC."""

    total: Part
    types: Mapping[str, Part]
    rules: Mapping[str, Part]
    messages: int
    most_in_a_day: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **self.total.to_dict(),
            "messages": self.messages,
            "most_in_a_day": self.most_in_a_day,
            "types": {name: part.to_dict() for name, part in self.types.items()},
            "rules": {name: part.to_dict() for name, part in self.rules.items()},
        }


@dataclass(frozen=True, slots=True)
class Hit:
    """A person, and how many of their deliveries would have come later or not at all; `added_ms` is
    the sum of what they would have waited longer, `longest_ms` the longest delay of all."""

    recipient: str
    submitted: int
    later: int
    stopped: int
    added_ms: Millis
    longest_ms: Millis


@dataclass(frozen=True, slots=True)
class Backtest:
    """The answer: what is recorded, and the same under the rules in force and under others.

    `changes` counts by `CHANGES`, `moves` by type, outcome in force and outcome proposed. `people`
    were meant by anything in the span; `people_hit` of them get something later or not at all.
    `first` is the instant of the first submission that is known. `unkept` names the rules that a
    replay cannot keep, `idle` those proposed that match nothing. Up to `blind`, the proposed rules
    look back to attempts that may have been deleted; None if they do not.
    """

    since: Millis
    until: Millis
    first: Millis | None
    people: int
    people_hit: int
    recorded: Column
    in_force: Column
    proposed: Column
    changes: Mapping[str, int]
    moves: Mapping[tuple[str, str, str], int]
    hit: Sequence[Hit]
    rules: Sequence[Rule]
    unkept: Sequence[str]
    idle: Sequence[str]
    blind: Millis | None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "since": self.since,
            "until": self.until,
            "first": self.first,
            "people": self.people,
            "people_hit": self.people_hit,
            "recorded": self.recorded.to_dict(),
            "in_force": self.in_force.to_dict(),
            "proposed": self.proposed.to_dict(),
            "changes": dict(self.changes),
            "moves": [
                {"type": type_, "from": before, "to": after, "count": count}
                for (type_, before, after), count in self.moves.items()
            ],
            "hit": [asdict(one) for one in self.hit],
            "rules": [rule.to_dict() for rule in self.rules],
            "unkept": list(self.unkept),
            "idle": list(self.idle),
            "blind": self.blind,
        }


def backtest(
    reader: Reader,
    rules: Sequence[Rule],
    settings: Settings,
    *,
    since: Millis,
    until: Millis,
    now: Millis,
    types: Collection[str] = (),
    worst: int = 5,
    portion: int = 5_000,
    progress: Callable[[int], None] = lambda seen: None,
) -> Backtest:
    """What was submitted from `since` to before `until`, under rules that are proposed.

    What has come to no end at `now` waits. With `types` only those are told of; the others still
    count. So many deliveries are read at a time as a `portion` says, and `progress` hears how many
    were. Raises InvalidRule for a rule that could
    not be put in force.
    """
    for rule in rules:
        _check(rule, settings)
    in_force = Rulebook().current(reader)
    proposed = Book(in_force.epoch, rules, in_force.types, ())
    found = _Count(
        (in_force, proposed), settings, since=since, now=now, types=frozenset(types), worst=worst
    )
    reach = max(_reach(in_force), _reach(proposed))
    seen = 0
    for group in _people(reader, since, until, portion):
        names = [records[0].recipient for records in group]
        history = reader.history(names, since - reach) if reach else {}
        people = reader.recipients_by_key(names) if _local(in_force, proposed) else {}
        for name, records in zip(names, group, strict=True):
            entries = history.get(name, [])
            before = entries[: bisect_left(entries, since, key=attrgetter("at"))]
            zone = zone_of(people[name].timezone) if name in people else UTC
            found.person(records, before, zone)
            seen += len(records)
        progress(seen)
    return found.result(since, until)


# Rules ----------------------------------------------------------------------------------------


def _check(rule: Rule, settings: Settings) -> None:
    if isinstance(rule.limit, Limit) and rule.limit.reach_ms > settings.history_ms:
        days = settings.history_ms // DAY
        raise InvalidRule("limit", str(rule.limit), f"reaches further than the {days} days kept")


def _reach(book: Book) -> Millis:
    limits = [rule.limit for rule in book.rules.values() if not rule.is_throughput]
    return max((limit.reach_ms for limit in limits if isinstance(limit, Limit)), default=0)


def _local(*books: Book) -> bool:
    """Whether any rule asks what time it is where the recipient lives."""
    return any(
        not isinstance(rule.limit, Limit) or rule.limit.unit is not None
        for book in books
        for rule in book.rules.values()
    )


# Records --------------------------------------------------------------------------------------


def _people(
    reader: Reader, since: Millis, until: Millis, portion: int
) -> Iterator[list[list[Record]]]:
    """The records of the span, some recipients at a time, each with all of theirs."""
    kept: list[Record] = []
    after = ("", "")
    while page := reader.records(since, until, after=after, limit=portion):
        after = (page[-1].recipient, page[-1].id)
        groups = [list(rows) for _, rows in groupby([*kept, *page], attrgetter("recipient"))]
        kept = groups.pop()  # the next page may have more of theirs
        if groups:
            yield groups
    if kept:
        yield [kept]


def _told(records: Sequence[Record]) -> Iterator[tuple[str, Fate]]:
    """What the store says became of each."""
    heads = {record.digest_id for record in records if record.digest_id is not None}
    for record in records:
        state = record.state
        if state in _WAITS:
            yield record.id, _NONE._replace(rule=record.rule)
        elif state in _ENDS:
            yield record.id, Fate(_ENDS[state], record.rule, record.updated_at)
        else:
            at = record.updated_at if record.sent_at is None else record.sent_at
            late = SENT if record.rule is None else DEFERRED
            outcome = DIGESTED if record.digest_id or record.id in heads else late
            yield record.id, Fate(outcome, record.rule, at, record.digest_id or record.id)


# Counting -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What is counted of one column."""

    counts: Counter[tuple[str, str | None, str]] = field(default_factory=Counter)
    delays: defaultdict[tuple[str, str | None], array[int]] = field(
        default_factory=lambda: defaultdict(lambda: array("q"))
    )
    messages: int = 0
    most: int = 0

    def add(self, records: Sequence[Record], fates: Sequence[Fate], now: Millis) -> None:
        """One person's deliveries and what became of them."""
        counts, delays = self.counts, self.delays
        sent: dict[str, Millis] = {}
        for record, (outcome, rule, at, message) in zip(records, fates, strict=True):
            type_ = record.kind.type
            counts[type_, rule, outcome if at <= now else WAITING] += 1
            if message is not None:
                wanted = max(record.created_at, record.not_before)
                delays[type_, rule].append(max(0, at - wanted))
                if at <= now:
                    sent[message] = at
        if sent:
            self.messages += len(sent)
            self.most = max(self.most, *Counter(at // DAY for at in sent.values()).values())

    def column(self) -> Column:
        return Column(self._part(), self._parts(0), self._parts(1), self.messages, self.most)

    def _parts(self, place: int) -> dict[str, Part]:
        names = sorted({name for key in self.counts if (name := key[place]) is not None})
        return {name: self._part(place, name) for name in names}

    def _part(self, place: int = 0, name: str | None = None) -> Part:
        """Of those with this type (place 0) or rule (place 1), or of all."""
        outcomes = dict.fromkeys(OUTCOMES, 0)
        for key, count in self.counts.items():
            if name is None or key[place] == name:
                outcomes[key[2]] += count
        delays = array("q")
        for held, some in self.delays.items():
            if name is None or held[place] == name:
                delays += some
        return Part(outcomes, percentiles(delays))


class _Count:
    """What is counted while one person after the other is replayed."""

    def __init__(
        self,
        books: tuple[Book, Book],
        settings: Settings,
        *,
        since: Millis,
        now: Millis,
        types: frozenset[str],
        worst: int,
    ) -> None:
        self._books = books
        self._settings = settings
        self._since = since
        self._now = now
        self._types = types
        self._worst = worst
        self._tallies = (_Tally(), _Tally(), _Tally())
        self._changes: Counter[str] = Counter()
        self._moves: Counter[tuple[str, str, str]] = Counter()
        self._kinds: set[Kind] = set()
        self._hits: list[tuple[int, Millis, str, Hit]] = []
        self._people = 0
        self._people_hit = 0
        self._first: Millis | None = None

    def person(self, records: Sequence[Record], history: Sequence[Entry], zone: tzinfo) -> None:
        """One person's records, whose counted attempts before them are `history`."""
        mine = [
            record
            for record in records
            if record.created_at >= self._since
            and (not self._types or record.kind.type in self._types)
        ]
        if not mine:
            return
        replays = [
            replay(records, book, self._settings, zone=zone, history=history, since=self._since)
            for book in self._books
        ]
        told = dict(_told(records))
        columns = [[fates.get(one.id, _NONE) for one in mine] for fates in (told, *replays)]
        self._people += 1
        for tally, fates in zip(self._tallies, columns, strict=True):
            tally.add(mine, fates, self._now)
        first = min(record.created_at for record in mine)
        self._first = first if self._first is None else min(first, self._first)
        self._kinds.update(record.kind for record in mine)
        self._compare(mine, *columns[1:])

    def _compare(
        self, mine: Sequence[Record], in_force: Sequence[Fate], proposed: Sequence[Fate]
    ) -> None:
        counts = Counter[str]()
        added = longest = 0
        for record, old, new in zip(mine, in_force, proposed, strict=True):
            change = _change(old, new)
            counts[change] += 1
            if change == "later":
                added += new.at - old.at
            if new.message is not None:
                longest = max(longest, new.at - max(record.created_at, record.not_before))
            before = old.outcome if old.at <= self._now else WAITING
            after = new.outcome if new.at <= self._now else WAITING
            self._moves[record.kind.type, before, after] += 1
        self._changes += counts
        later, stopped = counts["later"], counts["stopped"]
        if later or stopped:
            self._people_hit += 1
            name = mine[0].recipient
            hit = Hit(name, len(mine), later, stopped, added, longest)
            heapq.heappush(self._hits, (later + stopped, added, name, hit))
            if len(self._hits) > self._worst:
                heapq.heappop(self._hits)

    def result(self, since: Millis, until: Millis) -> Backtest:
        """All of it."""
        rules = [*self._books[1].rules.values()]
        named = {rule.name: rule for book in self._books for rule in book.rules.values()}
        matched = {rule.name for rule in rules if any(map(rule.matches, self._kinds))}
        recorded, in_force, proposed = (tally.column() for tally in self._tallies)
        return Backtest(
            since,
            until,
            self._first,
            self._people,
            self._people_hit,
            recorded,
            in_force,
            proposed,
            {name: self._changes[name] for name in CHANGES},
            dict(sorted(self._moves.items())),
            [hit for *_, hit in sorted(self._hits, reverse=True)],
            rules,
            sorted(name for name, rule in named.items() if rule.is_throughput),
            [rule.name for rule in rules if rule.name not in matched],
            self._blind(),
        )

    def _blind(self) -> Millis | None:
        """Until when the proposed rules look back to attempts that may have been deleted."""
        settings = self._settings
        gone = self._now - max(_reach(self._books[0]), settings.history_ms) - DAY
        blind = gone + _reach(self._books[1])
        return blind if self._first is not None and self._first < blind else None


def _change(old: Fate, new: Fate) -> str:
    """Which of `CHANGES` it is."""
    if old.message is None or new.message is None:
        if old.message is None and new.message is None:
            return "same"
        return "freed" if old.message is None else "stopped"
    return "same" if new.at == old.at else "later" if new.at > old.at else "earlier"
