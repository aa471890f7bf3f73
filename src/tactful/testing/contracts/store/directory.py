"""People, whom an address belongs to, and whom nobody may write to."""

from __future__ import annotations

from tactful.core.model import Recipient
from tactful.ports import Store, Suppression
from tactful.testing.contracts.store.rows import T0, add, delivery, row_id, send, sending
from tactful.testing.contracts.store.suite import StoreSuite

ADA = Recipient(
    "ada",
    "Ada Lovelace",
    "ada@example.com",
    "Europe/London",
    "en-GB",
    {"sms": "+44 20 1234"},
    ("type:news", "channel:sms"),
)
BOB = Recipient("bob", addresses={"email": "bob@example.com"})
CY = Recipient("cy")


class DirectoryPromises(StoreSuite):
    """Recipients, addresses and suppressions."""

    def test_a_recipient_reads_as_it_was_put(self, store: Store) -> None:
        """With every field; unknown ones are None or left out."""
        with store.transaction() as tx:
            assert tx.put_recipients([ADA, CY]) == 2
        with store.reading() as reader:
            assert reader.recipient("ada") == ADA
            assert reader.recipient("nobody") is None
            assert reader.recipients_by_key(["cy", "ada", "x"]) == {"ada": ADA, "cy": CY}

    def test_recipients_are_numbered_in_the_order_of_registration(self, store: Store) -> None:
        """A broadcast reaches those up to a number, that one included."""
        with store.transaction() as tx:
            assert tx.last_recipient() == 0
            tx.put_recipients([CY, ADA])
            tx.put_recipients([BOB])
        with store.reading() as reader:
            everybody = reader.recipients()
            assert [person.id for _, person in everybody] == ["cy", "ada", "bob"]
            first, second, third = (number for number, _ in everybody)
            assert first < second < third == reader.last_recipient()
            assert reader.recipients(after=first, until=second) == [(second, ADA)]
            assert reader.recipients(after=first, limit=1) == [(second, ADA)]
            assert reader.recipients(until=first) == [(first, CY)]
            assert reader.recipients(after=third) == []

    def test_a_change_keeps_the_number(self, store: Store) -> None:
        """And is not counted as new."""
        with store.transaction() as tx:
            tx.put_recipients([ADA, BOB])
            before = tx.recipients()
            changed = Recipient("ada", "Ada King")
            assert tx.put_recipients([changed, CY]) == 1
            assert tx.recipient("ada") == changed
            assert [number for number, _ in tx.recipients()][:2] == [n for n, _ in before]

    def test_a_number_is_never_given_to_somebody_else(self, store: Store) -> None:
        """Or a broadcast that was under way would reach people it was not meant for."""
        with store.transaction() as tx:
            tx.put_recipients([ADA, BOB])
            numbers = {number for number, _ in tx.recipients()}
            tx.remove_recipient("bob")
            tx.put_recipients([CY, BOB])
            later = {number for number, person in tx.recipients() if person.id != "ada"}
        assert min(later) > max(numbers)

    def test_a_removed_recipient_is_forgotten(self, store: Store) -> None:
        """With all addresses; the second time there is nobody to remove."""
        with store.transaction() as tx:
            tx.put_recipients([ADA, BOB])
            assert tx.remove_recipient("ada") is True
            assert tx.remove_recipient("ada") is False
        with store.reading() as reader:
            assert reader.recipient("ada") is None
            assert [person.id for _, person in reader.recipients()] == ["bob"]
            assert reader.owners(["ada@example.com", "bob@example.com"]) == {
                "bob@example.com": "bob"
            }

    def test_what_was_sent_to_a_removed_recipient_stays_counted(self, store: Store) -> None:
        """Removing oneself is no way round a limit."""
        sending(store, 1)
        with store.transaction() as tx:
            tx.put_recipients([ADA])
            tx.remove_recipient("ada")
        with store.reading() as reader:
            assert len(reader.history(["ada"], 0)["ada"]) == 1
            assert reader.delivery(row_id(1)) is not None

    def test_an_address_is_known_in_any_spelling(self, store: Store) -> None:
        """One person cannot be counted twice by writing an address differently."""
        odd = Recipient("dee", addresses={"email": " Dee@Example.COM"})
        with store.transaction() as tx:
            tx.put_recipients([odd])
            assert tx.owners(["dee@example.com"]) == {"dee@example.com": "dee"}
            assert tx.owners(["unknown@example.com"]) == {}
            assert tx.recipient("dee") == odd

    def test_every_address_of_a_recipient_is_known(self, store: Store) -> None:
        """Of each kind, and the one that was given as `email`."""
        with store.transaction() as tx:
            tx.put_recipients([ADA])
            assert tx.owners(["ada@example.com", "+44 20 1234"]) == {
                "ada@example.com": "ada",
                "+44 20 1234": "ada",
            }

    def test_an_address_belongs_to_whom_it_was_given_last(self, store: Store) -> None:
        """The owner before keeps everything else."""
        taken = Recipient("eve", email="ada@example.com")
        with store.transaction() as tx:
            tx.put_recipients([ADA])
            tx.put_recipients([taken])
            assert tx.owners(["ada@example.com", "+44 20 1234"]) == {
                "ada@example.com": "eve",
                "+44 20 1234": "ada",
            }
            tx.remove_recipient("ada")
            assert tx.owners(["ada@example.com"]) == {"ada@example.com": "eve"}

    def test_an_address_that_was_left_belongs_to_nobody(self, store: Store) -> None:
        """Somebody who changes an address does not keep the old one."""
        with store.transaction() as tx:
            tx.put_recipients([BOB])
            tx.put_recipients([Recipient("bob", email="new@example.com")])
            assert tx.owners(["bob@example.com", "new@example.com"]) == {"new@example.com": "bob"}

    def test_what_was_sent_to_an_address_counts_for_whom_it_turns_out_to_be(
        self, store: Store
    ) -> None:
        """Nobody gets more by being registered in between; who is registered keeps their own."""
        stranger = "dee@example.com"
        add(store, delivery(1, recipient=stranger), delivery(2, recipient=stranger, due_at=T0 + 5))
        add(store, delivery(3, recipient="ada"))
        with store.transaction() as tx:
            send(tx, 1, recipient=stranger)
            send(tx, 3, recipient="ada")
            tx.put_recipients([ADA, Recipient("dee", email="Dee@example.com")])
        with store.transaction() as tx:
            history = tx.history(["dee", "ada", stranger], 0)
            assert {who: len(entries) for who, entries in history.items()} == {"dee": 1, "ada": 1}
            assert [row.id for row in tx.deliveries(recipient="dee")] == [row_id(1), row_id(2)]
            assert [row.id for row in tx.lines(["dee", stranger], 9)["dee"].waiting] == [row_id(2)]
            assert tx.deliveries(recipient=stranger) == []

    def test_addresses_can_be_swapped_in_one_call(self, store: Store) -> None:
        """The order of the rows does not matter."""
        with store.transaction() as tx:
            tx.put_recipients([Recipient("a", email="x"), Recipient("b", email="y")])
            tx.put_recipients([Recipient("a", email="y"), Recipient("b", email="x")])
            assert tx.owners(["x", "y"]) == {"x": "b", "y": "a"}

    def test_a_suppression_is_found_by_its_address(self, store: Store) -> None:
        """Over all channels and scopes."""
        rows = [
            Suppression("email", "a@example.com", "all", "bounced", T0),
            Suppression("email", "a@example.com", "offers", "asked", T0 + 1),
            Suppression("sms", "a@example.com", "all", "stop", T0 + 2),
            Suppression("email", "b@example.com", "all", "bounced", T0 + 3),
        ]
        with store.transaction() as tx:
            for row in rows:
                tx.suppress(row)
        with store.reading() as reader:
            assert sorted(reader.suppressions(["a@example.com"])) == sorted(rows[:3])
            both = reader.suppressions(["b@example.com", "a@example.com", "c@example.com"])
            assert sorted(both) == sorted(rows)
            assert reader.suppressions([]) == []

    def test_suppressing_twice_is_suppressing_once(self, store: Store) -> None:
        """The later reason is the one that is kept."""
        row = Suppression("email", "a@example.com", "all", "bounced", T0)
        with store.transaction() as tx:
            tx.suppress(row)
            tx.suppress(row._replace(reason="complained", at=T0 + 9))
            assert tx.suppressions(["a@example.com"]) == [
                row._replace(reason="complained", at=T0 + 9)
            ]

    def test_an_address_can_be_taken_off_the_list(self, store: Store) -> None:
        """For one channel, with all scopes."""
        with store.transaction() as tx:
            tx.suppress(Suppression("email", "a", "all", "bounced", T0))
            tx.suppress(Suppression("email", "a", "offers", "asked", T0))
            tx.suppress(Suppression("sms", "a", "all", "stop", T0))
            assert tx.unsuppress("email", "a") is True
            assert tx.unsuppress("email", "a") is False
            assert [row.channel for row in tx.suppressions(["a"])] == ["sms"]
