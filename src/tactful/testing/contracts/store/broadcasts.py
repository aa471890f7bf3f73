"""Notifications, and broadcasts that reach their recipients little by little."""

from __future__ import annotations

from tactful.core.model import HOUR, Content
from tactful.ports import Store
from tactful.testing.contracts.store.rows import T0, ids, notification, row_id
from tactful.testing.contracts.store.suite import StoreSuite


class Broadcasts(StoreSuite):
    """`notifications`, `add_notifications` and the verbs for broadcasts."""

    def test_a_notification_reads_as_it_was_added(self, store: Store) -> None:
        """Content, audience and all."""
        data = {"name": "Ada", "items": [1, 2.5, None, True], "deep": {"er": ["x"]}}
        row = notification(
            1,
            content=Content("Subject", "Text", "<p>Html</p>", "welcome", data),
            channels=("email", "sms"),
            expires_at=T0 + HOUR,
            not_before=T0 + 5,
            cursor=0,
            audience_end=17,
            audience={"locale": "en"},
            trace=f"00-{1:032x}-{2:016x}-01",
        )
        with store.transaction() as tx:
            tx.add_notifications([row, notification(2)])
        with store.reading() as reader:
            got = reader.notifications(ids(1, 2, 3))
        assert got == {row_id(1): row, row_id(2): notification(2)}

    def test_data_of_a_notification_is_the_stores_own(self, store: Store) -> None:
        """Whoever goes on to change a dict that was handed in or out changes nothing stored."""
        data = {"items": [1]}
        with store.transaction() as tx:
            tx.add_notifications([notification(1, content=Content(data=data))])
        data["items"].append(2)
        with store.reading() as reader:
            reader.notifications(ids(1))[row_id(1)].content.data["items"].append(3)
            assert reader.notifications(ids(1))[row_id(1)].content.data == {"items": [1]}

    def test_unfinished_broadcasts_come_oldest_first(self, store: Store) -> None:
        """Notifications to somebody are not among them."""
        with store.transaction() as tx:
            tx.add_notifications(
                [notification(3, cursor=0), notification(1, cursor=4), notification(2)]
            )
        with store.reading() as reader:
            assert [row.id for row in reader.unfinished_broadcasts()] == ids(1, 3)

    def test_a_broadcast_advances_until_it_is_done(self, store: Store) -> None:
        """The cursor is None when everybody has been reached."""
        with store.transaction() as tx:
            tx.add_notifications([notification(1, cursor=0, audience_end=9)])
            tx.advance_broadcast(row_id(1), 5)
            assert [row.cursor for row in tx.unfinished_broadcasts()] == [5]
            tx.advance_broadcast(row_id(1), None)
            assert tx.unfinished_broadcasts() == []
            done = tx.notifications(ids(1))[row_id(1)]
        assert (done.cursor, done.audience_end, done.cancelled) == (None, 9, False)

    def test_a_cancelled_broadcast_reaches_nobody_else(self, store: Store) -> None:
        """Not even if somebody who has not heard of it wants to go on."""
        with store.transaction() as tx:
            tx.add_notifications([notification(1, cursor=0)])
            tx.cancel_broadcast(row_id(1))
        with store.transaction() as tx:
            tx.advance_broadcast(row_id(1), 100)
            assert tx.unfinished_broadcasts() == []
            assert tx.notifications(ids(1))[row_id(1)].cancelled
