"""What is paused gives up its place, until it is resumed or expires."""

from __future__ import annotations

from tactful.core.model import HOUR, MINUTE, NEVER, State
from tactful.ports import Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    delivery,
    due_ids,
    finished,
    ids,
    known,
    notification,
    result,
    row_id,
    sending,
)
from tactful.testing.contracts.store.suite import StoreSuite


class Pausing(StoreSuite):
    """The verbs that pause and resume notifications and deliveries."""

    def test_what_is_paused_is_due_when_it_expires(self, store: Store) -> None:
        """It keeps its group and gives up its promise, its rule and its slot."""
        held = {"state": State.DEFERRED, "held": True, "rule": "cap", "group": "digest:cap"}
        add(
            store,
            delivery(1, expires_at=T0 + HOUR, promised=True, decided=True),
            delivery(2, **held, decided=True),
            delivery(3),
        )
        with store.transaction() as tx:
            assert tx.pause_deliveries(ids(1, 2)) == ids(1, 2)
        first, second = known(store, 1), known(store, 2)
        assert (first.paused, first.due_at, first.promised) == (True, T0 + HOUR, False)
        assert (second.due_at, second.held, second.rule) == (NEVER, False, None)
        assert second.group == "digest:cap"
        assert {first.state, second.state} == {State.DEFERRED}
        assert due_ids(store, T0 + HOUR - 1) == ids(3)
        assert due_ids(store, T0 + HOUR) == ids(3, 1)

    def test_what_is_paused_stands_in_no_line_and_nothing_wakes_it(self, store: Store) -> None:
        """Not a change of the rules, and not a clock that is put right."""
        add(store, delivery(1, held=True, state=State.DEFERRED), delivery(2), delivery(3))
        with store.transaction() as tx:
            tx.pause_deliveries(ids(1, 2))
            assert tx.wake(T0 + 5, ["ada"]) == 0
            tx.turn_back(T0 - HOUR)
            (line,) = tx.lines(["ada"], 10).values()
            assert ([row.id for row in line.waiting], line.total) == (ids(3), 1)
            (line,) = tx.lines(["ada"], 1).values()
            assert ([row.id for row in line.waiting], line.total) == (ids(3), 1)
        assert known(store, 1).due_at == known(store, 2).due_at == NEVER

    def test_what_is_sent_finished_or_paused_already_is_left_alone(self, store: Store) -> None:
        """And so is what nobody knows."""
        sending(store, 1)
        finished(store, 2, State.SENT)
        add(store, delivery(3))
        with store.transaction() as tx:
            assert tx.pause_deliveries(ids(1, 2, 3, 9)) == ids(3)
            assert tx.pause_deliveries(ids(1, 2, 3, 9)) == []
            assert tx.resume_deliveries(ids(1, 2, 9), T0) == []
        assert (known(store, 1).state, known(store, 1).paused) == (State.SENDING, False)

    def test_what_is_resumed_is_to_be_decided_now(self, store: Store) -> None:
        """Or as soon as anybody wants it; what nobody had decided about stays queued."""
        add(
            store,
            delivery(1, decided=True, promised=True),
            delivery(2, not_before=T0 + HOUR),
            delivery(3),
        )
        with store.transaction() as tx:
            tx.pause_deliveries(ids(1, 2))
            assert tx.resume_deliveries(ids(1, 2, 3), T0 + MINUTE) == ids(1, 2)
        first, second = known(store, 1), known(store, 2)
        assert (first.state, first.decided, first.paused) == (State.DEFERRED, False, False)
        assert (second.state, second.decided) == (State.QUEUED, False)
        assert (first.due_at, second.due_at) == (T0 + MINUTE, T0 + HOUR)
        assert due_ids(store, T0 + MINUTE) == ids(3, 1)

    def test_what_is_given_another_place_is_paused_no_more(self, store: Store) -> None:
        """A result of a delivery that nobody holds says where it waits."""
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.pause_deliveries(ids(1))
            tx.settle([result(1, State.DEFERRED, attempt=None, due_at=T0 + 9)], [])
        assert (known(store, 1).paused, known(store, 1).due_at) == (False, T0 + 9)

    def test_a_paused_broadcast_reaches_nobody_until_it_is_resumed(self, store: Store) -> None:
        """Who paused it, and when, is known so long."""
        with store.transaction() as tx:
            tx.add_notifications([notification(1, cursor=3, audience_end=9), notification(2)])
            tx.pause_notification(row_id(1), T0 + 5, "ada")
            assert tx.unfinished_broadcasts() == []
            paused = tx.lock_notification(row_id(1))
            assert paused is not None
            assert (paused.paused, paused.paused_at, paused.paused_by) == (True, T0 + 5, "ada")
            tx.resume_notification(row_id(1), row_id(7))
        with store.reading() as reader:
            (going,) = reader.unfinished_broadcasts()
            assert reader.paused_notifications() == [going]
        assert (going.paused, going.resumed_to, going.cursor) == (False, row_id(7), 3)
        with store.transaction() as tx:
            tx.resume_notification(row_id(1), None)
            (done,) = tx.unfinished_broadcasts()
            assert tx.paused_notifications() == []
        assert (done.paused_at, done.paused_by, done.resumed_to) == (None, "", None)

    def test_whatever_is_being_resumed_is_to_be_carried_on(self, store: Store) -> None:
        """Also what is no broadcast; and what is paused again is not."""
        with store.transaction() as tx:
            tx.add_notifications([notification(1)])
            tx.pause_notification(row_id(1), T0, "")
            tx.resume_notification(row_id(1), "")
            assert [one.id for one in tx.unfinished_broadcasts()] == ids(1)
            tx.pause_notification(row_id(1), T0 + 1, "")
            assert tx.unfinished_broadcasts() == []
            assert tx.lock_notification(row_id(2)) is None
