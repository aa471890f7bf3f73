"""Events: append-only, in one order."""

from __future__ import annotations

from typing import Any

from tactful.core.model import HOUR, Event, State
from tactful.ports import Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    delivery,
    finished,
    result,
    row_id,
    sending,
)
from tactful.testing.contracts.store.suite import StoreSuite


def _event(number: int, name: str = "sent", **changes: Any) -> Event:
    values = {"notification_id": row_id(0), "recipient": "ada"} | changes
    return Event(name, row_id(number), T0, **values)


class FactPromises(StoreSuite):
    """`events`, `add_events` and `last_event`."""

    def test_events_are_numbered_in_the_order_they_come(self, store: Store) -> None:
        """From 1, without a gap, whatever number they bring along."""
        add(store, delivery(1), delivery(2))
        with store.transaction() as tx:
            assert tx.last_event() == 0
            tx.add_events([_event(2), _event(1, seq=77)])
        with store.transaction() as tx:
            tx.add_events([_event(1, "opened")])
        with store.reading() as reader:
            got = [(event.seq, event.name, event.delivery_id) for event in reader.events()]
            assert reader.last_event() == 3
        assert got == [(1, "sent", row_id(2)), (2, "sent", row_id(1)), (3, "opened", row_id(1))]

    def test_events_are_found_by_what_they_are_about(self, store: Store) -> None:
        """Delivery, notification and name, alone and together."""
        add(store, delivery(1), delivery(2, notification_id="n"))
        with store.transaction() as tx:
            tx.add_events(
                [
                    _event(1, "sent"),
                    _event(2, "sent", notification_id="n"),
                    _event(1, "opened"),
                    _event(2, "opened", notification_id="n"),
                ]
            )
        with store.reading() as reader:
            assert [event.seq for event in reader.events(delivery_id=row_id(1))] == [1, 3]
            assert [event.seq for event in reader.events(notification_id="n")] == [2, 4]
            assert [event.seq for event in reader.events(name="opened")] == [3, 4]
            both = reader.events(notification_id="n", name="opened")
            assert [event.seq for event in both] == [4]
            assert reader.events(delivery_id="nothing") == []

    def test_events_can_be_read_page_by_page(self, store: Store) -> None:
        """`after` is the last number that was read."""
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.add_events([_event(1, f"e{n}") for n in range(1, 8)])
        with store.reading() as reader:
            assert [event.seq for event in reader.events(limit=3)] == [1, 2, 3]
            assert [event.seq for event in reader.events(after=3, limit=3)] == [4, 5, 6]
            assert [event.seq for event in reader.events(after=6, limit=3)] == [7]
            assert [event.seq for event in reader.events(after=2, name="e5")] == [5]
            assert reader.events(after=7) == []

    def test_an_event_takes_from_its_delivery_what_it_leaves_open(self, store: Store) -> None:
        """Most events need not repeat whose delivery it was."""
        add(store, delivery(1, notification_id="n", recipient="bob"))
        with store.transaction() as tx:
            tx.add_events([Event("sent", row_id(1), T0)])
        with store.reading() as reader:
            (event,) = reader.events(notification_id="n")
        assert (event.notification_id, event.recipient) == ("n", "bob")

    def test_facts_are_told_with_what_they_are_about(self, store: Store) -> None:
        """Type, channel and acceptance of the delivery, its earlier events, the rule it names."""
        add(store, delivery(1, recipient="bob", type="news", created_at=T0 - 5))
        with store.transaction() as tx:
            tx.add_events(
                [
                    Event("deferred", row_id(1), T0, data={"rule": "daily"}),
                    Event("clock.corrected", "", T0, data={"ahead_ms": 7}),
                    Event("rule.changed", "", T0),
                    Event("sent", row_id(1), T0 + 9, data={"by": "proxy"}),
                ]
            )
        with store.reading() as reader:
            deferred, clock, changed, sent = reader.facts()
            assert reader.facts(after=2, limit=1) == [changed]
        news = ("news", "email")
        waits = (1, "deferred", T0, row_id(1), "bob", *news, "daily", T0 - 5, (), None)
        assert tuple(deferred) == waits
        assert tuple(clock) == (2, "clock.corrected", T0, "", "", "", "", None, T0, (), None)
        assert changed.earlier == ()
        assert tuple(sent[:6]) == (4, "sent", T0 + 9, row_id(1), "bob", "news")
        assert (sent.rule, sent.earlier, sent.by) == (None, ("deferred",), "proxy")

    def test_a_fact_without_a_rule_has_that_of_its_finished_delivery(self, store: Store) -> None:
        """What a rule had held back is counted for that rule once it has gone out."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.settle([result(1, State.SENT, rule="daily")], [])
            tx.add_events([_event(1), _event(2)])
        with store.reading() as reader:
            known, unknown = reader.facts()
        assert known.rule == "daily"
        assert (unknown.type, unknown.channel, unknown.rule) == ("", "", None)
        assert unknown.created_at == unknown.at

    def test_an_event_may_be_about_no_delivery(self, store: Store) -> None:
        """Then it says itself what it is about."""
        with store.transaction() as tx:
            tx.add_events([Event("cancelled", "", T0, notification_id="n", recipient="bob")])
        with store.reading() as reader:
            (event,) = reader.events(notification_id="n")
        assert (event.delivery_id, event.notification_id, event.recipient) == ("", "n", "bob")

    def test_data_of_an_event_is_kept(self, store: Store) -> None:
        """As it was when the event was added."""
        data: dict[str, Any] = {"url": "https://example.com", "n": [1, None, {"x": "\u00fc"}]}
        add(store, delivery(1))
        with store.transaction() as tx:
            tx.add_events([_event(1, data=data)])
        data["n"].append("later")
        with store.reading() as reader:
            (event,) = reader.events()
        assert event == _event(1, data={**data, "n": [1, None, {"x": "\u00fc"}]}, seq=1)

    def test_a_number_is_never_given_twice(self, store: Store) -> None:
        """A listener that has read up to a number must not miss what comes after pruning."""
        finished(store, 1, State.SENT)
        with store.transaction() as tx:
            tx.add_events([_event(1), _event(1)])
        with store.transaction() as tx:
            while tx.prune(T0 + HOUR, 0, 100):
                pass
            assert tx.events() == []
        add(store, delivery(2))
        with store.transaction() as tx:
            tx.add_events([_event(2)])
        with store.reading() as reader:
            assert [event.seq for event in reader.events(after=2)] == [3]
