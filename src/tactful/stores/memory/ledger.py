"""Attempts, and the history of each recipient that limits are counted on.

The history holds one entry for each attempt that counts, ascending. Equal entries cannot be told
apart and need not be, except by the undo steps, which therefore go by identity.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tactful.core.model import Entry, Millis
from tactful.ports import Attempt, Verdict
from tactful.stores.memory.copies import attempt_copy
from tactful.stores.memory.tables import Tables


class Ledger(Tables):
    """What was handed over, and what limits still count of it."""

    def attempts(self, delivery_id: str) -> list[Attempt]:
        """See `Reader.attempts`."""
        return [attempt_copy(row) for row in self.attempts_of.get(delivery_id, [])]

    def history(self, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        """See `Reader.history`."""
        # A tuple of one sorts before every entry of its instant.
        edge = cast("Entry", (since + 1,))
        found: dict[str, list[Entry]] = {}
        for recipient in recipients:
            entries = self.entries.get(recipient)
            if entries is not None and entries[-1].at > since:
                found[recipient] = entries[bisect_left(entries, edge) :]
        return found

    def latest_attempt(self) -> Millis | None:
        """See `Reader.latest_attempt`."""
        return self.youngest

    def cells(self, keys: Sequence[str]) -> dict[str, int]:
        """See `Reader.cells`."""
        return {key: self.arrival_times[key] for key in keys if key in self.arrival_times}

    def set_cells(self, cells: Mapping[str, int]) -> None:
        """See `Tx.set_cells`."""
        for key, value in cells.items():
            self.journal.put(self.arrival_times, key, value)

    def _turn_back_attempts(self, to: Millis) -> int:
        """Restamp attempts later than `to`; gives how many."""
        if self.youngest is None or self.youngest <= to:
            return 0
        self.journal.assign(self, "youngest", to)
        late = [row for rows in self.attempts_of.values() for row in rows if row.at > to]
        for row in late:
            if row.counts:
                self._remove_entry(row)
            self.journal.assign(row, "at", to)
            if row.counts:
                self._add_entry(row)
        return len(late)

    def _add_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Write new attempts; their numbers ascend within each delivery."""
        added: list[tuple[Attempt, Entry | None]] = []
        self.journal.note(self._remove_added_attempts, added)
        youngest = self.youngest
        for given in attempts:
            row = attempt_copy(given)
            entry = Entry(row.at, row.kind) if row.counts else None
            added.append((row, entry))
            known = self.attempts_of.get(row.delivery_id)
            if known is None:
                self.attempts_of[row.delivery_id] = [row]
            else:
                known.append(row)
            if entry is not None:
                _insert(self.entries, row.recipient, entry)
            if youngest is None or row.at > youngest:
                youngest = row.at
        self.journal.assign(self, "youngest", youngest)

    def _remove_added_attempts(self, added: Sequence[tuple[Attempt, Entry | None]]) -> None:
        for row, entry in reversed(added):
            known = self.attempts_of.get(row.delivery_id)
            if known is not None and known[-1] is row:
                known.pop()
                if not known:
                    del self.attempts_of[row.delivery_id]
            if entry is not None:
                _remove(self.entries, row.recipient, entry)

    def _judge(self, verdicts: Sequence[Verdict]) -> None:
        """Write what the outcomes say; an attempt that is not known (any more) is left out."""
        saved: list[tuple[Attempt, str | None, str | None]] = []
        self.journal.note(_restore_outcomes, saved)
        for delivery_id, number, _, _, outcome, detail, counts in verdicts:
            for row in reversed(self.attempts_of.get(delivery_id, ())):
                if row.number == number:
                    saved.append((row, row.outcome, row.detail))
                    row.outcome = outcome
                    row.detail = detail
                    if row.counts and not counts:
                        self._remove_entry(row)
                        self.journal.assign(row, "counts", False)
                    break

    def _add_entry(self, row: Attempt) -> None:
        entry = Entry(row.at, row.kind)
        self.journal.note(_remove, self.entries, row.recipient, entry)
        _insert(self.entries, row.recipient, entry)

    def _remove_entry(self, row: Attempt) -> None:
        entries = self.entries[row.recipient]
        entry = entries[bisect_left(entries, (row.at, row.kind))]
        assert entry == (row.at, row.kind), "every counted attempt has its entry"
        self.journal.note(_insert_again, self.entries, row.recipient, entry)
        _remove(self.entries, row.recipient, entry)

    def _prune_attempts(self, before: Millis, limit: int) -> int:
        """Delete at most `limit` attempts older than `before`; gives how many."""
        gone = 0
        for delivery_id, rows in list(self.attempts_of.items()):
            if gone >= limit:
                break
            old = [row for row in rows if row.at < before][: limit - gone]
            if not old:
                continue
            gone += len(old)
            for row in old:
                if row.counts:
                    self._remove_entry(row)
            left = [row for row in rows if row not in old]
            if left:
                self.journal.put(self.attempts_of, delivery_id, left)
            else:
                self.journal.drop(self.attempts_of, delivery_id)
        return gone


def _insert(index: dict[str, list[Entry]], recipient: str, entry: Entry) -> None:
    entries = index.get(recipient)
    if entries is None:
        index[recipient] = [entry]
    elif entries[-1] <= entry:
        entries.append(entry)
    else:
        insort(entries, entry)


def _find(entries: Sequence[Entry], entry: Entry) -> int | None:
    """Where this very entry is, not just an equal one."""
    for place in range(bisect_left(entries, entry), len(entries)):
        if entries[place] is entry:
            return place
        if entries[place] != entry:
            break
    return None


def _remove(index: dict[str, list[Entry]], recipient: str, entry: Entry) -> None:
    entries = index.get(recipient)
    place = None if entries is None else _find(entries, entry)
    if entries is not None and place is not None:
        del entries[place]
        if not entries:
            del index[recipient]


def _insert_again(index: dict[str, list[Entry]], recipient: str, entry: Entry) -> None:
    if _find(index.get(recipient, []), entry) is None:
        _insert(index, recipient, entry)


def _restore_outcomes(saved: Sequence[tuple[Attempt, Any, Any]]) -> None:
    for row, outcome, detail in reversed(saved):
        row.outcome = outcome
        row.detail = detail
