"""What goes when it is old enough, and what stays however old it is."""

from __future__ import annotations

from tactful.core.model import HOUR, Event, State
from tactful.ports import Remembered, Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    delivery,
    due_ids,
    finished,
    ids,
    notification,
    row_id,
    send,
    sending,
)
from tactful.testing.contracts.store.suite import StoreSuite


def _prune(store: Store, before: int, history_before: int, limit: int = 1000) -> int:
    """Prune until nothing goes any more; gives how many calls found something."""
    calls = 0
    while calls < 100:
        with store.transaction() as tx:
            if not tx.prune(before, history_before, limit):
                break
        calls += 1
    return calls


class UpkeepPromises(StoreSuite):
    """`prune`."""

    def test_what_finished_long_ago_goes_with_its_events(self, store: Store) -> None:
        """And from every list that it was in."""
        finished(store, 1, State.SENT, at=T0)
        finished(store, 2, State.SENT, at=T0 + HOUR)
        with store.transaction() as tx:
            tx.add_events([Event("sent", row_id(1), T0), Event("sent", row_id(2), T0)])
        assert _prune(store, T0 + HOUR, 0) == 1
        with store.reading() as reader:
            assert [row.id for row in reader.deliveries()] == ids(2)
            assert [row.id for row in reader.deliveries(recipient="ada")] == ids(2)
            assert [row.id for row in reader.deliveries(notification_id=row_id(0))] == ids(2)
            assert [event.delivery_id for event in reader.events()] == ids(2)
            assert reader.events(delivery_id=row_id(1)) == []
            assert reader.counts() == {State.SENT: 1}

    def test_what_is_not_finished_stays_however_old(self, store: Store) -> None:
        """Nothing that was accepted is lost."""
        add(store, delivery(1, updated_at=0), delivery(2, updated_at=0, state=State.DEFERRED))
        sending(store, 3)
        assert _prune(store, T0 + HOUR, 0) == 0
        assert sorted(due_ids(store)) == ids(1, 2, 3)

    def test_a_throughput_cell_goes_when_it_says_nothing_any_more(self, store: Store) -> None:
        """One whose instant has long passed is as good as none."""
        with store.transaction() as tx:
            tx.set_cells({"old": T0 * 1000 - 1, "now": T0 * 1000})

        assert _prune(store, T0, 0) == 1
        with store.reading() as reader:
            assert reader.cells(["old", "now"]) == {"now": T0 * 1000}

    def test_a_call_prunes_no_more_deliveries_than_it_may(self, store: Store) -> None:
        """So that sending need not wait long; the rest goes next time."""
        for number in range(5):
            finished(store, number, State.SENT)
        with store.transaction() as tx:
            assert tx.prune(T0 + HOUR, 0, 2) > 0
            assert len(tx.deliveries()) == 3
        _prune(store, T0 + HOUR, 0, 2)
        with store.reading() as reader:
            assert reader.deliveries() == []

    def test_attempts_go_by_their_own_age(self, store: Store) -> None:
        """They are counted until the longest window has passed, with or without delivery."""
        finished(store, 1, State.SENT)
        sending(store, 2)
        add(store, delivery(3))
        with store.transaction() as tx:
            send(tx, 3, at=T0 + 5)
        _prune(store, T0 + HOUR, T0)
        with store.reading() as reader:
            assert [entry.at for entry in reader.history(["ada"], 0)["ada"]] == [T0, T0, T0 + 5]
        _prune(store, 0, T0 + 5)
        with store.reading() as reader:
            assert [entry.at for entry in reader.history(["ada"], 0)["ada"]] == [T0 + 5]
        _prune(store, 0, T0 + 6)
        with store.reading() as reader:
            assert reader.history(["ada"], 0) == {}

    def test_notifications_go_when_nothing_of_them_is_left(self, store: Store) -> None:
        """They stay while a delivery of theirs stays, and while they are young."""
        with store.transaction() as tx:
            tx.add_notifications(
                [notification(0), notification(10), notification(11, created_at=T0 + HOUR)]
            )
        add(store, delivery(1))
        _prune(store, T0 + HOUR, 0)
        with store.reading() as reader:
            assert set(reader.notifications(ids(0, 10, 11))) == set(ids(0, 11))

    def test_a_broadcast_that_is_not_finished_stays(self, store: Store) -> None:
        """It has people to reach, though it may have no deliveries yet."""
        with store.transaction() as tx:
            tx.add_notifications([notification(1, cursor=0), notification(2, cursor=0)])
            tx.cancel_broadcast(row_id(2))
        _prune(store, T0 + HOUR, 0)
        with store.reading() as reader:
            assert set(reader.notifications(ids(1, 2))) == set(ids(1))

    def test_idempotency_keys_go_when_they_have_expired(self, store: Store) -> None:
        """The others still stand for their answers."""
        with store.transaction() as tx:
            tx.remember({"old": Remembered("f", "a", T0 - 1)})
            tx.remember({"new": Remembered("f", "a", T0 + 1)})
        assert _prune(store, T0, 0) == 1
        with store.reading() as reader:
            assert set(reader.remembered(["old", "new"])) == {"new"}

    def test_events_about_no_delivery_go_by_their_name_and_age(self, store: Store) -> None:
        """Those of deliveries stay with them."""
        events = [
            Event("odd", "", T0),
            Event("odd", "", T0 + 1),
            Event("odd", "", T0 + 2),
            Event("even", "", T0),
            Event("odd", row_id(1), T0),
        ]
        with store.transaction() as tx:
            tx.add_events(events)
        gone = []
        for _ in range(3):
            with store.transaction() as tx:
                gone.append(tx.prune_events("odd", T0 + 2, 1))
        assert gone == [1, 1, 0]
        with store.reading() as reader:
            left = [(event.name, event.delivery_id, event.at) for event in reader.events()]
        assert left == [("odd", "", T0 + 2), ("even", "", T0), ("odd", row_id(1), T0)]

    def test_an_empty_store_has_nothing_to_prune(self, store: Store) -> None:
        """The answer 0 means done."""
        with store.transaction() as tx:
            assert tx.prune(T0, T0, 10) == 0
