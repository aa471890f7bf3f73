"""What results and verdicts change, and what comes too late to change anything."""

from __future__ import annotations

import pytest

from tactful.core.lifecycle import FINISHED, MOVES, WAITING
from tactful.core.model import MINUTE, State
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


class Results(StoreSuite):
    """`settle` and `engage`."""

    def test_the_result_of_the_latest_attempt_applies(self, store: Store) -> None:
        """It leaves the queue with everything that the result says."""
        sending(store, 1)
        end = result(1, State.SENT, at=T0 + 9, rule="r", reason="ok", tries=1, crashes=2, ref="m1")
        with store.transaction() as tx:
            assert tx.settle([end], [verdict(1)]) == []
        row = known(store, 1)
        assert (row.state, row.rule, row.reason, row.ref) == (State.SENT, "r", "ok", "m1")
        assert (row.attempts, row.tries, row.crashes, row.updated_at) == (1, 1, 2, T0 + 9)
        assert (row.due_at, row.promised, row.decided) == (0, False, True)
        assert due_ids(store) == []

    def test_a_retry_waits_with_everything_that_the_result_says(self, store: Store) -> None:
        """It is due at its new instant, and not when the lease would have ended."""
        sending(store, 1)
        again = result(
            1,
            State.DEFERRED,
            at=T0 + 3,
            due_at=T0 + 2 * MINUTE,
            not_before=T0 + 7,
            rule="r",
            reason="busy",
            held=True,
            group="g",
            tries=1,
            crashes=1,
        )
        with store.transaction() as tx:
            assert tx.settle([again], []) == []
        row = known(store, 1)
        assert (row.state, row.due_at, row.not_before) == (
            State.DEFERRED,
            T0 + 2 * MINUTE,
            T0 + 7,
        )
        assert (row.rule, row.reason, row.held, row.group) == ("r", "busy", True, "g")
        assert (row.attempts, row.tries, row.crashes, row.updated_at) == (1, 1, 1, T0 + 3)
        assert (row.promised, row.decided) == (False, True)
        assert due_ids(store, T0 + 2 * MINUTE - 1) == []
        assert due_ids(store, T0 + 2 * MINUTE) == ids(1)

    def test_every_legal_end_of_sending_is_possible(self, store: Store) -> None:
        """The table in `core.lifecycle` is the store's table."""
        ends = sorted(MOVES[State.SENDING] & FINISHED)
        sending(store, *range(len(ends)))
        with store.transaction() as tx:
            assert tx.settle([result(n, end) for n, end in enumerate(ends)], []) == []
        assert [known(store, n).state for n in range(len(ends))] == ends
        assert due_ids(store) == []

    def test_a_late_result_is_fenced_off_and_changes_nothing(self, store: Store) -> None:
        """Somebody else has taken the delivery over since."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2), T0 + MINUTE, 1)])
        before = known(store, 1)
        with store.transaction() as tx:
            late = result(1, State.FAILED, reason="late", ref="x", tries=5)
            assert tx.settle([late], []) == ids(1)
        assert known(store, 1) == before
        with store.transaction() as tx:
            assert tx.settle([result(1, State.SENT, attempt=2)], []) == []

    def test_a_result_for_what_is_not_being_sent_any_more_is_fenced_off(self, store: Store) -> None:
        """The number of the attempt alone is not enough."""
        finished(store, 1, State.SENT)
        with store.transaction() as tx:
            assert tx.settle([result(1, State.FAILED)], []) == ids(1)
            assert tx.settle([result(2, State.FAILED), result(3, State.SENT)], []) == ids(2, 3)
        assert known(store, 1).state is State.SENT

    def test_a_fenced_result_does_not_stop_the_others(self, store: Store) -> None:
        """Outcomes are recorded in batches."""
        sending(store, 1, 2, 3)
        batch = [
            result(1, State.SENT),
            result(2, State.SENT, attempt=9),
            result(3, State.DEFERRED, due_at=T0 + 5),
        ]
        with store.transaction() as tx:
            assert tx.settle(batch, []) == ids(2)
        states = [known(store, n).state for n in (1, 2, 3)]
        assert states == [State.SENT, State.SENDING, State.DEFERRED]

    def test_an_illegal_move_of_the_holder_is_a_bug(self, store: Store) -> None:
        """Nothing of its transaction is stored."""
        illegal = min(FINISHED - MOVES[State.SENDING])
        sending(store, 1, 2)
        with pytest.raises(AssertionError), store.transaction() as tx:
            tx.settle([result(2, State.SENT), result(1, illegal)], [])
        assert known(store, 1).state is State.SENDING
        assert known(store, 2).state is State.SENDING

    def test_what_waits_can_be_ended_without_an_attempt(self, store: Store) -> None:
        """A withdrawal, a newer one in its place, the end of its time."""
        ends = [State.CANCELLED, State.SUPERSEDED, State.EXPIRED, State.FAILED]
        add(store, *(delivery(n) for n in range(4)))
        batch = [result(n, end, attempt=None, reason="why") for n, end in enumerate(ends)]
        with store.transaction() as tx:
            assert tx.settle(batch, []) == []
        assert [known(store, n).state for n in range(4)] == ends
        assert known(store, 0).reason == "why"
        assert due_ids(store) == []

    @pytest.mark.parametrize("state", sorted(WAITING))
    @pytest.mark.parametrize("again", sorted(WAITING))
    def test_what_waits_can_wait_for_something_else(
        self, store: Store, state: State, again: State
    ) -> None:
        """A deferral that is planned anew stays a deferral."""
        add(store, delivery(1, state=state, rule="old", held=True, group="old", promised=True))
        later = result(1, again, attempt=None, due_at=T0 + 9, not_before=T0 + 2, rule="new")
        with store.transaction() as tx:
            assert tx.settle([later], []) == []
        row = known(store, 1)
        assert (row.state, row.due_at, row.not_before) == (again, T0 + 9, T0 + 2)
        assert (row.rule, row.held, row.group) == ("new", False, "")
        assert (row.promised, row.decided, row.updated_at) == (False, True, T0 + 1)
        assert due_ids(store, T0 + 8) == []

    def test_nobody_else_settles_what_is_being_sent(self, store: Store) -> None:
        """Without its attempt a result is fenced off: the answer is still to come."""
        sending(store, 1)
        before = known(store, 1)
        with store.transaction() as tx:
            assert tx.settle([result(1, State.CANCELLED, attempt=None)], []) == ids(1)
        assert known(store, 1) == before

    def test_feedback_moves_what_was_sent(self, store: Store) -> None:
        """Also late evidence, where the table allows it."""
        finished(store, 1, State.SENT, State.DELIVERED)
        finished(store, 2, State.SENT, State.LOST, State.DELIVERED)
        finished(store, 3, State.UNKNOWN, State.BOUNCED)
        states = [known(store, n).state for n in (1, 2, 3)]
        assert states == [State.DELIVERED, State.DELIVERED, State.BOUNCED]

    def test_feedback_that_contradicts_what_is_known_is_fenced_off(self, store: Store) -> None:
        """What has arrived cannot be lost, and what waits cannot have arrived."""
        finished(store, 1, State.SENT, State.DELIVERED)
        add(store, delivery(2))
        facts = [
            result(1, State.LOST, attempt=None),
            result(1, State.DELIVERED, attempt=None),
            result(2, State.DELIVERED, attempt=None),
        ]
        with store.transaction() as tx:
            assert tx.settle(facts, []) == ids(1, 1, 2)
        assert known(store, 1).state is State.DELIVERED
        assert due_ids(store) == ids(2)

    def test_feedback_keeps_the_reference_and_the_digest(self, store: Store) -> None:
        """A result that does not name them leaves them alone."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.settle([result(1, State.SENT, ref="m1", digest_id=row_id(9))], [])
            tx.settle([result(1, State.DELIVERED, attempt=None)], [])
        assert (known(store, 1).ref, known(store, 1).digest_id) == ("m1", row_id(9))

    def test_what_failed_can_be_queued_again(self, store: Store) -> None:
        """It starts afresh: the old failure is forgotten, the number of attempts is not."""
        sending(store, 1)
        with store.transaction() as tx:
            failure = result(1, State.FAILED, rule="r", reason="refused", tries=5, crashes=2)
            tx.settle([failure], [])
            again = result(1, State.QUEUED, attempt=None, due_at=T0 + 9, at=T0 + 4)
            assert tx.settle([again], []) == []
        row = known(store, 1)
        assert (row.state, row.due_at, row.updated_at) == (State.QUEUED, T0 + 9, T0 + 4)
        assert (row.attempts, row.tries, row.crashes) == (1, 0, 0)
        assert (row.rule, row.reason) == (None, None)
        assert due_ids(store, T0 + 9) == ids(1)
        with store.transaction() as tx:
            assert tx.due(T0 + 9, 1, [KIND.channel]) == []
            (due,) = tx.due(T0 + 9, 1)
            assert due == row
            send(tx, 1, number=2)

    def test_a_verdict_says_what_became_of_an_attempt(self, store: Store) -> None:
        """The outcome and its detail are kept with the attempt."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.settle([], [verdict(1, outcome="retry", detail="450 busy")])
            (row,) = tx.attempts(row_id(1))
        assert (row.outcome, row.detail, row.counts) == ("retry", "450 busy", True)

    def test_what_surely_did_not_arrive_stops_counting(self, store: Store) -> None:
        """Its place in the limits is free again; the attempt itself is kept."""
        sending(store, 1, 2)
        with store.transaction() as tx:
            tx.settle([], [verdict(1, outcome="rejected", counts=False)])
        with store.reading() as reader:
            assert len(reader.history(["ada"], 0)["ada"]) == 1
            assert [row.counts for row in reader.attempts(row_id(1))] == [False]
            assert [row.counts for row in reader.attempts(row_id(2))] == [True]

    def test_what_stopped_counting_never_counts_again(self, store: Store) -> None:
        """Whatever a later verdict says."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.settle([], [verdict(1, counts=False)])
            tx.settle([], [verdict(1, outcome="unknown", counts=True)])
            assert tx.history(["ada"], 0) == {}
            (row,) = tx.attempts(row_id(1))
        assert (row.outcome, row.counts) == ("unknown", False)

    def test_a_verdict_applies_though_its_result_is_fenced_off(self, store: Store) -> None:
        """What happened is a fact, also when it is learnt too late."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.lease([Lease(attempt(1, number=2, at=T0 + 5), T0 + MINUTE, 1)])
            late = verdict(1, outcome="rejected", counts=False)
            assert tx.settle([result(1, State.FAILED)], [late]) == ids(1)
            assert [row.outcome for row in tx.attempts(row_id(1))] == ["rejected", None]
            assert [entry.at for entry in tx.history(["ada"], 0)["ada"]] == [T0 + 5]

    def test_a_verdict_about_an_unknown_attempt_is_left_out(self, store: Store) -> None:
        """It may have been pruned."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.settle([], [verdict(1, number=2), verdict(5)])
            assert [row.outcome for row in tx.attempts(row_id(1))] == [None]

    def test_a_delivered_delivery_is_opened_once(self, store: Store) -> None:
        """The first instant stays."""
        finished(store, 1, State.SENT, State.DELIVERED)
        with store.transaction() as tx:
            assert tx.engage(row_id(1), T0 + 5, None) is True
            assert tx.engage(row_id(1), T0 + 9, None) is False
        assert (known(store, 1).opened_at, known(store, 1).clicked_at) == (T0 + 5, None)

    def test_a_click_may_come_with_the_opening_or_after_it(self, store: Store) -> None:
        """It is kept either way, the first one of them."""
        finished(store, 1, State.DELIVERED)
        finished(store, 2, State.DELIVERED)
        with store.transaction() as tx:
            assert tx.engage(row_id(1), T0 + 5, T0 + 6) is True
            assert tx.engage(row_id(2), T0 + 5, None) is True
            assert tx.engage(row_id(2), T0 + 7, T0 + 8) is False
            assert tx.engage(row_id(2), T0 + 9, T0 + 10) is False
        assert (known(store, 1).opened_at, known(store, 1).clicked_at) == (T0 + 5, T0 + 6)
        assert (known(store, 2).opened_at, known(store, 2).clicked_at) == (T0 + 5, T0 + 8)

    def test_only_what_has_arrived_can_be_opened(self, store: Store) -> None:
        """Opened is always within delivered."""
        finished(store, 1, State.SENT)
        add(store, delivery(2))
        sending(store, 3)
        with store.transaction() as tx:
            for number in (1, 2, 3, 4):
                assert tx.engage(row_id(number), T0 + 5, T0 + 5) is False
        assert [known(store, n).opened_at for n in (1, 2, 3)] == [None, None, None]

    def test_who_opened_a_notification_is_told_once_each(self, store: Store) -> None:
        """Over all its deliveries."""
        for number in (1, 2, 3):
            finished(store, number, State.DELIVERED)
        add(store, delivery(9, recipient="bob"))
        with store.transaction() as tx:
            send(tx, 9, recipient="bob")
            tx.settle([result(9, State.DELIVERED)], [])
            assert tx.opened(row_id(0)) == []
            for number in (1, 2, 9):
                tx.engage(row_id(number), T0 + 5, None)
            assert sorted(tx.opened(row_id(0))) == ["ada", "bob"]
            assert tx.opened("other") == []
