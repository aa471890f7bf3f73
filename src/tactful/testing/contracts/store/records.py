"""What was asked for and what became of it, as it is looked back upon."""

from __future__ import annotations

from tactful.core.model import HOUR, MINUTE, NEVER, State
from tactful.ports import Record, Store
from tactful.testing.contracts.store.rows import (
    KIND,
    T0,
    add,
    delivery,
    finished,
    ids,
    notification,
    result,
    row_id,
    send,
    sending,
    verdict,
)
from tactful.testing.contracts.store.suite import StoreSuite


def found(store: Store, since: int = 0, until: int = NEVER) -> list[Record]:
    """All records of a span of time."""
    with store.reading() as reader:
        return reader.records(since, until)


class RecordPromises(StoreSuite):
    """`records`."""

    def test_a_record_tells_what_was_asked_for_and_what_became_of_it(self, store: Store) -> None:
        """What a notification was to wait for is known after its deliveries have long finished."""
        with store.transaction() as tx:
            tx.add_notifications([notification(0, not_before=T0 - 5, audience_end=7)])
        add(store, delivery(1, expires_at=T0 + HOUR))
        with store.transaction() as tx:
            send(tx, 1, at=T0 + 3)
            tx.settle(
                [result(1, State.LOST, at=T0 + 9, rule="pace")],
                [verdict(1, at=T0 + 3)],
            )
        assert found(store) == [
            Record(
                recipient="ada",
                id=row_id(1),
                notification_id=row_id(0),
                kind=KIND,
                created_at=T0,
                not_before=T0 - 5,
                expires_at=T0 + HOUR,
                broadcast=True,
                state=State.LOST,
                rule="pace",
                updated_at=T0 + 9,
                digest_id=None,
                sent_at=T0 + 3,
            )
        ]

    def test_a_record_of_what_waits_has_the_state_and_the_rule_of_the_queue(
        self, store: Store
    ) -> None:
        """And its notification need not be there."""
        add(store, delivery(1, state=State.DEFERRED, rule="pace", held=True))
        (row,) = found(store)
        assert (row.state, row.rule, row.sent_at) == (State.DEFERRED, "pace", None)
        assert (row.broadcast, row.not_before) == (False, 0)

    def test_records_come_recipient_by_recipient_and_can_be_paged(self, store: Store) -> None:
        """Each page begins behind a recipient and an id, which need not exist."""
        add(
            store,
            delivery(1, recipient="bob"),
            delivery(4),
            delivery(2),
            delivery(3, recipient="bo"),
        )
        order = [("ada", row_id(2)), ("ada", row_id(4)), ("bo", row_id(3)), ("bob", row_id(1))]
        assert [(row.recipient, row.id) for row in found(store)] == order
        pages = []
        after = ("", "")
        with store.reading() as reader:
            while page := reader.records(0, NEVER, after=after, limit=1):
                pages += page
                after = (page[-1].recipient, page[-1].id)
            behind = reader.records(0, NEVER, after=("ada", row_id(3)))
            between = reader.records(0, NEVER, after=("b", "x"))
        assert pages == found(store)
        assert [row.id for row in behind] == ids(4, 3, 1)
        assert [row.id for row in between] == ids(3, 1)

    def test_records_are_of_what_was_open_in_the_span(self, store: Store) -> None:
        """Accepted before its end, and not finished before its beginning."""
        finished(store, 1, State.SENT, at=T0 + 5)
        add(store, delivery(2), delivery(3, created_at=T0 + 9, updated_at=T0 + 9))
        sending(store, 4)
        assert [row.id for row in found(store, T0 + 5, T0 + 10)] == ids(1, 2, 3, 4)
        assert [row.id for row in found(store, T0 + 6, T0 + 9)] == ids(2, 4)
        assert found(store, 0, T0) == []

    def test_only_an_attempt_that_counts_was_sent(self, store: Store) -> None:
        """The latest of them, while the delivery was under way."""
        add(store, delivery(1), delivery(2))
        with store.transaction() as tx:
            for number, at in enumerate((T0 + 1, T0 + 2, T0 + 3, T0 + HOUR), 1):
                send(tx, 1, number=number, at=at)
            send(tx, 2)
            tx.settle(
                [
                    result(1, State.SENT, attempt=4, at=T0 + MINUTE),
                    result(2, State.FAILED, at=T0 + MINUTE),
                ],
                [
                    verdict(1, number=3, at=T0 + 3, counts=False),
                    verdict(2, counts=False),
                ],
            )
        assert [row.sent_at for row in found(store)] == [T0 + 2, None]

    def test_what_a_digest_carried_was_sent_with_it(self, store: Store) -> None:
        """A member has no attempt of its own."""
        add(store, delivery(1), delivery(2))
        with store.transaction() as tx:
            send(tx, 1, at=T0 + 1)
            tx.extend([row_id(2)], T0 + MINUTE)
            member = result(2, State.DIGESTED, at=T0 + 2, digest_id=row_id(1))
            tx.settle([result(1, State.SENT, at=T0 + 2), member], [verdict(1, at=T0 + 1)])
        rows = found(store)
        assert [row.sent_at for row in rows] == [T0 + 1, T0 + 1]
        assert [row.digest_id for row in rows] == [None, row_id(1)]
