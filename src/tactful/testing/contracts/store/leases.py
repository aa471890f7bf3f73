"""Who holds a delivery, until when, and how others get it back."""

from __future__ import annotations

import pytest

from tactful.core.model import HOUR, MINUTE, State
from tactful.ports import Lease, Store
from tactful.testing.contracts.store.rows import (
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
)
from tactful.testing.contracts.store.suite import StoreSuite


class Leases(StoreSuite):
    """`lease`, `extend`, `renew`, `release` and `join`."""

    def test_a_lease_writes_the_attempt_and_holds_the_delivery(self, store: Store) -> None:
        """Both together: a limit counts the attempt before the channel is called."""
        add(store, delivery(1, promised=True))
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=4), T0 + MINUTE, 2)])
        row = known(store, 1)
        assert (row.state, row.due_at) == (State.SENDING, T0 + MINUTE)
        assert (row.attempts, row.crashes, row.promised) == (4, 2, False)
        with store.reading() as reader:
            assert reader.attempts(row_id(1)) == [attempt(1, number=4)]
            assert [entry.at for entry in reader.history(["ada"], 0)["ada"]] == [T0]

    def test_a_leased_delivery_is_due_again_when_its_lease_ends(self, store: Store) -> None:
        """So what a crashed worker held is found by the next one."""
        sending(store, 1, until=T0 + MINUTE)
        assert due_ids(store, T0 + MINUTE - 1) == []
        with store.transaction() as tx:
            (row,) = tx.due(T0 + MINUTE, 10)
        assert (row.id, row.state, row.attempts) == (row_id(1), State.SENDING, 1)

    def test_a_lease_that_ended_can_be_taken_over(self, store: Store) -> None:
        """The attempt of whoever vanished stays counted."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2, at=T0 + HOUR), T0 + 2 * HOUR, 1)])
        assert (known(store, 1).attempts, known(store, 1).crashes) == (2, 1)
        with store.reading() as reader:
            assert [row.number for row in reader.attempts(row_id(1))] == [1, 2]
            assert len(reader.history(["ada"], 0)["ada"]) == 2

    def test_only_what_waits_or_was_being_sent_can_be_leased(self, store: Store) -> None:
        """Anything else is a bug of the caller, and nothing is written."""
        finished(store, 1, State.SENT, State.DELIVERED)
        with pytest.raises(AssertionError), store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2), T0 + HOUR, 0)])
        assert known(store, 1).state is State.DELIVERED
        with store.reading() as reader:
            assert len(reader.attempts(row_id(1))) == 1

    def test_members_of_a_digest_are_held_without_an_attempt(self, store: Store) -> None:
        """Only the message that really goes out counts against a limit."""
        add(store, delivery(1), delivery(2, promised=True))
        with store.transaction() as tx:
            tx.extend(ids(1, 2), T0 + MINUTE)
        for number in (1, 2):
            row = known(store, number)
            assert (row.state, row.due_at) == (State.SENDING, T0 + MINUTE)
            assert (row.attempts, row.promised) == (1, False)
        with store.reading() as reader:
            assert reader.attempts(row_id(1)) == []
            assert reader.history(["ada"], 0) == {}

    def test_holding_a_member_again_fences_off_the_holder_before(self, store: Store) -> None:
        """A worker that froze over a digest cannot settle its members late."""
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.extend(ids(1), T0 + 1)
            tx.extend(ids(1), T0 + MINUTE)
            assert tx.settle([result(1, State.DIGESTED)], []) == ids(1)
            assert tx.settle([result(1, State.DIGESTED, attempt=2)], []) == []

    def test_a_member_that_was_held_can_be_leased_by_itself(self, store: Store) -> None:
        """If the head of a digest fails for good, its members may still go out."""
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.extend(ids(1), T0)
            tx.lease([Lease(attempt(1, number=2), T0 + MINUTE, 0)])
        assert known(store, 1).attempts == 2

    def test_renewing_lengthens_the_lease_of_what_is_being_sent(self, store: Store) -> None:
        """And of nothing else; the attempt is still the same one."""
        sending(store, 1)
        add(store, delivery(2))
        finished(store, 3, State.SENT)
        with store.transaction() as tx:
            claims = [(row_id(1), 1), (row_id(2), 0), (row_id(3), 1), (row_id(4), 1)]
            assert tx.renew(claims, T0 + HOUR) == ids(1)
        assert (known(store, 1).due_at, known(store, 1).attempts) == (T0 + HOUR, 1)
        assert known(store, 2).due_at == T0
        assert known(store, 3).state is State.SENT
        assert due_ids(store, T0 + HOUR - 1) == ids(2)
        with store.transaction() as tx:
            assert tx.settle([result(1, State.SENT)], []) == []

    def test_releasing_makes_everything_that_is_held_due(self, store: Store) -> None:
        """What waits is left where it is."""
        sending(store, 1, 2)
        add(store, delivery(3, due_at=T0 + HOUR))
        with store.transaction() as tx:
            assert tx.release(T0 + 5) == 2
        assert due_ids(store, T0 + 4) == []
        assert due_ids(store, T0 + 5) == ids(1, 2)
        assert known(store, 1).state is State.SENDING
        assert known(store, 3).due_at == T0 + HOUR

    def test_what_somebody_else_has_taken_over_is_not_renewed(self, store: Store) -> None:
        """The claim is an attempt, not the delivery."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2), T0 + MINUTE, 1)])
            assert tx.renew([(row_id(1), 1)], T0 + HOUR) == []
        assert known(store, 1).due_at == T0 + MINUTE

    def test_the_leases_of_one_owner_can_be_released_alone(self, store: Store) -> None:
        """Those of a worker that is gone, while others go on."""
        add(store, delivery(1), delivery(2), delivery(3))
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1), T0 + MINUTE, 0, "w1")])
            tx.lease([Lease(attempt(2), T0 + MINUTE, 0, "w2")])
            tx.extend(ids(3), T0 + MINUTE, "w1")
        assert [known(store, n).owner for n in (1, 2, 3)] == ["w1", "w2", "w1"]
        with store.reading() as reader:
            assert reader.lessees() == ["w1", "w2"]
        with store.transaction() as tx:
            assert tx.release(T0, owners=["w1"]) == 2
            assert tx.release(T0, owners=["nobody"]) == 0
        assert due_ids(store, T0) == ids(1, 3)
        with store.transaction() as tx:
            tx.settle([result(1, State.DEFERRED, due_at=T0)], [])
        assert known(store, 1).owner == ""

    def test_what_has_begun_is_known_until_it_ends(self, store: Store) -> None:
        """Only for what is being sent, and anew for each attempt."""
        sending(store, 1, 2)
        add(store, delivery(3))
        with store.transaction() as tx:
            claims = [(row_id(1), 1), (row_id(2), 9), (row_id(3), 0), (row_id(4), 1)]
            assert tx.begin(claims) == ids(1)
        assert [known(store, n).begun for n in (1, 2, 3)] == [True, False, False]
        with store.transaction() as tx:
            tx.settle([result(1, State.DEFERRED, due_at=T0)], [])
        assert known(store, 1).begun is False
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2), T0 + MINUTE, 0)])
        assert known(store, 1).begun is False

    def test_in_doubt_everything_has_begun(self, store: Store) -> None:
        """After a power cut nobody knows what was not written down."""
        sending(store, 1, 2)
        with store.transaction() as tx:
            assert tx.begin([(row_id(1), 1)]) == ids(1)
            tx.release(T0, doubt=True)
        assert [known(store, n).begun for n in (1, 2)] == [True, True]

    def test_releasing_does_not_postpone_a_lease_that_has_ended(self, store: Store) -> None:
        """It was due earlier and keeps its place."""
        sending(store, 1, until=T0 + 1)
        with store.transaction() as tx:
            tx.release(T0 + HOUR)
        assert known(store, 1).due_at == T0 + 1

    def test_a_sender_that_left_is_never_taken_for_one_that_sends(self, store: Store) -> None:
        """Closing the store is leaving; joining twice is joining."""
        store.join("w1")
        store.join("w1")
        again = self.reopen(store) or store
        again.join("w2")
        assert again.gone(["w1"]) <= {"w1"}
        assert again.gone([]) == set()
        again.close()

    def test_several_deliveries_are_leased_together(self, store: Store) -> None:
        """Each gets its own attempt and its own lease."""
        add(store, delivery(1), delivery(2, recipient="bob"))
        with store.transaction() as tx:
            send(tx, 1, until=T0 + 5)
            send(tx, 2, until=T0 + 9, recipient="bob", at=T0 + 1)
        assert [known(store, n).due_at for n in (1, 2)] == [T0 + 5, T0 + 9]
        with store.reading() as reader:
            assert [entries[0].at for entries in reader.history(["ada", "bob"], 0).values()]
            assert reader.history(["bob"], 0)["bob"][0].at == T0 + 1
