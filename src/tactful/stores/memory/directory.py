"""People, their addresses, and the addresses nobody may write to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tactful.core.model import Recipient
from tactful.core.names import address_keys
from tactful.ports import Suppression
from tactful.stores.memory.copies import recipient_copy
from tactful.stores.memory.tables import Tables, add_sorted, drop_sorted


class Directory(Tables):
    """Who is known and how to reach them."""

    def recipient(self, key: str) -> Recipient | None:
        """See `Reader.recipient`."""
        known = self.people.get(key)
        return None if known is None else recipient_copy(known[1])

    def recipients(
        self, *, after: int = 0, until: int | None = None, limit: int = 1000
    ) -> list[tuple[int, Recipient]]:
        """See `Reader.recipients`; `until` is included."""
        numbers = self.numbers.get("", [])
        first = bisect_right(numbers, after)
        last = len(numbers) if until is None else bisect_right(numbers, until)
        some = numbers[first : max(first, min(last, first + limit))]
        return [(n, recipient_copy(self.people[self.key_of_number[n]][1])) for n in some]

    def recipients_by_key(self, keys: Sequence[str]) -> dict[str, Recipient]:
        """See `Reader.recipients_by_key`."""
        return {key: recipient_copy(self.people[key][1]) for key in keys if key in self.people}

    def owners(self, addresses: Sequence[str]) -> dict[str, str]:
        """See `Reader.owners`."""
        return {one: self.owner_of[one] for one in addresses if one in self.owner_of}

    def last_recipient(self) -> int:
        """See `Reader.last_recipient`."""
        numbers = self.numbers.get("")
        return numbers[-1] if numbers else 0

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        """See `Tx.put_recipients`.

        Raises RequestError for an address that has no normal form.
        """
        new = 0
        for row in rows:
            known = self.people.get(row.id)
            number = self.last_number + 1 if known is None else known[0]
            if known is None:
                new += 1
                # Counted up and never down: a number that was given is not given again.
                self.journal.assign(self, "last_number", number)
                self.journal.put(self.key_of_number, number, row.id)
                self.journal.note(drop_sorted, self.numbers, "", number)
                add_sorted(self.numbers, "", number)
            self.journal.put(self.people, row.id, (number, recipient_copy(row)))
            self._leave_addresses(row.id)
            addresses = tuple(address_keys(row))
            if addresses:
                self.journal.put(self.addresses_of, row.id, addresses)
            for address in addresses:
                self.journal.put(self.owner_of, address, row.id)
        return new

    def remove_recipient(self, key: str) -> bool:
        """See `Tx.remove_recipient`."""
        known = self.people.get(key)
        if known is None:
            return False
        self._leave_addresses(key)
        self.journal.drop(self.people, key)
        self.journal.drop(self.key_of_number, known[0])
        self.journal.note(self._number_again, known[0])
        drop_sorted(self.numbers, "", known[0])
        return True

    def suppressions(self, addresses: Sequence[str]) -> list[Suppression]:
        """See `Reader.suppressions`."""
        known = sorted({address for address in addresses if address in self.blocked})
        return [self.blocked[key][scope] for key in known for scope in sorted(self.blocked[key])]

    def suppress(self, row: Suppression) -> None:
        """See `Tx.suppress`; once more for the same scope only changes reason and instant."""
        known = self.blocked.get(row.address, {})
        changed = {**known, (row.channel, row.scope): row}
        self.journal.put(self.blocked, row.address, changed)

    def unsuppress(self, channel: str, address: str) -> bool:
        """See `Tx.unsuppress`; for all scopes."""
        known = self.blocked.get(address, {})
        left = {key: row for key, row in known.items() if key[0] != channel}
        if left:
            self.journal.put(self.blocked, address, left)
        else:
            self.journal.drop(self.blocked, address)
        return len(left) < len(known)

    def _leave_addresses(self, key: str) -> None:
        for address in self.addresses_of.get(key, ()):
            # It may have moved to somebody else in the meantime.
            if self.owner_of.get(address) == key:
                self.journal.drop(self.owner_of, address)
        self.journal.drop(self.addresses_of, key)

    def _number_again(self, number: int) -> None:
        drop_sorted(self.numbers, "", number)
        add_sorted(self.numbers, "", number)
