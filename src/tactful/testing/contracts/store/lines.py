"""Who waits for a recipient's slots, and how a rule's hold on them is lifted."""

from __future__ import annotations

from tactful.core.model import HOUR, NEVER, Priority, State
from tactful.ports import Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    delivery,
    due_ids,
    ids,
    known,
    result,
    send,
    sending,
)
from tactful.testing.contracts.store.suite import StoreSuite


class Lines(StoreSuite):
    """`lines` and `wake`."""

    def test_a_line_is_in_the_order_of_its_slots(self, store: Store) -> None:
        """By due instant, then by age."""
        add(store, delivery(3, due_at=T0), delivery(2, due_at=T0 + 9), delivery(1, due_at=T0))
        with store.reading() as reader:
            line = reader.lines(["ada"], 10)["ada"]
        assert [row.id for row in line.waiting] == ids(1, 3, 2)
        assert line.total == 3

    def test_a_long_line_shows_its_end_and_its_length(self, store: Store) -> None:
        """A new delivery plans behind the last ones."""
        add(store, *(delivery(n, due_at=T0 + n) for n in range(20)))
        with store.reading() as reader:
            line = reader.lines(["ada"], 3)["ada"]
        assert [row.id for row in line.waiting] == ids(17, 18, 19)
        assert line.total == 20

    def test_a_line_holds_nobody_who_is_being_sent(self, store: Store) -> None:
        """Their attempts are in the history already: they must not count twice."""
        sending(store, 1)
        add(store, delivery(2, state=State.DEFERRED), delivery(3, state=State.REJECTED))
        with store.reading() as reader:
            line = reader.lines(["ada"], 10)["ada"]
        assert [row.id for row in line.waiting] == ids(2)
        assert line.total == 1

    def test_who_waits_for_nothing_has_no_line(self, store: Store) -> None:
        """Only the recipients that were asked for are in the answer."""
        add(store, delivery(1), delivery(2, recipient="bob"), delivery(3, recipient="cy"))
        with store.transaction() as tx:
            assert set(tx.lines(["ada", "bob", "nobody"], 5)) == {"ada", "bob"}
            send(tx, 1)
            assert set(tx.lines(["ada", "bob"], 5)) == {"bob"}
            assert tx.lines([], 5) == {}

    def test_a_line_follows_every_change(self, store: Store) -> None:
        """Leaving it, coming back into it, and moving within it."""
        add(store, delivery(1), delivery(2, due_at=T0 + 1), delivery(3, due_at=T0 + 2))
        with store.transaction() as tx:
            send(tx, 1)
            tx.settle([result(1, State.DEFERRED, due_at=T0 + 5, not_before=T0)], [])
            tx.settle([result(2, State.CANCELLED, attempt=None)], [])
            line = tx.lines(["ada"], 10)["ada"]
            assert [(row.id, row.due_at) for row in line.waiting] == [
                *zip(ids(3, 1), [T0 + 2, T0 + 5], strict=True)
            ]

    def test_waking_makes_due_what_a_rule_holds(self, store: Store) -> None:
        """What waits for its schedule or a retry stays where it is."""
        add(
            store,
            delivery(1, state=State.DEFERRED, held=True, due_at=NEVER, not_before=0),
            delivery(2, state=State.DEFERRED, held=False, due_at=T0 + HOUR),
            delivery(3, state=State.DEFERRED, held=True, due_at=T0 + HOUR, recipient="bob"),
        )
        with store.transaction() as tx:
            assert tx.wake(T0, ["ada", "bob"]) == 2
        assert due_ids(store, T0) == ids(1, 3)
        assert known(store, 1).state is State.DEFERRED
        assert known(store, 2).due_at == T0 + HOUR

    def test_nobody_is_woken_before_they_may_go(self, store: Store) -> None:
        """`not_before` is the caller's wish and no rule's."""
        add(
            store,
            delivery(1, state=State.DEFERRED, held=True, due_at=NEVER, not_before=T0 + 5),
        )
        with store.transaction() as tx:
            assert tx.wake(T0, ["ada"]) == 1
        assert known(store, 1).due_at == T0 + 5

    def test_one_recipient_can_be_woken_alone(self, store: Store) -> None:
        """The others keep their slots."""
        rows = [
            delivery(n, state=State.DEFERRED, held=True, due_at=T0 + HOUR, recipient=name)
            for n, name in enumerate(("ada", "bob", "bob"))
        ]
        add(store, *rows)
        with store.transaction() as tx:
            assert tx.wake(T0, ["bob"]) == 2
            assert tx.wake(T0, ["nobody"]) == 0
            assert tx.wake(T0, []) == 0
        assert due_ids(store, T0) == ids(1, 2)

    def test_what_has_one_priority_is_planned_anew(self, store: Store) -> None:
        """Without the rule that held it; the rest of the same people's stays where it is."""
        waits = {"state": State.DEFERRED, "held": True, "due_at": T0 + HOUR, "rule": "one"}
        rows = [
            delivery(n, priority=priority, **waits)
            for n, priority in enumerate((Priority.LOW, Priority.HIGH, Priority.LOW))
        ]
        add(store, *rows)
        with store.transaction() as tx:
            assert tx.wake(T0, ["ada", "ada", "nobody"], anew=Priority.LOW) == 2
            assert tx.wake(T0, [], anew=Priority.HIGH) == 0
        assert due_ids(store, T0) == ids(0, 2)
        assert [known(store, n).rule for n in range(3)] == [None, "one", None]

    def test_whom_rules_hold_something_for(self, store: Store) -> None:
        """By priority and in their order, once for each delivery, a page at a time."""
        names = ["bob", "Zoe", "ada", "bob", "é"]
        held = [
            delivery(n, state=State.DEFERRED, held=True, recipient=name)
            for n, name in enumerate(names)
        ]
        others = [
            delivery(10, state=State.DEFERRED, held=True, priority=Priority.HIGH),
            delivery(11, state=State.DEFERRED, held=False),
            delivery(12, recipient="bob"),
            delivery(13, state=State.DEFERRED, held=True),
        ]
        add(store, *held, *others)
        with store.transaction() as tx:
            send(tx, 13)
        with store.reading() as reader:
            normal, high = delivery(0).priority, Priority.HIGH
            assert reader.held(normal, "", 10) == ["Zoe", "ada", "bob", "bob", "é"]
            assert reader.held(normal, "ada", 1) == ["bob"]
            assert reader.held(normal, "é", 10) == []
            assert reader.held(high, "", 10) == ["ada"]

    def test_what_is_being_sent_cannot_be_woken(self, store: Store) -> None:
        """Its due instant is the end of its lease."""
        add(store, delivery(1, state=State.DEFERRED, held=True))
        with store.transaction() as tx:
            send(tx, 1, until=T0 + HOUR)
            assert tx.wake(T0, ["ada"]) == 0
        assert known(store, 1).due_at == T0 + HOUR

    def test_a_result_says_anew_whether_a_rule_holds(self, store: Store) -> None:
        """Being held is not inherited from an earlier wait."""
        add(store, delivery(1, state=State.DEFERRED, held=True), delivery(2))
        with store.transaction() as tx:
            send(tx, 1, 2)
            tx.settle(
                [
                    result(1, State.QUEUED, due_at=T0 + 9),
                    result(2, State.DEFERRED, due_at=T0 + 9, held=True),
                ],
                [],
            )
            assert tx.wake(T0, ["ada"]) == 1
        assert [known(store, n).due_at for n in (1, 2)] == [T0 + 9, T0]
