"""Is there anything to say against it? Judges of a played case that share nothing with the engine.

* `tactful.verify` reads what the store says: limits, states, duplicates, receipts.
* `tactful.testing.checker` reads what arrived at the other end, and what callers were told.
* Here is what only somebody who knows the whole case can judge: order, wishes, at most once,
  repeated submissions, listeners, and slots that were promised and that nothing could move.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tactful.core.model import State
from tactful.engine.requests import Receipt
from tactful.ports import Delivery
from tactful.sim.scenario import Person
from tactful.testing.checker import Asked, Copy, Ended, History, Reign, check
from tactful.testing.swarm.stage import Stage, Submission
from tactful.verify import SKEW_MS, verify
from tactful.verify.history import Receipt as Told

_WAITS = ("defer", "digest", "collapse")
_TOGETHER = ("channel", "domain")


def judge(stage: Stage) -> list[str]:
    """Everything that must not be, in words."""
    books = _Books(stage)
    return [finding for judgement in _JUDGEMENTS for finding in judgement(books)]


class _Books:
    """A played case, sorted for its judges."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.case = stage.case
        self.rows = stage.archive.deliveries
        self.wire = [self._named(copy) for copy in stage.end.copies]
        self.asked = list(self._asked())
        self.order = {
            receipt.delivery_id or "": one
            for one in stage.submissions
            for receipt in _all(one.receipt)
        }

    def _named(self, copy: Copy) -> Copy:
        row = self.rows.get(copy.message)
        return copy if row is None else replace(copy, kind=row.kind)

    def _asked(self) -> Iterator[Asked]:
        reached = {
            (row.notification_id, row.recipient, row.channel): row for row in self.rows.values()
        }
        for one in self.stage.submissions:
            if "to" in one.fields:
                for receipt in _all(one.receipt):
                    row = self.rows.get(receipt.delivery_id or "")
                    yield self._one(one, receipt, str(one.fields["to"]), row, receipt.channel or "")
                continue
            for person in one.audience:
                for way in self._ways(one):
                    row = reached.get((one.receipt.notification_id, person, way))
                    if row is not None or not one.cancelled:
                        yield self._one(one, one.receipt, person, row, way)

    def _one(
        self, one: Submission, receipt: Receipt, to: str, row: Delivery | None, way: str
    ) -> Asked:
        called_off = one.cancelled and row is not None and row.state is State.CANCELLED
        return Asked(
            f"{one.name}/{way}",
            to,
            receipt.decision,
            receipt.notification_id,
            receipt.delivery_id or (row.id if row else "none"),
            one.tries,
            one.replayed,
            called_off,
        )

    def _ways(self, one: Submission) -> tuple[str, ...]:
        """The channels of a submission, by what its type declares."""
        declared = self.case.scenario.policies.types
        type_ = next(found for found in declared if found.name == one.fields["type"])
        return type_.channels or (self.case.scenario.channels[0].name,)

    def refused(self) -> set[str]:
        """The deliveries that were given up for a reason that somebody else gave.

        What is in a digest shares the tries of whoever carries it.
        """
        stage, retry = self.stage, self.case.scenario.settings.retry
        found = {
            event.delivery_id
            for event in stage.archive.events
            if event.name in ("failed", "quarantined") and "digest" in event.data
        }
        for asked in self.asked:
            told = stage.end.answers.get((asked.recipient, asked.item), Counter())
            row = self.rows.get(asked.delivery or "")
            quarantined = row is not None and (row.reason or "").startswith("quarantined")
            doubts = told["Unknown"] + stage.faults
            if (
                told["Rejected"]
                or told["Retry"] >= retry.tries_max
                or (quarantined and doubts >= retry.crashes_max)
            ):
                found.add(asked.delivery or "")
        return found

    def history(self) -> History:
        """All that is known from outside."""
        types = self.case.scenario.policies.types
        ended = [
            Ended(
                row.id,
                row.notification_id,
                row.recipient,
                row.state,
                row.digest_id,
                row.updated_at,
                row.expires_at,
            )
            for row in self.rows.values()
        ]
        return History(
            self.asked,
            self.wire,
            ended,
            [Reign(one.since, self._judged(one)) for one in self.stage.reigns],
            self.refused(),
            {person.recipient.id: person.recipient.timezone for person in self.people()},
            [one.name for one in types if one.on_ambiguous == "hold"],
        )

    def people(self) -> Sequence[Person]:
        """The population."""
        return self.case.scenario.population.people or ()

    def has_throughput(self) -> bool:
        """Whether a rule that limits everybody together was ever in force."""
        rules = [rule for reign in self.stage.reigns for rule in reign.rules]
        return any(rule.get("per") in _TOGETHER for rule in rules)

    def _judged(self, reign: Reign) -> tuple[Mapping[str, Any], ...]:
        """The rules that hold on the clock of the other end, too: once turned, only spans do."""
        if not self.stage.turned_ms:
            return reign.rules
        return tuple(
            rule
            for rule in reign.rules
            if "limit" in rule
            and "calendar" not in str(rule["limit"])
            and rule.get("per") not in _TOGETHER
        )


def _all(receipt: Receipt) -> tuple[Receipt, ...]:
    return receipt, *receipt.others


# Judgements -----------------------------------------------------------------------------------


def _by_the_store(books: _Books) -> Iterator[str]:
    """What `tactful.verify` says to the history, and to what callers were told."""
    history = books.stage.archive.history()
    history.receipts = [
        Told(receipt.decision, receipt.notification_id, receipt.delivery_id, one.replayed)
        for one in books.stage.submissions
        for receipt in _all(one.receipt)
    ]
    report = verify(history, skew_ms=SKEW_MS if books.stage.turned_ms else 0)
    for name in ("lost", "unexpected", "duplicated_unexplained"):
        yield from (f"ledger, {name}: {text}" for text in getattr(report, name))
    for one in report.limit_violations:
        inside = ", ".join(f"{other.name} at {other.at}" for other in one.inside)
        yield f"ledger, over the limit: {one.rule} ({one.limit}) for {one.whom}: {inside}"


def _at_the_other_end(books: _Books) -> Iterator[str]:
    """What arrived, beside what was promised."""
    for text in check(books.history()).findings:
        # By their ids; but engines make them independently, and clocks are turned.
        if "was superseded by nothing" not in text:
            yield f"wire, {text}"


def _newest_stays(books: _Books) -> Iterator[str]:
    """What was superseded was by something newer that somebody asked for."""
    for row in books.rows.values():
        if row.state is not State.SUPERSEDED:
            continue
        other = books.rows.get((row.reason or "").removeprefix("superseded by "))
        if other is None or (other.recipient, other.channel) != (row.recipient, row.channel):
            yield f"collapse: {row.id} was superseded by nothing: {row.reason}"
            continue
        older, newer = books.order.get(row.id), books.order.get(other.id)
        if older and newer and older.order > newer.order and not books.stage.turned_ms:
            yield f"collapse: {row.id} was superseded by {other.id}, which is older"


def _in_order(books: _Books) -> Iterator[str]:
    """Deliveries of one recipient with the same rules keep their order as long as none fails.

    A slot is lost, too, to a higher priority, and while a throughput limit holds who had it; by a
    collapse key the slot of another type becomes free for whoever comes next; and ids are in the
    order of acceptance on a clock that nobody turns.
    """
    free = "collapse" in books.case.features and "collapse keys" in books.case.features
    if free or books.has_throughput() or books.stage.turned_ms:
        return
    first: dict[tuple[str, str], int] = {}
    for place, copy in enumerate(books.wire):
        for item in copy.items:
            first.setdefault((copy.recipient, item), place)
    lines: dict[str, list[tuple[int, Asked, Delivery]]] = defaultdict(list)
    for asked in books.asked:
        row = books.rows.get(asked.delivery or "")
        if row is not None:
            place = first.get((asked.recipient, asked.item), -1)
            lines[row.recipient].append((place, asked, row))
    for line in lines.values():
        rows = [row for _, _, row in line]
        failed = any(row.attempts > 1 or row.tries or row.crashes for row in rows)
        if failed or len({row.priority for row in rows}) > 1:
            continue
        yield from _overtaking(books, line)


def _overtaking(books: _Books, line: list[tuple[int, Asked, Delivery]]) -> Iterator[str]:
    """Whoever of the same kind was accepted later, and went at an earlier instant.

    What joins a digest goes with its first, and what stood still is overtaken.
    """
    last: dict[Any, tuple[int, Delivery]] = {}
    for place, asked, row in line:
        one = books.order.get(asked.delivery or "")
        if place < 0 or one is None or one.paused:
            continue
        if "deliver_at" in one.fields or row.digest_id:
            continue
        alike = (row.kind, one.fields.get("collapse_key"))
        at = books.wire[place].at
        latest, older = last.get(alike, (at, row))
        # Two engines may accept in one millisecond, and their ids do not tell which was first.
        if at < latest and older.created_at < row.created_at:
            yield f"order: {row.id} was handed over before {older.id}"
        if at >= latest:
            last[alike] = (at, row)


def _wishes(books: _Books) -> Iterator[str]:
    """Nothing goes to somebody who has said no to it, unless it must."""
    types = {one.name: one for one in books.case.scenario.policies.types}
    said: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for since, person, wish in books.stage.muted:
        said[person].append((since, wish))
    for place, copy in enumerate(books.wire):
        if types[copy.kind.type].mandatory:
            continue
        for since, wish in said.get(copy.recipient, ()):
            named = (f"type:{copy.kind.type}", f"category:{copy.kind.category}")
            if wish in named and place >= since:
                yield f"unwanted: {copy.message} went to {copy.recipient}, who said {wish}"


def _at_most_once(books: _Books) -> Iterator[str]:
    """A type that says `hold` is never handed over again while nobody asks for it."""
    held = [one.name for one in books.case.scenario.policies.types if one.on_ambiguous == "hold"]
    seen: set[tuple[str, str]] = set()
    for copy in books.wire:
        if copy.kind.type not in held or copy.message in books.stage.redriven:
            continue
        for item in copy.items:
            if (copy.recipient, item) in seen:
                yield f"more than once: {item} went to {copy.recipient} again"
            seen.add((copy.recipient, item))


def _repeated(books: _Books) -> Iterator[str]:
    """The same key and the same body: the same answer."""
    for one, receipt in books.stage.again:
        if replace(receipt, replayed=True) != replace(one.receipt, replayed=True):
            yield f"idempotency: {one.name} is {receipt}, and was {one.receipt}"
        elif not receipt.replayed:
            yield f"idempotency: {one.name} does not say that it is a repetition"


def _told(books: _Books) -> Iterator[str]:
    """A listener with a name hears every event."""
    missed = {event.seq for event in books.stage.archive.events} - books.stage.heard
    if missed:
        yield f"listener: did not hear {sorted(missed)}"


def _punctual(books: _Books) -> Iterator[str]:
    """Where nothing can move a slot, it is kept to the millisecond."""
    if not books.case.is_calm:
        return
    for one in books.stage.submissions:
        for receipt in _all(one.receipt):
            row = books.rows.get(receipt.delivery_id or "")
            attempt = books.stage.archive.first_attempt(receipt.delivery_id or "")
            if row is None or receipt.deliver_at is None or row.state is State.SUPERSEDED:
                continue
            at = attempt.at if attempt else row.updated_at
            if row.state is not State.EXPIRED and at != receipt.deliver_at:
                late = f"{at - receipt.deliver_at} ms after {receipt.deliver_at}"
                yield f"slot: {row.id} ({receipt.decision}) went {late}"


def _read(books: _Books) -> Iterator[str]:
    """Opened is within delivered, and delivered within sent."""
    for row in books.rows.values():
        if row.opened_at is not None and row.state is not State.DELIVERED:
            yield f"opened: {row.id} is {row.state}"
        if row.clicked_at is not None and row.opened_at is None:
            yield f"clicked: {row.id} was never opened"


_JUDGEMENTS: tuple[Callable[[_Books], Iterator[str]], ...] = (
    _by_the_store,
    _at_the_other_end,
    _newest_stays,
    _in_order,
    _wishes,
    _at_most_once,
    _repeated,
    _told,
    _punctual,
    _read,
)
