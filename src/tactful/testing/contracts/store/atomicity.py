"""All of a transaction happens or nothing does, and nobody sees half of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tactful.core.errors import Unavailable
from tactful.core.model import HOUR, MINUTE, NEVER, Event, Priority, Recipient, State
from tactful.ports import Lease, Remembered, Store, Suppression, Tx
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    attempt,
    delivery,
    finished,
    ids,
    notification,
    result,
    row_id,
    sending,
    verdict,
)
from tactful.testing.contracts.store.snapshot import snapshot
from tactful.testing.contracts.store.suite import StoreSuite

VERBS: Final[dict[str, Callable[[Tx], object]]] = {
    "add_notifications": lambda tx: tx.add_notifications([notification(50)]),
    "advance_broadcast": lambda tx: tx.advance_broadcast(row_id(40), 7),
    "finish_broadcast": lambda tx: tx.advance_broadcast(row_id(40), None),
    "cancel_broadcast": lambda tx: tx.cancel_broadcast(row_id(40)),
    "pause_notification": lambda tx: tx.pause_notification(row_id(40), T0, "ada"),
    "resume_notification": lambda tx: tx.resume_notification(row_id(41), None),
    "resume_some": lambda tx: tx.resume_notification(row_id(41), row_id(7)),
    "pause_deliveries": lambda tx: tx.pause_deliveries(ids(1, 4)),
    "resume_deliveries": lambda tx: tx.resume_deliveries(ids(8), T0),
    "add_deliveries": lambda tx: tx.add_deliveries(
        [delivery(20), delivery(21, state=State.REJECTED), delivery(22, recipient="new")]
    ),
    "lease": lambda tx: tx.lease([Lease(attempt(1, at=T0 + 5), T0 + HOUR, 1)]),
    "rescue": lambda tx: tx.lease([Lease(attempt(2, number=2), T0 + HOUR, 1)]),
    "extend": lambda tx: tx.extend(ids(1, 4), T0 + HOUR),
    "renew": lambda tx: tx.renew([(row_id(2), 1)], T0 + HOUR),
    "begin": lambda tx: tx.begin([(row_id(2), 1)]),
    "release": lambda tx: tx.release(T0),
    "finish": lambda tx: tx.settle([result(2, State.SENT, ref="m")], [verdict(2)]),
    "retry": lambda tx: tx.settle(
        [result(2, State.DEFERRED, due_at=NEVER, held=True, group="g", reason="busy")], []
    ),
    "cancel": lambda tx: tx.settle([result(1, State.CANCELLED, attempt=None)], []),
    "plan anew": lambda tx: tx.settle([result(4, State.QUEUED, attempt=None, due_at=T0)], []),
    "feedback": lambda tx: tx.settle([result(5, State.LOST, attempt=None)], []),
    "queue again": lambda tx: tx.settle([result(6, State.QUEUED, attempt=None, due_at=T0)], []),
    "free": lambda tx: tx.settle([], [verdict(2, outcome="rejected", counts=False)]),
    "wake": lambda tx: tx.wake(T0, ["ada", "bob"]),
    "wake anew": lambda tx: tx.wake(T0, ["ada", "bob"], anew=Priority.NORMAL),
    "open": lambda tx: tx.engage(row_id(3), T0 + 9, T0 + 9),
    "click": lambda tx: tx.engage(row_id(7), T0 + 9, T0 + 9),
    "turn_back": lambda tx: tx.turn_back(T0 - HOUR),
    "set_cells": lambda tx: tx.set_cells({"key": 5, "new": 6}),
    "add_events": lambda tx: tx.add_events([Event("sent", row_id(1), T0)]),
    "put_recipients": lambda tx: tx.put_recipients(
        [Recipient("bob", email="ada@example.com"), Recipient("new", "New")]
    ),
    "change recipient": lambda tx: tx.put_recipients([Recipient("ada", "Changed")]),
    "remove_recipient": lambda tx: tx.remove_recipient("ada"),
    "suppress": lambda tx: tx.suppress(Suppression("email", "bob@example.com", "all", "x", T0)),
    "suppress again": lambda tx: tx.suppress(
        Suppression("email", "ada@example.com", "all", "x", T0)
    ),
    "unsuppress": lambda tx: tx.unsuppress("email", "ada@example.com"),
    "put_policy": lambda tx: tx.put_policy("rule", "cap", {"count": 9}, T0, "eve"),
    "remove policy": lambda tx: tx.put_policy("rule", "cap", None, T0, "eve"),
    "remember": lambda tx: tx.remember({"key": Remembered("other", "answer", T0)}),
    "set_note": lambda tx: tx.set_note("key", "changed"),
    "prune": lambda tx: tx.prune(T0 + HOUR, T0 + HOUR, 1000),
}
"""Every change that can be made, each doing something to the store of `furnish`."""


class Broken(Exception):
    """What a transaction of these tests fails with."""


class Interrupted(BaseException):
    """What no `except Exception` catches."""


def furnish(store: Store) -> None:
    """Put something of everything into a store."""
    add(store, delivery(1))
    sending(store, 2)
    finished(store, 3, State.SENT, State.DELIVERED)
    add(store, delivery(4, state=State.DEFERRED, held=True, due_at=NEVER, not_before=0))
    finished(store, 5, State.SENT)
    finished(store, 6, State.FAILED)
    finished(store, 7, State.DELIVERED)
    add(store, delivery(8))
    with store.transaction() as tx:
        tx.engage(row_id(7), T0 + 1, None)
        tx.add_notifications([notification(0), notification(40, cursor=0, audience_end=9)])
        tx.add_notifications([notification(41, cursor=1, audience_end=9)])
        tx.pause_notification(row_id(41), T0, "ada")
        tx.pause_deliveries(ids(8))
        tx.add_events([Event("sent", row_id(3), T0, data={"n": [1]})])
        tx.put_recipients([Recipient("ada", email="ada@example.com"), Recipient("bob")])
        tx.suppress(Suppression("email", "ada@example.com", "all", "bounced", T0))
        tx.put_policy("rule", "cap", {"count": 3}, T0, "ada")
        tx.remember({"key": Remembered("f", "answer", T0)})
        tx.set_note("key", "value")
        tx.set_cells({"key": 1})


def seen(store: Store) -> dict[str, Any]:
    """Everything that the verbs can change."""
    return snapshot(
        store,
        notifications=ids(0, 40, 41, 50),
        kinds=["rule"],
        keys=["key", "new"],
        addresses=["ada@example.com", "bob@example.com"],
    )


def fail(store: Store, change: Callable[[Tx], object], error: BaseException) -> None:
    """Make a change in a transaction that then fails."""
    with store.transaction() as tx:
        change(tx)
        raise error


def _many_changes(tx: Tx) -> None:
    tx.add_deliveries([delivery(20), delivery(21)])
    tx.due(NEVER, 1000)
    tx.lease([Lease(attempt(20), T0 + MINUTE, 0), Lease(attempt(1), T0 + MINUTE, 0)])
    tx.due(NEVER, 1000)
    tx.settle(
        [result(20, State.DEFERRED, due_at=T0 + 9, held=True), result(1, State.SENT)],
        [verdict(20, counts=False), verdict(1)],
    )
    tx.wake(T0, ["ada"])
    tx.settle([result(1, State.DELIVERED, attempt=None)], [])
    tx.engage(row_id(1), T0, T0)
    tx.turn_back(T0 - HOUR)
    tx.add_events([Event("sent", row_id(20), T0)])
    tx.put_recipients([Recipient("new", email="ada@example.com"), Recipient("ada")])
    tx.remove_recipient("new")
    tx.prune(NEVER, NEVER, 1000)
    tx.put_recipients([Recipient("newer")])


def _two_numbers(tx: Tx) -> None:
    tx.put_policy("rule", "a", {}, T0, "")
    tx.put_recipients([Recipient("ada")])


class Atomicity(StoreSuite):
    """`transaction` and `reading`."""

    @pytest.mark.parametrize("name", VERBS)
    def test_a_change_is_there_when_its_transaction_ends(self, store: Store, name: str) -> None:
        """Each of the changes below really changes something."""
        furnish(store)
        before = seen(store)
        with store.transaction() as tx:
            VERBS[name](tx)
        assert seen(store) != before

    @pytest.mark.parametrize("name", VERBS)
    def test_a_change_is_taken_back_when_its_transaction_fails(
        self, store: Store, name: str
    ) -> None:
        """Exactly: no answer differs afterwards, and the change can be made anew."""
        furnish(store)
        before = seen(store)
        with pytest.raises(Broken):
            fail(store, VERBS[name], Broken())
        assert seen(store) == before
        with store.transaction() as tx:
            VERBS[name](tx)
        assert seen(store) != before

    def test_many_changes_are_taken_back_together(self, store: Store) -> None:
        """Also where they build on each other, and whatever kind of exception it was."""
        furnish(store)
        before = seen(store)
        with pytest.raises(Interrupted):
            fail(store, _many_changes, Interrupted())
        assert seen(store) == before

    def test_numbers_go_on_after_a_transaction_failed(self, store: Store) -> None:
        """Nobody has seen those that were taken back."""
        with pytest.raises(Broken):
            fail(store, _two_numbers, Broken())
        with store.transaction() as tx:
            assert tx.put_policy("rule", "b", {}, T0, "") == tx.epoch() == 1
            tx.put_recipients([Recipient("bob")])
            assert [person.id for _, person in tx.recipients()] == ["bob"]

    def test_a_row_that_was_taken_back_can_be_added_again(self, store: Store) -> None:
        """Under the same id, and it is due once."""
        for _ in range(2):
            with pytest.raises(Broken):
                fail(store, lambda tx: tx.add_deliveries([delivery(1)]), Broken())
        add(store, delivery(1))
        with store.transaction() as tx:
            assert [row.id for row in tx.due(T0, 10)] == ids(1)

    def test_a_failed_transaction_does_not_harm_the_next(self, store: Store) -> None:
        """The store can be used as if nothing had been tried."""
        with pytest.raises(Broken), store.transaction():
            raise Broken
        with store.transaction(durable=False) as tx:
            tx.set_note("a", "1")
        with store.reading() as reader:
            assert reader.note("a") == "1"

    def test_a_question_may_fail_without_harm(self, store: Store) -> None:
        """An exception of the reader's own code ends the reading."""
        with pytest.raises(Broken), store.reading():
            raise Broken
        with store.reading() as reader:
            assert reader.note("a") is None

    def test_a_transaction_sees_its_own_changes(self, store: Store) -> None:
        """Questions inside it are answered with them."""
        with store.transaction() as tx:
            tx.add_deliveries([delivery(1)])
            assert tx.delivery(row_id(1)) == delivery(1)
            assert tx.next_due() == T0

    def test_no_update_is_lost_between_threads(self, store: Store) -> None:
        """What a transaction has read is still true when it writes."""
        rounds = 50
        failures: list[BaseException] = []

        def count() -> None:
            try:
                for _ in range(rounds):
                    with store.transaction(durable=False) as tx:
                        tx.set_note("n", str(int(tx.note("n") or "0") + 1))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with store.reading() as reader:
            assert reader.note("n") == str(2 * rounds)

    def test_readers_never_see_half_a_transaction(self, store: Store) -> None:
        """Two values that change together are equal whenever they are looked at."""
        ended = threading.Event()
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for number in range(1, 101):
                    with store.transaction(durable=False) as tx:
                        tx.set_note("a", str(number))
                        tx.set_cells({"b": number})
            except BaseException as error:
                failures.append(error)
            finally:
                ended.set()

        with store.transaction() as tx:
            tx.set_note("a", "0")
            tx.set_cells({"b": 0})
        writer = threading.Thread(target=write)
        writer.start()
        pairs = set()
        last = False
        while not last:
            last = ended.is_set()
            with store.reading() as reader:
                pairs.add((int(reader.note("a") or "-1"), reader.cells(["b"])["b"]))
        writer.join()
        assert failures == []
        assert all(a == b for a, b in pairs)
        assert (100, 100) in pairs

    def test_what_is_not_committed_is_not_seen(self, store: Store) -> None:
        """A reader gets the state before or the state after."""
        written, answers = threading.Event(), list[str | None]()

        def ask() -> None:
            written.wait(30)
            with store.reading() as reader:
                answers.append(reader.note("a"))

        asker = threading.Thread(target=ask)
        asker.start()

        def write(tx: Tx) -> None:
            tx.set_note("a", "never committed")
            written.set()
            # A store may make the reader wait for the end; half a second is enough to ask.
            asker.join(0.5)

        with pytest.raises(Broken):
            fail(store, write, Broken())
        asker.join()
        assert answers == [None]

    def test_two_stores_do_not_see_each_other(self, store: Store, tmp_path: Path) -> None:
        """Nothing is kept in the process beside them."""
        (tmp_path / "other").mkdir()
        other = self.make_store(tmp_path / "other")
        furnish(store)
        with other.reading() as reader:
            assert reader.deliveries() == []
            assert (reader.last_event(), reader.epoch(), reader.last_recipient()) == (0, 0, 0)
        furnish(other)
        assert seen(other) == seen(store)
        other.close()
        assert seen(store)["deliveries"]

    def test_reopening_keeps_everything(self, store: Store) -> None:
        """Whatever a store is asked, it answers as before."""
        furnish(store)
        before = seen(store)
        again = self.reopen(store) or store
        assert seen(again) == before
        with again.transaction() as tx:
            tx.add_events([Event("sent", row_id(1), T0)])
            assert tx.last_event() == 2
        again.close()

    def test_closing_twice_is_harmless(self, store: Store) -> None:
        """A closed store is out of reach, and says so."""
        store.close()
        store.close()
        with pytest.raises(Unavailable), store.transaction():
            pass
        with pytest.raises(Unavailable), store.reading():
            pass
