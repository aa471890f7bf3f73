"""What the fault tests share: a world that is watched from outside.

`World` has one store, one clock and one post office. It keeps what callers were told and what the
post office took, which is all that the checker gets to see besides the final states. Its callers
are sane: who meets a fault asks again with the same idempotency key; after a crash, a new engine
is opened on the same store first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tactful import (
    Accepted,
    Event,
    Message,
    Outcome,
    Receipt,
    Recipient,
    Rejected,
    Rule,
    Settings,
    State,
    Tactful,
    Unknown,
)
from tactful.core.model import Kind
from tactful.errors import Unavailable
from tactful.ports import Reader, Store
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing import ManualClock
from tactful.testing.checker import Asked, Copy, Ended, History, Reign, check
from tactful.testing.faults import Crash, FaultyChannel, FaultyStore, Plan

T = TypeVar("T")

START = 1_767_254_400_000
"""2026-01-01 08:00 UTC, a Thursday."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ROUNDS_MAX = 1_000
PATIENCE = 7 * DAY


class Post:
    """A channel and the other end of it: `wire` is what arrived there.

    `script` says, for an item, what becomes of its first, second, ... hand-over. An `Unknown`
    whose text is `taken` has arrived, any other has not.
    """

    name = "post"
    address_kind: str | None = None
    concurrency = 1
    batch = 50

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.wire: list[Copy] = []
        self.numbers: list[int] = []
        self.refused: set[tuple[str, str]] = set()
        self.script: dict[str, Sequence[Outcome]] = {}
        self._handed: Counter[str] = Counter()

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [self._take(message) for message in messages]

    def close(self) -> None:
        """Nothing is open."""

    def _take(self, message: Message) -> Outcome:
        items = tuple(re.findall(r"<(\w+)>", message.text))
        outcome: Outcome = Accepted(arrived=True)
        for item in items:
            self._handed[item] += 1
            outcomes = self.script.get(item, ())
            if self._handed[item] <= len(outcomes):
                outcome = outcomes[self._handed[item] - 1]
        if isinstance(outcome, Rejected):
            self.refused.update((message.recipient, item) for item in items)
        vague = isinstance(outcome, Unknown) and outcome.why == "taken"
        if isinstance(outcome, Accepted) or vague:
            kind = Kind(message.type, "default", self.name, 1)
            copy = Copy(
                message.id,
                message.recipient,
                kind,
                self.clock.now(),
                items,
                message.address,
                ambiguous=vague,
                maybe_duplicate=message.maybe_duplicate,
            )
            self.wire.append(copy)
            self.numbers.append(message.attempt)
        return outcome


class Watched:
    """The post office with its faults: what it took in a call that failed is in doubt."""

    def __init__(self, post: Post, plan: Plan) -> None:
        self.name = post.name
        self.address_kind = post.address_kind
        self.concurrency = post.concurrency
        self.batch = post.batch
        self._post = post
        self._faulty = FaultyChannel(post, plan)

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        first = len(self._post.wire)
        try:
            return self._faulty.send(messages)
        except BaseException:
            self._post.wire[first:] = [
                replace(copy, ambiguous=True) for copy in self._post.wire[first:]
            ]
            raise

    def close(self) -> None:
        """Nothing is open."""


class World:
    """See the module."""

    def __init__(
        self,
        make_store: Callable[[], Store],
        plan: Plan | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.plan = plan or Plan()
        self.settings = settings or Settings(history_ms=2 * DAY)
        self.clock = ManualClock(START)
        self.post = Post(self.clock)
        self.heard: list[int] = []
        self.asked: list[Asked] = []
        self.reigns: list[Reign] = []
        self.zones: dict[str, str] = {}
        self.held: set[str] = set()
        self._make_store = make_store
        self._pruned: dict[str, Ended] = {}
        self.raw = make_store()
        self._open()

    # Engines ----------------------------------------------------------------------------------

    def _open(self) -> None:
        self.app = Tactful(
            FaultyStore(self.raw, self.plan),
            channels=[Watched(self.post, self.plan)],
            clock=self.clock,
            settings=self.settings,
            seed=self.plan.calls + 1,
        )
        try:
            self.app.listen(self._hears, name="audit")
        except (Unavailable, Crash):
            self.reopen()

    def _hears(self, event: Event) -> None:
        self.heard.append(event.seq)

    def reopen(self) -> None:
        """The process is gone; another one begins with what the store holds."""
        if not isinstance(self.raw, MemoryStore):
            self.raw.close()
            self.raw = self._make_store()
        self._open()

    def close(self) -> None:
        self.raw.close()

    # Callers ----------------------------------------------------------------------------------

    def call(self, step: Callable[[Tactful], T]) -> tuple[T, int]:
        """What the step gives, and how many tries it took."""
        tries = 0
        while True:
            tries += 1
            before = len(self.post.wire)
            try:
                return step(self.app), tries
            except Unavailable:
                self._doubt(before)
            except Crash:
                self._doubt(before)
                self.reopen()

    def _doubt(self, first: int) -> None:
        """Copies of this step whose outcome was not stored: nobody knows that they arrived."""
        with self.reading() as reader:
            for place in range(first, len(self.post.wire)):
                copy, number = self.post.wire[place], self.post.numbers[place]
                outcomes = {a.number: a.outcome for a in reader.attempts(copy.message)}
                if outcomes.get(number) is None:
                    self.post.wire[place] = replace(copy, ambiguous=True)
        self.check_conservation()

    def send(self, item: str, to: str, type_: str, **fields: Any) -> Receipt:
        return self.send_many([(item, to, type_)], **fields)[0]

    def send_many(self, wanted: Sequence[tuple[str, str, str]], **fields: Any) -> list[Receipt]:
        items = [
            {"type": type_, "to": to, "text": f"<{item}>", "idempotency_key": item, **fields}
            for item, to, type_ in wanted
        ]
        receipts, tries = self.call(lambda app: app.send_many(items))
        for (item, to, _), receipt in zip(wanted, receipts, strict=True):
            self.asked.append(
                Asked(
                    item,
                    to,
                    receipt.decision,
                    receipt.notification_id,
                    receipt.delivery_id,
                    tries,
                    receipt.replayed,
                )
            )
        return receipts

    def broadcast(self, item: str, type_: str, people: Sequence[str]) -> Receipt:
        fields = {"type": type_, "text": f"<{item}>", "idempotency_key": item}
        receipt, tries = self.call(lambda app: app.broadcast(**fields))
        for to in people:
            given = (receipt.decision, receipt.notification_id, None, tries, receipt.replayed)
            self.asked.append(Asked(item, to, *given))
        return receipt

    def cancel(self, item: str) -> None:
        place = next(n for n, asked in enumerate(self.asked) if asked.item == item)
        delivery = self.asked[place].delivery or ""
        self.call(lambda app: app.cancel(delivery))
        with self.reading() as reader:
            row = reader.delivery(delivery)
        assert row is not None
        cancelled = row.state is State.CANCELLED
        self.asked[place] = replace(self.asked[place], cancelled=cancelled)

    def put_rules(self, *rules: Rule) -> None:
        self.call(lambda app: app.rules.apply(rules))
        reign = Reign(len(self.post.wire), tuple(rule.to_dict() for rule in rules))
        self.reigns.append(reign)

    def register(self, people: Sequence[Recipient]) -> None:
        self.zones |= {person.id: person.timezone for person in people}
        self.call(lambda app: app.recipients.put_many(people))

    def prune(self, keep_ms: int) -> None:
        self._pruned |= {row.id: row for row in self.ended()}
        self.call(lambda app: app.prune(keep_ms))

    def tick(self) -> None:
        self.call(lambda app: app.tick())

    def settle(self, patience: int = PATIENCE) -> None:
        """Move from one due instant to the next; what waits for longer than that is stuck."""
        for _ in range(ROUNDS_MAX):
            self.tick()
            with self.reading() as reader:
                due = reader.next_due()
            if due is None or due > START + patience:
                return
            self.clock.set(max(due, self.clock.now()))
        raise AssertionError("this does not come to an end")

    def reading(self) -> AbstractContextManager[Reader]:
        """What the store holds, as soon as it answers: it may just have been started again."""
        while True:
            try:
                self.raw.time()
            except Unavailable:
                continue
            return self.raw.reading()

    # What is left -----------------------------------------------------------------------------

    def ended(self) -> list[Ended]:
        with self.reading() as reader:
            rows = reader.deliveries(limit=100_000)
        found = [
            Ended(
                row.id,
                row.notification_id,
                row.recipient,
                row.state,
                row.digest_id,
                row.updated_at,
                row.expires_at,
            )
            for row in rows
        ]
        return list({**self._pruned, **{row.id: row for row in found}}.values())

    def history(self) -> History:
        return History(
            self.asked,
            self.post.wire,
            self.ended(),
            self.reigns,
            self._refused(),
            self.zones,
            self.held,
        )

    def _refused(self) -> set[str]:
        """The deliveries of what the post office did not want, be it in a digest or alone."""
        told = {(row.notification, row.recipient): row.id for row in self.ended()}
        return {
            asked.delivery or told.get((asked.notification or "", asked.recipient), "")
            for asked in self.asked
            if (asked.recipient, asked.item) in self.post.refused
        }

    def check_conservation(self) -> None:
        """Every delivery is in exactly one state."""
        with self.reading() as reader:
            assert sum(reader.counts().values()) == len(reader.deliveries(limit=100_000))

    def findings(self) -> list[str]:
        """All that is wrong, in words."""
        self.check_conservation()
        found = list(check(self.history()).findings)
        with self.reading() as reader:
            unheard = {event.seq for event in reader.events(limit=100_000)} - set(self.heard)
        if unheard:
            found.append(f"the listener did not hear {sorted(unheard)}")
        return found


def memory() -> Store:
    return MemoryStore()


def sqlite(path: Path) -> Callable[[], Store]:
    return lambda: SqliteStore(f"sqlite:///{path}")


def postgres(url: str) -> Callable[[], Store]:
    return lambda: PostgresStore(url)
