"""Attempts, the history that limits are counted on, and a clock that was wrong."""

from __future__ import annotations

from tactful.core.model import HOUR, MINUTE, NEVER, Entry, Recipient, State
from tactful.ports import Lease, Store
from tactful.testing.contracts.store.rows import (
    KIND,
    T0,
    add,
    attempt,
    delivery,
    due_ids,
    finished,
    ids,
    known,
    result,
    row_id,
    send,
    sending,
    verdict,
)
from tactful.testing.contracts.store.suite import StoreSuite


class LedgerPromises(StoreSuite):
    """`attempts`, `history`, `latest_attempt`, `turn_back` and the cells."""

    def test_attempts_come_in_the_order_of_their_numbers(self, store: Store) -> None:
        """Also when the clock went back between them."""
        add(store, delivery(1))
        with store.transaction() as tx:
            for number in (1, 2, 3):
                send(tx, 1, number=number, at=T0 - number)
        with store.reading() as reader:
            rows = reader.attempts(row_id(1))
            assert rows == [attempt(1, number=n, at=T0 - n) for n in (1, 2, 3)]
            assert reader.attempts(row_id(2)) == []

    def test_history_is_ascending_whatever_the_order_of_writing(self, store: Store) -> None:
        """The core searches in it."""
        for number, at in enumerate((5, 1, 9, 3)):
            add(store, delivery(number))
            with store.transaction() as tx:
                send(tx, number, at=T0 + at)
        with store.reading() as reader:
            assert reader.history(["ada"], 0)["ada"] == [
                Entry(T0 + at, KIND) for at in (1, 3, 5, 9)
            ]

    def test_history_begins_after_the_instant_that_is_named(self, store: Store) -> None:
        """An attempt at exactly `since` has left a window that ended there."""
        sending(store, 1)
        with store.reading() as reader:
            assert reader.history(["ada"], T0) == {}
            assert [entry.at for entry in reader.history(["ada"], T0 - 1)["ada"]] == [T0]

    def test_history_knows_the_kind_of_each_attempt(self, store: Store) -> None:
        """Rules tell attempts apart by it."""
        kind = KIND._replace(type="offer", category="marketing", channel="sms", priority=3)
        add(store, delivery(1))
        with store.transaction() as tx:
            send(tx, 1, kind=kind)
        with store.reading() as reader:
            assert reader.history(["ada"], 0)["ada"] == [Entry(T0, kind)]

    def test_history_is_each_recipients_own(self, store: Store) -> None:
        """Who has none is not in the answer."""
        add(store, delivery(1), delivery(2, recipient="bob"), delivery(3, recipient="cy"))
        with store.transaction() as tx:
            send(tx, 1)
            send(tx, 2, recipient="bob", at=T0 + 1)
            send(tx, 3, recipient="cy", at=T0 + 2)
        with store.reading() as reader:
            got = reader.history(["bob", "ada", "nobody"], 0)
            assert {name: [entry.at for entry in rows] for name, rows in got.items()} == {
                "ada": [T0],
                "bob": [T0 + 1],
            }
            assert reader.history([], 0) == {}

    def test_attempts_of_one_instant_all_count(self, store: Store) -> None:
        """A millisecond is long; freeing one of them leaves the others."""
        sending(store, 1, 2, 3)
        with store.transaction() as tx:
            assert len(tx.history(["ada"], 0)["ada"]) == 3
            tx.settle([], [verdict(2, counts=False)])
            assert len(tx.history(["ada"], 0)["ada"]) == 2

    def test_the_latest_attempt_is_known(self, store: Store) -> None:
        """By its instant; counted or not."""
        with store.reading() as reader:
            assert reader.latest_attempt() is None
        add(store, delivery(1), delivery(2))
        with store.transaction() as tx:
            send(tx, 1, at=T0 + 9)
            send(tx, 2, at=T0 + 5)
            tx.settle([], [verdict(1, at=T0 + 9, counts=False)])
        with store.reading() as reader:
            assert reader.latest_attempt() == T0 + 9

    def test_turning_back_restamps_what_lies_in_the_future(self, store: Store) -> None:
        """The attempts stay and still count; only their instant was wrong."""
        add(store, delivery(1), delivery(2), delivery(3))
        with store.transaction() as tx:
            send(tx, 1, at=T0 - 5)
            send(tx, 2, at=T0 + HOUR)
            send(tx, 3, at=T0 + 2 * HOUR)
            tx.settle([], [verdict(3, at=T0 + 2 * HOUR, counts=False)])
        with store.transaction() as tx:
            assert tx.turn_back(T0) == 2
        with store.reading() as reader:
            assert [entry.at for entry in reader.history(["ada"], 0)["ada"]] == [T0 - 5, T0]
            assert [reader.attempts(row_id(n))[0].at for n in (1, 2, 3)] == [T0 - 5, T0, T0]
            assert reader.latest_attempt() == T0

    def test_turning_back_keeps_the_history_in_order(self, store: Store) -> None:
        """Several attempts of one delivery may end up at the same instant."""
        add(store, delivery(1))
        with store.transaction() as tx:
            for number, at in enumerate((T0, T0 + 1, T0 + 2, T0 + 3), 1):
                send(tx, 1, number=number, at=at)
            assert tx.turn_back(T0 + 1) == 2
            assert [entry.at for entry in tx.history(["ada"], 0)["ada"]] == [
                T0,
                T0 + 1,
                T0 + 1,
                T0 + 1,
            ]
            assert [row.number for row in tx.attempts(row_id(1))] == [1, 2, 3, 4]

    def test_turning_back_brings_leases_and_retries_along(self, store: Store) -> None:
        """Their instants were counted from a wrong now; a first wait was not."""
        planned = delivery(3, due_at=T0 + HOUR, not_before=T0 + HOUR)
        add(store, delivery(1), delivery(2), planned)
        with store.transaction() as tx:
            send(tx, 1, 2, until=T0 + HOUR)
            later = result(2, State.DEFERRED, due_at=T0 + 2 * HOUR, not_before=T0 + 2 * HOUR)
            tx.settle([later], [])
            tx.turn_back(T0 + MINUTE)
        assert due_ids(store, T0 + MINUTE) == ids(1, 2)
        assert known(store, 2).not_before == T0 + MINUTE
        assert known(store, 3).due_at == T0 + HOUR

    def test_turning_back_makes_due_what_was_to_go_at_once(self, store: Store) -> None:
        """A promised slot and an undecided delivery; not one that a rule has planned."""
        rows = [
            delivery(1, due_at=T0 + HOUR, promised=True, decided=True),
            delivery(2, due_at=T0 + HOUR, decided=False),
            delivery(3, due_at=T0 + HOUR, decided=True, held=True),
        ]
        add(store, *rows)
        with store.transaction() as tx:
            tx.turn_back(T0)
        assert due_ids(store, T0) == ids(1, 2)

    def test_turning_back_brings_throughput_along(self, store: Store) -> None:
        """Or one wrong hand-over would shut a channel until the wrong instant comes."""
        with store.transaction() as tx:
            tx.set_cells({"a": (T0 + HOUR) * 1000, "b": T0})
            tx.turn_back(T0, ahead_ms=HOUR - 5)
            assert tx.cells(["a", "b"]) == {"a": (T0 + 5) * 1000, "b": T0}

    def test_turning_back_to_where_nothing_is_later_changes_nothing(self, store: Store) -> None:
        """Neither in an empty store nor in a full one."""
        with store.transaction() as tx:
            assert tx.turn_back(T0) == 0
            assert tx.latest_attempt() is None
        finished(store, 1, State.SENT)
        with store.transaction() as tx:
            assert tx.turn_back(T0) == 0
            assert tx.latest_attempt() == T0

    def test_a_verdict_finds_an_attempt_that_was_restamped(self, store: Store) -> None:
        """The clock may be set right between a hand-over and its answer."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.turn_back(T0 - MINUTE)
            tx.settle([], [verdict(1, outcome="rejected", counts=False)])
            assert [row.outcome for row in tx.attempts(row_id(1))] == ["rejected"]
            assert tx.history(["ada"], 0) == {}

    def test_editions_change_with_what_is_settled(self, store: Store) -> None:
        """Where a store has them at all: what is kept of a history elsewhere depends on it."""

        def editions() -> dict[str, int]:
            with store.transaction() as tx:
                tx.guard(["ada", "bob"])
                return tx.editions(["ada", "bob"])

        sending(store, 1, 2)
        found = [editions(), editions()]
        assert found[0] == found[1]
        assert set(found[0]) in (set(), {"ada", "bob"})
        refused = verdict(1, counts=False)
        for at, said in (
            (T0 + HOUR, refused),  # of an hour ago
            (T0 + 1, verdict(2, at=0, counts=False)),  # nobody knows of when
        ):
            with store.transaction() as tx:
                tx.set_clock(at)
                tx.settle([], [said])
            found.append(editions())
        with store.transaction() as tx:
            tx.turn_back(T0 - HOUR, ahead_ms=HOUR)
        found.append(editions())
        sending(store, 3)
        with store.transaction() as tx:
            tx.put_recipients([Recipient("bob", addresses={"post": "ada"})])
        found.append(editions())
        seen = [one.get("ada") for one in found[1:]]
        assert len(set(seen)) == (len(seen) if found[0] else 1)

    def test_editions_stay_as_long_as_only_the_young_change(self, store: Store) -> None:
        """That is nearly always: what is refused is mostly refused at once."""
        sending(store, 1, 2)
        with store.transaction() as tx:
            tx.guard(["ada"])
            before = tx.editions(["ada"])
            tx.set_clock(T0 + 1)
            tx.settle([result(1, State.FAILED)], [verdict(1, counts=False)])
            tx.settle([result(2, State.DELIVERED)], [verdict(2)])
            tx.put_recipients([Recipient("bob", addresses={"post": "bob@example.com"})])
            assert tx.editions(["ada"]) == before

    def test_an_attempt_without_a_count_is_no_history(self, store: Store) -> None:
        """It may be written like that from the start."""
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, counts=False), T0 + MINUTE, 0)])
        with store.reading() as reader:
            assert reader.history(["ada"], 0) == {}
            assert len(reader.attempts(row_id(1))) == 1

    def test_cells_keep_microseconds(self, store: Store) -> None:
        """The values of throughput limits are exact, and the last one stays."""
        tat = T0 * 1000 + 123
        with store.transaction() as tx:
            tx.set_cells({"a": 1, "b": tat})
            tx.set_cells({"a": 2, "c": NEVER})
            tx.set_cells({})
        with store.reading() as reader:
            assert reader.cells(["a", "b", "c", "d"]) == {"a": 2, "b": tat, "c": NEVER}
            assert reader.cells([]) == {}
