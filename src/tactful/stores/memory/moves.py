"""The verbs that move deliveries: what is due, leases, results, waking and engagement.

A move that `core.lifecycle` does not know is a bug of the caller: AssertionError, and with it the
transaction is rolled back. A result that comes too late is no bug: it is fenced off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from tactful.core.lifecycle import ARRIVED, FINISHED, applies, can_move
from tactful.core.model import Millis, State
from tactful.ports import EVERYTHING, Ages, Delivery, Lease, Result, Verdict
from tactful.stores.memory.copies import changing, delivery_copy
from tactful.stores.memory.deliveries import finish
from tactful.stores.memory.ledger import Ledger
from tactful.stores.memory.tables import DEFERRED, QUEUED, SENDING

_Saved: TypeAlias = list[tuple[Delivery, tuple[Any, ...]]]

# A short tuple answers by identity; a set would hash the member, which is Python code.
_BEFORE_SENDING = tuple(state for state in State if can_move(state, SENDING))


class Moves(Ledger):
    """The life of a delivery once it is in the store."""

    def guard(self, recipients: Sequence[str]) -> None:
        """See `Tx.guard`; a transaction has the store to itself anyhow."""

    def alone(self) -> None:
        """See `Tx.alone`."""

    def editions(self, recipients: Sequence[str]) -> dict[str, int]:
        """See `Tx.editions`: there are none."""
        del recipients
        return {}

    def due(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        """See `Tx.due`."""
        return [delivery_copy(row) for row in self.queue.peek(now, limit, busy, ages)]

    def lease(self, leases: Sequence[Lease]) -> None:
        """See `Tx.lease`."""
        self._add_attempts([lease.attempt for lease in leases])
        saved = self._journal_rows()
        find, hold = self.rows.get, self._hold
        for attempt, until, crashes, owner in leases:
            row = find(attempt.delivery_id)
            number = attempt.number
            assert row is not None, f"there is no delivery {attempt.delivery_id}"
            assert attempt.recipient == row.recipient, "an attempt is the delivery's recipient's"
            assert number > row.attempts, "each attempt has a number of its own"
            hold(saved, row, until, owner)
            row.attempts = number
            row.crashes = crashes

    def extend(self, delivery_ids: Sequence[str], until: Millis, owner: str = "") -> None:
        """See `Tx.extend`; counts as a hand-over, so that a late result is fenced off."""
        saved = self._journal_rows()
        for delivery_id in delivery_ids:
            row = self.rows.get(delivery_id)
            assert row is not None, f"there is no delivery {delivery_id}"
            self._hold(saved, row, until, owner)
            row.attempts += 1

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        """See `Tx.settle`."""
        fenced: list[str] = []
        saved = self._journal_rows()
        for result in results:
            row = self.rows.get(result.delivery_id)
            if row is None or not applies(row.state, row.attempts, result.state, result.attempt):
                fenced.append(result.delivery_id)
            else:
                self._apply(saved, row, result)
        self._judge(verdicts)
        return fenced

    def wake(self, now: Millis, recipients: Sequence[str], *, anew: int | None = None) -> int:
        """See `Tx.wake`."""
        groups = [self.held_ids.get(recipient, ()) for recipient in dict.fromkeys(recipients)]
        found = [self.rows[delivery_id] for group in groups for delivery_id in group]
        rows = [row for row in found if anew is None or row.priority == anew]
        saved = self._journal_rows()
        for row in rows:
            self._look_at(saved, row, max(now, row.not_before), row.not_before)
            if anew is not None:
                row.rule = None
        return len(rows)

    def pause_deliveries(self, delivery_ids: Sequence[str]) -> list[str]:
        """See `Tx.pause_deliveries`."""
        saved = self._journal_rows()
        rows = [row for row in self._waiting(delivery_ids) if not row.paused]
        for row in rows:
            saved.append((row, changing(row)))
            self._leave_line(row)
            row.paused = True
            row.promised = False
            row.held = False
            row.rule = None
            row.due_at = row.expires_at
            if row.decided:
                row.state = DEFERRED
            self._place(row)
        return sorted(row.id for row in rows)

    def resume_deliveries(self, delivery_ids: Sequence[str], now: Millis) -> list[str]:
        """See `Tx.resume_deliveries`."""
        saved = self._journal_rows()
        rows = [row for row in self._waiting(delivery_ids) if row.paused]
        for row in rows:
            saved.append((row, changing(row)))
            row.paused = False
            row.decided = False
            row.due_at = max(now, row.not_before)
            self._place(row)
        return sorted(row.id for row in rows)

    def _waiting(self, delivery_ids: Sequence[str]) -> list[Delivery]:
        found = (self.rows.get(delivery_id) for delivery_id in dict.fromkeys(delivery_ids))
        return [row for row in found if row is not None and row.state in (QUEUED, DEFERRED)]

    def engage(self, delivery_id: str, opened_at: Millis, clicked_at: Millis | None) -> bool:
        """See `Tx.engage`; a click on what was opened before is kept, the first one."""
        row = self.rows.get(delivery_id)
        if row is None or row.state not in ARRIVED:
            return False
        if row.opened_at is None:
            self.journal.assign(row, "opened_at", opened_at)
            self.journal.assign(row, "clicked_at", clicked_at)
            return True
        if row.clicked_at is None and clicked_at is not None:
            self.journal.assign(row, "clicked_at", clicked_at)
        return False

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        """See `Tx.turn_back`."""
        saved = self._journal_rows()
        for row in self.rows.values():
            if row.due_at <= to or row.state in FINISHED or row.paused:
                continue
            if row.attempts:  # waits for a lease or a retry, both counted from a wrong now
                self._look_at(saved, row, to, min(row.not_before, to))
            elif row.promised or not row.decided:  # was to go at once
                self._look_at(saved, row, max(row.not_before, to), row.not_before)
        for key, tat in self.arrival_times.items():
            if tat > to * 1000:
                moved = max(tat - ahead_ms * 1000, to * 1000)
                self.journal.put(self.arrival_times, key, moved)
        return self._turn_back_attempts(to)

    def renew(self, claims: Sequence[tuple[str, int]], until: Millis) -> list[str]:
        """See `Tx.renew`."""
        saved = self._journal_rows()
        held = self._held_claims(claims)
        for row in held:
            self._look_at(saved, row, until, row.not_before)
        return [row.id for row in held]

    def begin(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        """See `Tx.begin`."""
        saved = self._journal_rows()
        held = self._held_claims(claims)
        for row in held:
            saved.append((row, changing(row)))
            row.begun = True
        return [row.id for row in held]

    def _held_claims(self, claims: Sequence[tuple[str, int]]) -> list[Delivery]:
        found = [(self.rows.get(delivery_id), attempt) for delivery_id, attempt in claims]
        return [
            row
            for row, attempt in found
            if row is not None and row.state is SENDING and row.attempts == attempt
        ]

    def release(
        self,
        now: Millis,
        *,
        doubt: bool = False,
        owners: Collection[str] | None = None,
        keep: Sequence[str] = (),
    ) -> int:
        """See `Tx.release`."""
        sending = [
            row
            for row in self.rows.values()
            if row.state is SENDING
            and (owners is None or row.owner in owners)
            and row.id not in keep
        ]
        saved = self._journal_rows()
        for row in sending:
            self._look_at(saved, row, min(row.due_at, now), row.not_before)
            row.begun = row.begun or doubt
        return len(sending)

    def _look_at(self, saved: _Saved, row: Delivery, due_at: Millis, not_before: Millis) -> None:
        """Move a delivery in the queue to another instant, in the state it is in."""
        saved.append((row, changing(row)))
        if row.state is not SENDING:
            self._leave_line(row)
        row.due_at = due_at
        row.not_before = not_before
        self._place(row)

    def _journal_rows(self) -> _Saved:
        """A list for rows and their values before they change, already known to the journal."""
        saved: _Saved = []
        self.journal.note(self._restore_rows, saved)
        return saved

    def _hold(self, saved: _Saved, row: Delivery, until: Millis, owner: str) -> None:
        """Make a delivery SENDING until a lease ends."""
        state = row.state
        assert state in _BEFORE_SENDING, f"{row.id} cannot go from {state} to sending"
        saved.append((row, changing(row)))
        if state is not SENDING:
            self._leave_line(row)
            row.state = SENDING
        row.due_at = until
        row.promised = False
        row.decided = True
        row.begun = False
        row.owner = owner
        row.paused = False
        self.queue.push(row)

    def _apply(self, saved: _Saved, row: Delivery, result: Result) -> None:
        # Unpacking at once is a third of the time of fourteen look-ups by name.
        (
            _,
            _,
            state,
            at,
            due_at,
            not_before,
            rule,
            reason,
            held,
            group,
            tries,
            crashes,
            digest_id,
            ref,
        ) = result
        saved.append((row, changing(row)))
        if row.state is not SENDING:
            self._leave_line(row)
        row.state = state
        row.rule = rule
        row.reason = reason
        row.tries = tries
        row.crashes = crashes
        row.updated_at = at
        if digest_id is not None:
            row.digest_id = digest_id
        if ref is not None:
            row.ref = ref
        if due_at is None:
            assert state is not QUEUED and state is not DEFERRED, "what waits is due some day"  # noqa: PT018
            finish(row)
            return
        assert state is QUEUED or state is DEFERRED, f"{state} is not a way to wait"
        row.due_at = due_at
        row.not_before = not_before
        row.promised = False
        row.decided = True
        row.held = held
        row.group = group
        row.begun = False
        row.owner = ""
        row.paused = False
        self._place(row)
