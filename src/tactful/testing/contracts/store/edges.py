"""Values that are very long, very many, empty, or in anybody's writing."""

from __future__ import annotations

import pytest

from tactful.core.model import HOUR, NEVER, Content, Event, Recipient, State
from tactful.ports import Lease, Remembered, Store
from tactful.testing.contracts.store.rows import (
    T0,
    add,
    attempt,
    delivery,
    due_ids,
    ids,
    known,
    notification,
    result,
    row_id,
    sending,
    verdict,
)
from tactful.testing.contracts.store.suite import StoreSuite

TEXTS = {
    "empty": "",
    "emoji": "\U0001f469\u200d\U0001f4bb \U0001f1fa\U0001f1f3 \u2764\ufe0f",
    "scripts": "Gr\u00fc\u00dfe \u0645\u0631\u062d\u0628\u0627 \u4f60\u597d \u0928\u092e\u0938",
    "combining": "e\u0301 is not \u00e9",
    "quotes": '\'; DROP TABLE deliveries; -- "%s" \\ {} ?',
    "lines": "one\r\ntwo\n\tthree\u2028four",
    "long": "0123456789" * 10_000,
}


class Edges(StoreSuite):
    """What no verb may stumble over."""

    @pytest.mark.parametrize("name", TEXTS)
    def test_texts_come_back_character_by_character(self, store: Store, name: str) -> None:
        """In content, data, reasons, details, names and notes."""
        text = TEXTS[name]
        content = Content(text, text, text, None, {"key": text, text: [text]})
        event = Event("sent", row_id(1), T0, data={"text": text})
        person = Recipient("ada", text, addresses={"post": "x"})
        sending(store, 1)
        with store.transaction() as tx:
            tx.add_notifications([notification(1, content=content)])
            tx.settle([result(1, State.FAILED, reason=text)], [verdict(1, detail=text)])
            tx.add_events([event])
            tx.put_recipients([person])
            tx.remember({"k": Remembered(text, text, T0)})
            tx.set_note("n", text)
            tx.put_policy("template", "t", {"text": text}, T0, text)
        with store.reading() as reader:
            assert reader.notifications(ids(1))[row_id(1)].content == content
            assert reader.attempts(row_id(1))[0].detail == text
            assert reader.events()[0].data == {"text": text}
            assert reader.recipient("ada") == person
            assert reader.remembered(["k"])["k"] == Remembered(text, text, T0)
            assert reader.note("n") == text
            assert reader.policies("template")[0].body == {"text": text}
            assert reader.policies("template")[0].author == text
        assert known(store, 1).reason == text

    @pytest.mark.parametrize("name", sorted(TEXTS.keys() - {"empty", "long", "lines"}))
    def test_keys_may_be_in_any_writing(self, store: Store, name: str) -> None:
        """Recipients, addresses and names are looked up as they were stored."""
        text = TEXTS[name]
        add(store, delivery(1, recipient=text, address=text, group=text, type=text))
        with store.transaction() as tx:
            tx.put_recipients([Recipient(text)])
            tx.lease([Lease(attempt(1, recipient=text), T0, 0)])
            tx.set_cells({text: 1})
            tx.remember({text: Remembered("f", "a", T0)})
            tx.put_policy("rule", text, {}, T0, "")
            assert [row.id for row in tx.deliveries(recipient=text)] == ids(1)
            assert set(tx.history([text], 0)) == {text}
            assert set(tx.recipients_by_key([text])) == {text}
            assert tx.cells([text]) == {text: 1}
            assert set(tx.remembered([text])) == {text}
            assert [row.name for row in tx.policies("rule")] == [text]

    def test_thousands_of_recipients_in_one_call(self, store: Store) -> None:
        """No list is too long for a question or a verb."""
        count = 2_000
        names = [f"r{number:05}" for number in range(count)]
        rows = [delivery(n, recipient=name) for n, name in enumerate(names)]
        add(store, *rows, *(delivery(count + n, recipient=name) for n, name in enumerate(names)))
        with store.transaction() as tx:
            assert len(tx.due(T0, 10_000)) == 2 * count
            tx.lease([Lease(attempt(n, recipient=name), T0 + 1, 0) for n, name in enumerate(names)])
            assert tx.put_recipients([Recipient(name, email=name) for name in names]) == count
        with store.reading() as reader:
            assert len(reader.history(names, 0)) == count
            lines = reader.lines(names, 5)
            assert len(lines) == count
            assert {line.total for line in lines.values()} == {1}
            assert len(reader.recipients_by_key(names)) == count
            assert len(reader.owners(names)) == count
            assert reader.suppressions(names) == []
        with store.transaction() as tx:
            batch = [result(n, State.SENT) for n in range(count)]
            assert tx.settle(batch, [verdict(n) for n in range(count)]) == []
        assert len(due_ids(store, T0, 10_000)) == count

    def test_empty_calls_do_nothing(self, store: Store) -> None:
        """Callers need not look whether they have anything to say."""
        with store.transaction() as tx:
            tx.add_notifications([])
            tx.add_deliveries([])
            tx.lease([])
            tx.extend([], T0)
            tx.renew([], T0)
            assert tx.settle([], []) == []
            assert tx.wake(T0, []) == 0
            assert tx.release(T0) == 0
            tx.add_events([])
            assert tx.put_recipients([]) == 0
            assert tx.due(T0, 10) == []
            assert tx.deliveries() == []
            assert tx.notifications([]) == {}
            assert tx.recipients_by_key([]) == {}
            assert tx.owners([]) == {}

    def test_instants_at_the_ends_of_time_are_exact(self, store: Store) -> None:
        """NEVER, zero, and every millisecond between."""
        instants = [0, 1, T0, T0 + 1, NEVER - 1, NEVER]
        add(
            store,
            *(
                delivery(n, due_at=at, not_before=at, expires_at=at)
                for n, at in enumerate(instants)
            ),
        )
        for number, at in enumerate(instants):
            row = known(store, number)
            assert (row.due_at, row.not_before, row.expires_at) == (at, at, at)
            assert due_ids(store, at) == ids(*range(number + 1))

    def test_a_wait_for_never_can_end(self, store: Store) -> None:
        """By a new decision, and by being woken."""
        add(store, *(delivery(n, state=State.DEFERRED, due_at=NEVER, held=True) for n in (1, 2)))
        with store.transaction() as tx:
            tx.settle([result(1, State.QUEUED, attempt=None, due_at=T0)], [])
            tx.wake(T0 + HOUR, ["ada"])
        assert due_ids(store, T0) == ids(1)
        assert due_ids(store, T0 + HOUR) == ids(1, 2)
