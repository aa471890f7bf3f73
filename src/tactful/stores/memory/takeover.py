"""What was sent to an address, before anybody was registered with it, becomes a person's."""

from __future__ import annotations

from collections.abc import Sequence

from tactful.core.model import Recipient
from tactful.ports import Delivery
from tactful.stores.memory.directory import Directory
from tactful.stores.memory.ledger import Ledger
from tactful.stores.memory.tables import add_sorted, drop_sorted


class TakeOver(Ledger, Directory):
    """Moves deliveries and attempts from one recipient to another."""

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        """See `Tx.put_recipients`."""
        new = super().put_recipients(rows)
        for row in rows:
            for address in self.addresses_of.get(row.id, ()):
                if address not in self.people:
                    self._take_over(address, self.owner_of[address])
        return new

    def _take_over(self, old: str, new: str) -> None:
        for key in list(self.ids_of_recipient.get(old, ())):
            self.journal.note(self._move, self.rows[key], old)
            self._move(self.rows[key], new)
            for attempt in self.attempts_of.get(key, ()):
                if attempt.counts:
                    self._remove_entry(attempt)
                self.journal.assign(attempt, "recipient", new)
                if attempt.counts:
                    self._add_entry(attempt)

    def _move(self, row: Delivery, recipient: str) -> None:
        self._leave_line(row)
        drop_sorted(self.ids_of_recipient, row.recipient, row.id)
        row.recipient = recipient
        add_sorted(self.ids_of_recipient, recipient, row.id)
        self._place(row)
