"""Deliveries come in, are due in their order, and can be asked for."""

from __future__ import annotations

from dataclasses import fields

from tactful.core.model import HOUR, NEVER, State
from tactful.ports import Delivery, Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    delivery,
    due_ids,
    finished,
    ids,
    known,
    row_id,
    send,
)
from tactful.testing.contracts.store.suite import StoreSuite


class QueuePromises(StoreSuite):
    """`add_deliveries`, `due`, `next_due` and the questions about deliveries."""

    def test_a_delivery_reads_as_it_was_added(self, store: Store) -> None:
        """Every field comes back, also those that only the queue needs."""
        row = delivery(
            7,
            state=State.DEFERRED,
            due_at=T0 + 5,
            not_before=T0 + 3,
            expires_at=T0 + HOUR,
            promised=True,
            decided=True,
            held=True,
            group="g",
            rule="r",
            reason="because",
            attempts=1,
            tries=2,
            crashes=3,
            updated_at=T0 + 1,
            digest_id=row_id(6),
            ref="abc",
        )
        untouched = {"opened_at", "clicked_at"}
        assert all(
            getattr(row, field.name) is not None
            for field in fields(Delivery)
            if field.name not in untouched
        )
        add(store, row)
        assert known(store, 7) == row

    def test_an_unknown_delivery_is_none(self, store: Store) -> None:
        """Asking for what is not there is no error."""
        with store.reading() as reader:
            assert reader.delivery(row_id(1)) is None

    def test_a_waiting_delivery_is_due_at_its_instant_and_not_before(self, store: Store) -> None:
        """The instant itself belongs to what is due."""
        add(store, delivery(1, due_at=T0 + 10))
        assert due_ids(store, T0 + 9) == []
        assert due_ids(store, T0 + 10) == ids(1)

    def test_a_delivery_that_is_finished_from_the_start_is_never_due(self, store: Store) -> None:
        """Rejected, suppressed and expired deliveries are kept, but not queued."""
        states = [State.REJECTED, State.SUPPRESSED, State.EXPIRED]
        add(store, *(delivery(n, state=state, rule="r") for n, state in enumerate(states)))
        assert due_ids(store) == []
        with store.reading() as reader:
            assert reader.next_due() is None
            assert reader.lines(["ada"], 10) == {}
        assert [known(store, n).state for n in range(3)] == states
        assert known(store, 0).rule == "r"

    def test_a_finished_delivery_keeps_nothing_of_the_queue(self, store: Store) -> None:
        """It has no due instant, no group, and nothing holds it."""
        row = delivery(
            1, state=State.REJECTED, due_at=T0, not_before=T0, promised=True, held=True, group="g"
        )
        add(store, row)
        got = known(store, 1)
        assert (got.due_at, got.not_before, got.promised, got.held) == (0, 0, False, False)
        assert (got.group, got.decided) == ("", True)

    def test_due_goes_by_priority_then_instant_then_age(self, store: Store) -> None:
        """The order in which things were added does not matter."""
        add(
            store,
            delivery(5, priority=0, due_at=T0 - 9),
            delivery(4, priority=2, due_at=T0),
            delivery(3, priority=2, due_at=T0),
            delivery(2, priority=3, due_at=T0 - 1),
            delivery(1, priority=2, due_at=T0 - 5),
        )
        assert due_ids(store, T0) == ids(2, 1, 3, 4, 5)

    def test_due_gives_no_more_than_asked_for(self, store: Store) -> None:
        """The earliest come first."""
        add(store, *(delivery(n, due_at=T0 - n) for n in range(1, 30)))
        assert due_ids(store, T0, 10) == ids(*range(29, 19, -1))

    def test_each_lower_priority_gets_a_tenth(self, store: Store) -> None:
        """However many urgent ones wait, nothing starves."""
        add(store, *(delivery(n, priority=n % 4) for n in range(400)))
        with store.transaction() as tx:
            got = [row.priority for row in tx.due(T0, 50)]
        assert got == [3] * 35 + [2] * 5 + [1] * 5 + [0] * 5

    def test_a_tenth_that_nobody_needs_goes_to_the_others(self, store: Store) -> None:
        """Places are kept only for what is there."""
        add(store, *(delivery(n, priority=2) for n in range(60)))
        add(store, delivery(100, priority=0), delivery(101, priority=1, due_at=T0 + 1))
        with store.transaction() as tx:
            got = [row.priority for row in tx.due(T0, 50)]
        assert got == [2] * 49 + [0]

    def test_places_that_the_highest_leaves_go_to_the_next(self, store: Store) -> None:
        """A batch is full while anything is due."""
        add(store, delivery(100, priority=3))
        add(store, *(delivery(n, priority=1) for n in range(60)))
        add(store, *(delivery(n, priority=0) for n in range(200, 260)))
        with store.transaction() as tx:
            got = [row.priority for row in tx.due(T0, 50)]
        assert got == [3] + [1] * 44 + [0] * 5

    def test_a_batch_of_one_is_the_most_urgent(self, store: Store) -> None:
        """Fairness to the others must not turn the order round."""
        add(store, *(delivery(n, priority=n) for n in range(4)))
        assert due_ids(store, T0, 1) == ids(3)

    def test_asking_what_is_due_changes_nothing(self, store: Store) -> None:
        """The second answer is the first one."""
        add(store, *(delivery(n, priority=n % 3) for n in range(25)))
        first = due_ids(store, T0, 10)
        assert due_ids(store, T0, 10) == first
        assert len(due_ids(store, T0, 1000)) == 25

    def test_what_goes_through_a_busy_channel_is_passed_over(self, store: Store) -> None:
        """The others get its places, and its tenth."""
        add(store, *(delivery(n, channel="slow", priority=n % 4) for n in range(40)))
        add(store, *(delivery(n, priority=1) for n in range(40, 60)))
        add(store, delivery(60, channel="sms", due_at=T0 + 5), delivery(61, channel="sms"))
        with store.transaction() as tx:
            assert [row.id for row in tx.due(T0, 20, ["slow"])] == ids(*range(40, 60))
            assert [row.id for row in tx.due(T0, 50, ["slow", "email"])] == ids(61)
            assert len(tx.due(T0, 100)) == 61

    def test_next_due_passes_over_busy_channels(self, store: Store) -> None:
        """Whoever waits for it would ask again and again otherwise."""
        add(store, delivery(1, channel="slow"), delivery(2, channel="slow", priority=3))
        with store.reading() as reader:
            assert reader.next_due(["slow"]) is None
        add(store, delivery(3, due_at=T0 + 7), delivery(4, channel="sms", due_at=T0 + 9))
        with store.transaction() as tx:
            assert tx.next_due(["slow"]) == T0 + 7
            assert tx.next_due(["slow", "email"]) == T0 + 9
            assert tx.next_due() == T0

    def test_of_each_priority_what_has_been_due_for_long_enough(self, store: Store) -> None:
        """What is not named is left alone, and keeps no tenth."""
        add(store, *(delivery(n, priority=3, due_at=T0 - 10 * n) for n in range(5)))
        add(store, *(delivery(n, priority=1, due_at=T0 - n) for n in range(10, 30)))
        add(store, *(delivery(n, priority=0) for n in range(30, 40)))
        with store.transaction() as tx:
            assert [row.id for row in tx.due(T0, 50, ages={3: 0})] == ids(4, 3, 2, 1, 0)
            assert [row.id for row in tx.due(T0, 50, ages={3: 30})] == ids(4, 3)
            assert [row.id for row in tx.due(T0, 4, ages={3: 25, 1: 28})] == ids(4, 3, 29, 28)
            assert tx.due(T0, 50, ["email"], ages={3: 0}) == []
            assert tx.due(T0, 50, ages={2: 0}) == []

    def test_next_due_is_when_the_first_is_old_enough(self, store: Store) -> None:
        """Whoever leaves it to others for a while looks again then."""
        add(store, delivery(1, priority=3, due_at=T0), delivery(2, priority=1, due_at=T0 + 40))
        with store.reading() as reader:
            assert reader.next_due(ages={3: 0}) == T0
            assert reader.next_due(ages={3: 25, 1: 0}) == T0 + 25
            assert reader.next_due(ages={3: 250, 1: 0}) == T0 + 40
            assert reader.next_due(["email"], ages={3: 0}) is None
            assert reader.next_due(ages={2: 0}) is None

    def test_due_sees_what_its_own_transaction_did(self, store: Store) -> None:
        """What was just leased is not due a second time."""
        add(store, delivery(1), delivery(2))
        with store.transaction() as tx:
            assert [row.id for row in tx.due(T0, 1)] == ids(1)
            send(tx, 1)
            tx.add_deliveries([delivery(3, priority=3)])
            assert [row.id for row in tx.due(T0, 10)] == ids(3, 2)

    def test_next_due_is_the_earliest_instant(self, store: Store) -> None:
        """Over all priorities, and also in the past."""
        with store.reading() as reader:
            assert reader.next_due() is None
        add(store, delivery(1, due_at=T0 + 7), delivery(2, due_at=T0 - 7, priority=0))
        with store.reading() as reader:
            assert reader.next_due() == T0 - 7
        with store.transaction() as tx:
            send(tx, 2, until=T0 + 3)
            assert tx.next_due() == T0 + 3

    def test_what_waits_for_never_is_not_due(self, store: Store) -> None:
        """It stays in the queue, in case a rule changes."""
        add(store, delivery(1, state=State.DEFERRED, due_at=NEVER, expires_at=NEVER))
        assert due_ids(store, NEVER - 1) == []
        with store.reading() as reader:
            assert reader.next_due() == NEVER
        assert known(store, 1).due_at == NEVER

    def test_deliveries_come_in_the_order_of_their_ids(self, store: Store) -> None:
        """Whatever the order in which they were added; `after` and `limit` page through them."""
        add(store, delivery(3), delivery(1))
        add(store, delivery(2))
        with store.reading() as reader:
            assert [row.id for row in reader.deliveries()] == ids(1, 2, 3)
            assert [row.id for row in reader.deliveries(limit=2)] == ids(1, 2)
            assert [row.id for row in reader.deliveries(after=row_id(2), limit=2)] == ids(3)
            assert reader.deliveries(after=row_id(3)) == []

    def test_deliveries_are_found_by_what_they_are(self, store: Store) -> None:
        """Notification, recipient and state narrow the answer, alone and together."""
        add(
            store,
            delivery(1, notification_id="a"),
            delivery(2, notification_id="a", recipient="bob"),
            delivery(3, notification_id="b", recipient="bob", state=State.REJECTED),
            delivery(4, notification_id="a", recipient="bob", state=State.REJECTED),
        )
        with store.reading() as reader:
            assert [row.id for row in reader.deliveries(notification_id="a")] == ids(1, 2, 4)
            assert [row.id for row in reader.deliveries(recipient="bob")] == ids(2, 3, 4)
            assert [row.id for row in reader.deliveries(state=State.REJECTED)] == ids(3, 4)
            both = reader.deliveries(notification_id="a", recipient="bob", state=State.REJECTED)
            assert [row.id for row in both] == ids(4)
            some = reader.deliveries(recipient="bob", state=State.REJECTED, after=row_id(3))
            assert [row.id for row in some] == ids(4)
            assert reader.deliveries(notification_id="c") == []

    def test_counts_tell_how_many_are_in_each_state(self, store: Store) -> None:
        """Of all deliveries, or of one notification; waiting, leased and finished alike."""
        add(store, delivery(1), delivery(2, notification_id="other"), delivery(3))
        add(store, delivery(4, state=State.REJECTED))
        finished(store, 5, State.SENT)
        with store.transaction() as tx:
            send(tx, 3)
        with store.reading() as reader:
            everything = {State.QUEUED: 2, State.SENDING: 1, State.REJECTED: 1, State.SENT: 1}
            assert reader.counts() == everything
            assert reader.counts(row_id(0)) == everything | {State.QUEUED: 1}
            assert reader.counts("nothing") == {}
            assert reader.backlog() == {State.QUEUED: 2, State.SENDING: 1}

    def test_rows_that_were_handed_out_are_the_callers_own(self, store: Store) -> None:
        """Changing them changes nothing in the store, and the store does not change them."""
        row = delivery(1)
        add(store, row)
        row.reason = "changed after it was added"
        got = known(store, 1)
        got.state = State.CANCELLED
        with store.transaction() as tx:
            (due,) = tx.due(T0, 1)
            send(tx, 1)
            assert due.state is State.QUEUED
            due.due_at = 0
        assert (known(store, 1).state, known(store, 1).reason) == (State.SENDING, None)
