"""Whatever is done to two stores, they answer alike.

The memory store is the model: dictionaries and lists. Hypothesis makes up a history of verbs, it
and another store live through it, and after every step everything that can be asked is compared.
What the port leaves open is not made to happen, or not looked at: which rows go first when
`prune` is cut short, whether the latest attempt is known when it has been pruned, and which
numbers of registration are left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tactful.core.lifecycle import FINISHED, INITIAL, MOVES, WAITING
from tactful.core.model import NEVER, Event, Kind, Recipient, State
from tactful.ports import (
    EVERYTHING,
    Ages,
    Attempt,
    Delivery,
    Lease,
    Remembered,
    Result,
    Store,
    Suppression,
    Tx,
    Verdict,
)
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.contracts.store.rows import T0, notification, row_id
from tactful.testing.contracts.store.snapshot import snapshot

T = TypeVar("T")

PEOPLE = ["ada", "bob", "cy"]
ADDRESSES = ["a@x", "b@x", "c@x"]
KEYS = ["k", "l"]
KINDS = ["rule", "type"]
OWNERS = ["", "w1", "w2"]
NOTIFICATIONS = [row_id(n) for n in range(900, 904)]

people = st.sampled_from(PEOPLE)
addresses = st.sampled_from(ADDRESSES)
spans = st.integers(0, 20)
numbers = st.integers(0, 1 << 16)
maybe_text = st.sampled_from([None, "x", "y"])


class _GivenUp(Exception):
    pass


class TwoStores(RuleBasedStateMachine):
    """Rules are the verbs; `self.now` is the time of both stores."""

    other: ClassVar[Callable[[], AbstractContextManager[Store]]]

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryStore()
        self.life = ExitStack()
        self.another = self.life.enter_context(type(self).other())
        self.now = T0
        self.known: list[str] = []
        self.pruned = False

    def teardown(self) -> None:
        self.life.close()

    def both(self, change: Callable[[Tx], T]) -> T:
        with self.memory.transaction() as tx:
            expected = change(tx)
        with self.another.transaction(durable=False) as tx:
            assert change(tx) == expected
        return expected

    def pick(self, number: int) -> Delivery:
        with self.memory.reading() as reader:
            rows = reader.deliveries(limit=1_000_000)
        return rows[number % len(rows)]

    def some_waiting(self, most: int) -> list[Delivery]:
        with self.memory.reading() as reader:
            lines = reader.lines(PEOPLE, 1_000_000)
        return [row for name in sorted(lines) for row in lines[name].waiting][:most]

    def exists(self) -> bool:
        with self.memory.reading() as reader:
            return bool(reader.deliveries(limit=1))

    @initialize()
    def begin(self) -> None:
        rows = [notification(900, cursor=0, audience_end=5), notification(901)]
        self.both(lambda tx: tx.add_notifications(rows))

    @invariant()
    def they_answer_alike(self) -> None:
        seen = []
        for store in (self.memory, self.another):
            answers = snapshot(
                store,
                notifications=NOTIFICATIONS,
                kinds=KINDS,
                keys=KEYS,
                addresses=ADDRESSES,
            )
            # Numbers of registration ascend, but a store may leave some out.
            registered = answers["recipients"]
            last = registered[-1][0] if registered else 0
            assert answers.pop("last recipient") == last
            answers["recipients"] = [person for _, person in registered]
            if self.pruned:
                del answers["latest attempt"]
            seen.append(answers)
        assert seen[0] == seen[1]

    # Deliveries -------------------------------------------------------------------------------

    @rule(
        states=st.lists(st.sampled_from(sorted(INITIAL)), min_size=1, max_size=4),
        recipient=people,
        about=st.sampled_from(NOTIFICATIONS),
        priority=st.integers(0, 3),
        wait=st.one_of(spans, st.just(NEVER)),
        held=st.booleans(),
        why=maybe_text,
    )
    def add(
        self,
        states: list[State],
        recipient: str,
        about: str,
        priority: int,
        wait: int,
        held: bool,
        why: str | None,
    ) -> None:
        rows = []
        for state in states:
            key = row_id(len(self.known) + 1)
            self.known.append(key)
            rows.append(
                Delivery(
                    key,
                    about,
                    recipient,
                    "email",
                    "a@x",
                    "news",
                    "default",
                    priority,
                    self.now,
                    state,
                    due_at=min(NEVER, self.now + wait),
                    not_before=self.now,
                    held=held,
                    rule=why,
                    reason=why,
                    updated_at=self.now,
                )
            )
        self.both(lambda tx: tx.add_deliveries(rows))

    @rule(passed=spans)
    def time_passes(self, passed: int) -> None:
        self.now += passed

    @rule(
        limit=st.integers(4, 30),
        until=spans,
        counts=st.booleans(),
        owner=st.sampled_from(OWNERS),
        ages=st.just(EVERYTHING) | st.dictionaries(st.integers(0, 3), spans),
    )
    def lease_what_is_due(
        self, limit: int, until: int, counts: bool, owner: str, ages: Ages
    ) -> None:
        def take(tx: Tx) -> list[Delivery]:
            rows = tx.due(self.now, limit, ages=ages)
            tx.lease(
                [
                    Lease(
                        Attempt(
                            row.id, row.attempts + 1, row.recipient, self.now, row.kind, counts
                        ),
                        self.now + until,
                        row.crashes + (row.state is State.SENDING),
                        owner,
                    )
                    for row in rows
                ]
            )
            return rows

        self.both(take)

    @rule(most=st.integers(0, 3), until=spans, owner=st.sampled_from(OWNERS))
    def extend(self, most: int, until: int, owner: str) -> None:
        members = [row.id for row in self.some_waiting(most)]
        self.both(lambda tx: tx.extend(members, self.now + until, owner))

    @precondition(exists)
    @rule(number=numbers, until=spans)
    def renew(self, number: int, until: int) -> None:
        row = self.pick(number)
        self.both(lambda tx: tx.renew([(row.id, row.attempts), ("unknown", 1)], self.now + until))

    @rule(owners=st.none() | st.lists(st.sampled_from(OWNERS), max_size=2))
    def release(self, owners: list[str] | None) -> None:
        self.both(lambda tx: tx.lessees())
        self.both(lambda tx: tx.release(self.now, owners=owners))

    @precondition(exists)
    @rule(
        number=numbers,
        late=st.sampled_from([0, 0, 0, 1]),
        choice=numbers,
        wait=spans,
        held=st.booleans(),
        why=maybe_text,
        ref=maybe_text,
        counts=st.booleans(),
    )
    def answer(
        self,
        number: int,
        late: int,
        choice: int,
        wait: int,
        held: bool,
        why: str | None,
        ref: str | None,
        counts: bool,
    ) -> None:
        row = self.pick(number)
        ends = sorted(MOVES[State.SENDING] - {State.SENDING})
        state = ends[choice % len(ends)]
        waits = state in WAITING
        end = Result(
            row.id,
            row.attempts - late,
            state,
            self.now,
            self.now + wait if waits else None,
            self.now if waits else 0,
            why,
            why,
            held and waits,
            (why or "") if waits else "",
            wait,
            late,
            None if waits else ref,
            None if waits else ref,
        )
        with self.memory.reading() as reader:
            verdicts = [
                Verdict(row.id, old.number, old.recipient, old.at, "said", why, counts)
                for old in reader.attempts(row.id)
                if old.number >= row.attempts - late
            ]
        self.both(lambda tx: tx.settle([end], verdicts))

    @precondition(exists)
    @rule(number=numbers, state=st.sampled_from(sorted(FINISHED)), why=maybe_text)
    def fact(self, number: int, state: State, why: str | None) -> None:
        row = self.pick(number)
        told = Result(row.id, None, state, self.now, rule=why, reason=why)
        self.both(lambda tx: tx.settle([told], []))

    @precondition(exists)
    @rule(
        number=numbers,
        state=st.sampled_from(sorted(WAITING)),
        wait=spans,
        held=st.booleans(),
        why=maybe_text,
    )
    def plan_anew(self, number: int, state: State, wait: int, held: bool, why: str | None) -> None:
        row = self.pick(number)
        told = Result(
            row.id,
            None,
            state,
            self.now,
            self.now + wait,
            self.now - wait,
            why,
            why,
            held,
            why or "",
        )
        self.both(lambda tx: tx.settle([told], []))

    @rule(whom=st.lists(people, max_size=3), anew=st.one_of(st.none(), st.integers(0, 3)))
    def wake(self, whom: list[str], anew: int | None) -> None:
        self.both(lambda tx: tx.wake(self.now, whom, anew=anew))

    @rule(priority=st.integers(0, 3), after=st.one_of(st.just(""), people), limit=st.integers(1, 3))
    def list_held(self, priority: int, after: str, limit: int) -> None:
        self.both(lambda tx: tx.held(priority, after, limit))

    @precondition(exists)
    @rule(number=numbers, clicks=st.booleans())
    def engage(self, number: int, clicks: bool) -> None:
        row = self.pick(number)
        clicked_at = self.now + 1 if clicks else None
        self.both(lambda tx: tx.engage(row.id, self.now, clicked_at))

    @rule(back=spans)
    def turn_back(self, back: int) -> None:
        self.both(lambda tx: tx.turn_back(self.now - back))

    # Everything else --------------------------------------------------------------------------

    @rule(number=st.integers(902, 903), cursor=st.one_of(st.none(), st.integers(0, 5)))
    def accept(self, number: int, cursor: int | None) -> None:
        def add_once(tx: Tx) -> None:
            if row_id(number) not in tx.notifications([row_id(number)]):
                tx.add_notifications([notification(number, cursor=cursor, created_at=self.now)])

        self.both(add_once)

    @rule(about=st.sampled_from(NOTIFICATIONS), cursor=st.one_of(st.none(), st.integers(0, 5)))
    def advance(self, about: str, cursor: int | None) -> None:
        self.both(lambda tx: tx.advance_broadcast(about, cursor))

    @rule(about=st.sampled_from(NOTIFICATIONS))
    def cancel(self, about: str) -> None:
        self.both(lambda tx: tx.cancel_broadcast(about))

    @rule(about=st.sampled_from(NOTIFICATIONS), by=st.sampled_from(["", "ada"]))
    def pause_all(self, about: str, by: str) -> None:
        self.both(lambda tx: tx.pause_notification(about, self.now, by))

    @rule(about=st.sampled_from(NOTIFICATIONS), number=st.one_of(st.none(), numbers))
    def resume_all(self, about: str, number: int | None) -> None:
        to = None if number is None else row_id(number)
        self.both(lambda tx: tx.resume_notification(about, to))

    @precondition(exists)
    @rule(some=st.lists(numbers, min_size=1, max_size=4))
    def pause(self, some: list[int]) -> None:
        chosen = [self.pick(number).id for number in some]
        self.both(lambda tx: tx.pause_deliveries(chosen))

    @precondition(exists)
    @rule(some=st.lists(numbers, min_size=1, max_size=4))
    def resume(self, some: list[int]) -> None:
        chosen = [self.pick(number).id for number in some]
        self.both(lambda tx: tx.resume_deliveries(chosen, self.now))

    @precondition(exists)
    @rule(number=numbers, names=st.lists(st.sampled_from(["sent", "lost"]), max_size=3))
    def tell(self, number: int, names: list[str]) -> None:
        row = self.pick(number)
        facts = [Event(name, row.id, self.now, data={"n": number}) for name in names]
        self.both(lambda tx: tx.add_events(facts))

    @rule(
        rows=st.lists(
            st.builds(
                Recipient,
                people,
                email=st.one_of(st.none(), addresses),
                addresses=st.dictionaries(st.sampled_from(["sms", "post"]), addresses),
            ),
            max_size=3,
            unique_by=lambda row: row.id,
        )
    )
    def register(self, rows: list[Recipient]) -> None:
        self.both(lambda tx: tx.put_recipients(rows))

    @rule(recipient=people)
    def forget(self, recipient: str) -> None:
        self.both(lambda tx: tx.remove_recipient(recipient))

    @rule(
        channel=st.sampled_from(["email", "sms"]),
        address=addresses,
        scope=st.sampled_from(["all", "offers"]),
        reason=maybe_text,
    )
    def suppress(self, channel: str, address: str, scope: str, reason: str | None) -> None:
        if reason is None:
            self.both(lambda tx: tx.unsuppress(channel, address))
        else:
            row = Suppression(channel, address, scope, reason, self.now)
            self.both(lambda tx: tx.suppress(row))

    @rule(kind=st.sampled_from(KINDS), name=st.sampled_from("ab"), count=st.integers(0, 3))
    def rule_changes(self, kind: str, name: str, count: int) -> None:
        body = {"count": count} if count else None
        self.both(lambda tx: tx.put_policy(kind, name, body, self.now, "somebody"))

    @rule(key=st.sampled_from(KEYS), number=numbers, kept=spans)
    def keep(self, key: str, number: int, kept: int) -> None:
        def write(tx: Tx) -> None:
            tx.set_note(key, str(number))
            tx.set_cells({key: number})
            tx.remember({key: Remembered("f", str(number), self.now + kept)})

        self.both(write)

    @rule(age=spans, history_age=spans)
    def prune(self, age: int, history_age: int) -> None:
        def all_of_it(tx: Tx) -> bool:
            found = False
            while tx.prune(self.now - age, self.now - history_age, 1_000):
                found = True
            return found

        self.both(all_of_it)
        self.pruned = True

    @precondition(exists)
    @rule(number=numbers)
    def give_up(self, number: int) -> None:
        row = self.pick(number)
        kind = Kind("news", "default", "email", 1)

        def try_it(tx: Tx) -> None:
            if row.state in WAITING:
                attempt = Attempt(row.id, row.attempts + 1, row.recipient, self.now, kind)
                tx.lease([Lease(attempt, self.now, 0)])
                tx.due(NEVER, 10)
            tx.release(self.now - 5)
            tx.wake(self.now, [row.recipient])
            tx.turn_back(self.now - 10)
            tx.put_recipients([Recipient("ada", email="b@x"), Recipient("dee")])
            tx.add_events([Event("sent", row.id, self.now)])
            tx.prune(self.now, self.now, 1_000)
            raise _GivenUp

        for store in (self.memory, self.another):
            try:
                with store.transaction(durable=False) as tx:
                    try_it(tx)
            except _GivenUp:
                pass


@contextmanager
def on_sqlite() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(f"sqlite:///{Path(folder, 'a.db')}")
        yield store
        store.close()


def run(other: Callable[[], AbstractContextManager[Store]], examples: int) -> None:
    run_state_machine_as_test(
        type("Stores", (TwoStores,), {"other": staticmethod(other)}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=35,
            deadline=None,
            print_blob=True,
            # Explaining a failure takes longer than finding it, and the steps say enough.
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        ),
    )


def test_sqlite_answers_as_memory_does() -> None:
    run(on_sqlite, 40)


def test_postgresql_answers_as_memory_does(store_databases: Any) -> None:
    @contextmanager
    def on_postgres() -> Iterator[Store]:
        url = store_databases.take()
        store = PostgresStore(url)
        yield store
        store.close()
        store_databases.give_back(url)

    run(on_postgres, 10)
