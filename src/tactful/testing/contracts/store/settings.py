"""Versions of policies, idempotency keys and notes."""

from __future__ import annotations

import threading
from typing import Any

from tactful.core.model import NEVER
from tactful.ports import Policy, Remembered, Store
from tactful.testing.contracts.store.rows import T0
from tactful.testing.contracts.store.suite import StoreSuite


class SettingPromises(StoreSuite):
    """`put_policy`, `remember`, `set_note` and their questions."""

    def test_every_policy_is_a_new_version(self, store: Store) -> None:
        """One counter over all kinds; its last value is the epoch."""
        with store.transaction() as tx:
            assert tx.epoch() == 0
            assert tx.put_policy("rule", "cap", {"count": 3}, T0, "ada") == 1
            assert tx.put_policy("type", "news", {"ttl": None}, T0 + 1, "bob") == 2
            assert tx.put_policy("rule", "cap", {"count": 4}, T0 + 2, "ada") == 3
        with store.reading() as reader:
            assert reader.epoch() == 3
            assert reader.policies("rule") == [
                Policy(3, "rule", "cap", {"count": 4}, T0 + 2, "ada")
            ]
            assert [row.version for row in reader.policy_history("rule")] == [1, 3]

    def test_policies_in_force_come_by_name(self, store: Store) -> None:
        """Only those of the kind that was asked for."""
        with store.transaction() as tx:
            for name in ("b", "c", "a"):
                tx.put_policy("rule", name, {}, T0, "")
            tx.put_policy("type", "z", {}, T0, "")
            assert [row.name for row in tx.policies("rule")] == ["a", "b", "c"]
            assert tx.policies("template") == []

    def test_a_removed_policy_is_not_in_force(self, store: Store) -> None:
        """Its history stays, and it can come back."""
        with store.transaction() as tx:
            tx.put_policy("rule", "cap", {"count": 3}, T0, "ada")
            assert tx.put_policy("rule", "cap", None, T0 + 1, "bob") == 2
            assert tx.policies("rule") == []
            assert [row.body for row in tx.policy_history("rule", "cap")] == [{"count": 3}, None]
            tx.put_policy("rule", "cap", {"count": 5}, T0 + 2, "ada")
            assert [row.body for row in tx.policies("rule")] == [{"count": 5}]

    def test_the_history_of_one_policy_can_be_asked_for(self, store: Store) -> None:
        """Oldest first."""
        with store.transaction() as tx:
            tx.put_policy("rule", "a", {"n": 1}, T0, "ada")
            tx.put_policy("rule", "b", {"n": 2}, T0, "ada")
            tx.put_policy("rule", "a", {"n": 3}, T0, "bob")
            got = tx.policy_history("rule", "a")
            assert [(row.version, row.author) for row in got] == [(1, "ada"), (3, "bob")]
            assert tx.policy_history("rule", "c") == []

    def test_the_body_of_a_policy_is_the_stores_own(self, store: Store) -> None:
        """Nobody changes a version afterwards."""
        body: dict[str, Any] = {"match": {"types": ["news"]}, "share": 0.5, "on": True}
        with store.transaction() as tx:
            tx.put_policy("rule", "cap", body, T0, "")
            body["match"]["types"].append("offers")
            got = tx.policies("rule")[0].body
        assert got == {"match": {"types": ["news"]}, "share": 0.5, "on": True}

    def test_an_idempotency_key_is_remembered(self, store: Store) -> None:
        """The last value stands; keys that are not known are left out."""
        first, second = Remembered("f", "{}", T0), Remembered("g", '{"id": 1}', NEVER)
        with store.transaction() as tx:
            tx.remember({"k": first})
            tx.remember({"l": first})
            tx.remember({"k": second})
        with store.reading() as reader:
            assert reader.remembered(["k", "l", "m"]) == {"k": second, "l": first}
            assert reader.remembered([]) == {}

    def test_a_note_is_kept_under_its_name(self, store: Store) -> None:
        """The last value stands."""
        with store.transaction() as tx:
            assert tx.note("position") is None
            tx.set_note("position", "17")
            tx.set_note("position", "18")
            tx.set_note("empty", "")
        with store.reading() as reader:
            assert (reader.note("position"), reader.note("empty")) == ("18", "")

    def test_who_is_alone_with_policies_changes_what_they_have_read(self, store: Store) -> None:
        """Of many who count on, none is lost."""
        failures: list[BaseException] = []

        def count() -> None:
            try:
                for _ in range(20):
                    with store.transaction() as tx:
                        tx.alone()
                        now = sum((row.body or {})["count"] for row in tx.policies("rule"))
                        tx.put_policy("rule", "cap", {"count": now + 1}, T0, "ada")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with store.reading() as reader:
            assert [row.body for row in reader.policies("rule")] == [{"count": 60}]
