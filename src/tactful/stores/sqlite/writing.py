"""Changes to the SQLite store; see `ports.Tx` for what each promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from tactful.core.lifecycle import INITIAL, WAITING, can_move
from tactful.core.model import Event, Millis, Priority, Recipient, State
from tactful.core.names import address_keys
from tactful.ports import (
    Delivery,
    Lease,
    Notification,
    Remembered,
    Result,
    Suppression,
    Verdict,
)
from tactful.stores.sqlite.reading import LATEST_ATTEMPT, SqliteReader
from tactful.stores.sqlite.rows import (
    delivery_from,
    delivery_row,
    due_row,
    dumps,
    notification_row,
)

_PORTION: Final = 128


@cache
def for_rows(sql: str, width: int, count: int) -> str:
    """The text of a query with placeholders for so many rows of so many columns."""
    row = f"({', '.join('?' * width)})"
    return sql.replace("{rows}", ", ".join([row] * count))


class Changes(SqliteReader):
    """Named changes on the writing connection."""

    def _many(self, name: str, rows: Sequence[Any]) -> int:
        """Run a query on many rows; gives how many rows of the table it changed.

        They go in by portions that a statement takes in one step: every step lets other threads
        run, and with a step for each row a busy thread would be waited for at each of them.
        """
        changed = start = 0
        while start < len(rows):
            # Powers of two, so that few texts of each query are enough for any number of rows.
            size = min(_PORTION, 1 << (len(rows) - start).bit_length() - 1)
            portion = rows[start : start + size]
            sql = for_rows(self._sql[name], len(portion[0]), size)
            self._connection.execute(sql, list(chain.from_iterable(portion)))
            changed += self._connection.changes()
            start += size
        return changed

    def _run(self, name: str, values: Any) -> int:
        self._connection.execute(self._sql[name], values)
        return self._connection.changes()

    def set_note(self, key: str, value: str) -> None:
        self._run("set_note", (key, value))


class QueueWriting(Changes):
    """Changes to what waits and what is being sent."""

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        self._many("add_notification", [notification_row(row) for row in rows])

    def advance_broadcast(self, notification_id: str, cursor: int | None) -> None:
        self._run("advance_broadcast", {"id": notification_id, "cursor": cursor})

    def cancel_broadcast(self, notification_id: str) -> None:
        self._run("cancel_broadcast", (notification_id,))

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        assert all(row.state in INITIAL for row in rows), "a delivery starts in an initial state"
        self._many("add_delivery", [delivery_row(row, row.state in WAITING) for row in rows])
        self._many("add_due", [due_row(row) for row in rows if row.state in WAITING])

    def due(self, now: Millis, limit: int) -> list[Delivery]:
        values: dict[str, Any] = {"now": now, "most": max(1, limit // 10)}
        kept: dict[Priority, int] = {}
        for priority in sorted(Priority, reverse=True):
            ((some,),) = self._all("due_some", values | {"priority": int(priority)})
            kept[priority] = min(some, limit - sum(kept.values()))
        found: list[Delivery] = []
        for priority in sorted(Priority, reverse=True):
            below = sum(count for other, count in kept.items() if other < priority)
            room = limit - len(found) - below
            if kept[priority] and room > 0:
                rows = self._all("due", values | {"priority": int(priority), "most": room})
                found += [delivery_from(row) for row in rows]
        return found

    def lease(self, leases: Sequence[Lease]) -> None:
        if not leases:
            return
        attempts = [lease.attempt for lease in leases]
        self._many(
            "add_attempt",
            [
                (a.recipient, a.at, a.delivery_id, a.number, *a.kind, int(a.counts), None, None)
                for a in attempts
            ],
        )
        leased = self._many(
            "lease",
            [
                (lease.until, lease.attempt.number, lease.crashes, lease.attempt.delivery_id)
                for lease in leases
            ],
        )
        assert leased == len(leases), "only what is in the queue can be leased"
        latest = max(self.latest_attempt() or 0, *(a.at for a in attempts))
        self.set_note(LATEST_ATTEMPT, str(latest))

    def extend(self, delivery_ids: Sequence[str], until: Millis) -> None:
        extended = self._many("extend", [(until, delivery_id) for delivery_id in delivery_ids])
        assert extended == len(delivery_ids), "only what is in the queue can be leased"

    def renew(self, delivery_ids: Sequence[str], until: Millis) -> None:
        self._many("renew", [(until, delivery_id) for delivery_id in delivery_ids])

    def begin(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        if self._many("begin", claims) == len(claims):
            return [delivery_id for delivery_id, _ in claims]
        return [delivery_id for (delivery_id,) in self._all("begun", (dumps(claims),))]

    def release(self, now: Millis, *, doubt: bool = False) -> int:
        return self._run("release", {"now": now, "doubt": int(doubt)})

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        known = {
            row[0]: row[1:]
            for row in self._all("where_they_are", (dumps([r.delivery_id for r in results]),))
        }
        fenced: list[str] = []
        finished: list[Any] = []
        waiting: list[Any] = []
        reopened: list[Any] = []
        for result in results:
            state, attempts, queued = known.get(result.delivery_id, (None, None, None))
            if state is None or not _applies(result, State(state), attempts):
                fenced.append(result.delivery_id)
            elif result.due_at is None:
                finished.append(_finish_row(result, attempts))
            else:
                if queued is None:
                    reopened.append((result.delivery_id,))
                waiting.append(result)
        self._many("finish", finished)
        self._many("leave_queue", [(row[-1],) for row in finished])
        self._many("reopen", reopened)
        self._many("touch", [(result.at, result.delivery_id) for result in waiting])
        self._many("wait_again", [_wait_row(result) for result in waiting])
        self._judge(verdicts)
        return fenced

    def _judge(self, verdicts: Sequence[Verdict]) -> None:
        rows = [
            (v.outcome, v.detail, int(v.counts), v.recipient, v.delivery_id, v.number, v.at)
            for v in verdicts
        ]
        if self._many("judge", rows) < len(rows):
            # Some were restamped since: look through their recipients' whole history.
            self._many("judge_restamped", [row[:-1] for row in rows])

    def wake(self, now: Millis, recipient: str | None = None) -> int:
        if recipient is None:
            return self._run("wake_all", {"now": now})
        return self._run("wake_one", {"now": now, "recipient": recipient})

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        changed = self._run("turn_back_attempts", {"to": to})
        self._run("turn_back_queue", {"to": to})
        self._run("turn_back_cells", {"to": to, "ahead": ahead_ms})
        latest = self.latest_attempt()
        if latest is not None:
            self.set_note(LATEST_ATTEMPT, str(min(latest, to)))
        return changed


class FactWriting(Changes):
    """Changes to what is known."""

    def engage(self, delivery_id: str, opened_at: Millis, clicked_at: Millis | None) -> bool:
        values = {"id": delivery_id, "opened_at": opened_at, "clicked_at": clicked_at}
        if self._run("engage", values):
            return True
        if clicked_at is not None:
            self._run("click", {"id": delivery_id, "clicked_at": clicked_at})
        return False

    def set_cells(self, cells: Mapping[str, int]) -> None:
        self._many("set_cell", list(cells.items()))

    def add_events(self, events: Sequence[Event]) -> None:
        self._many(
            "add_event",
            [
                (
                    event.name,
                    event.delivery_id,
                    event.at,
                    None if event.delivery_id else event.notification_id,
                    None if event.delivery_id else event.recipient,
                    dumps(event.data) if event.data else None,
                )
                for event in events
            ],
        )

    def prune(self, before: Millis, history_before: Millis, limit: int) -> int:
        ids = [row[0] for row in self._all("prunable", {"before": before, "most": limit})]
        gone = 0
        if ids:
            listed = (dumps(ids),)
            gone += self._run("prune_deliveries", listed)
            gone += self._run("prune_events", listed)
        bounds = {"before": before, "most": limit}
        gone += self._run("prune_attempts", {"before": history_before, "most": limit})
        gone += self._run("prune_notifications", bounds)
        gone += self._run("prune_idempotency", bounds)
        return gone


class DirectoryWriting(Changes):
    """Changes to people, policies and idempotency keys."""

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        before = self.recipients_by_key([row.id for row in rows])
        self._many(
            "put_recipient",
            [
                (
                    row.id,
                    row.name,
                    row.email,
                    row.timezone,
                    row.locale,
                    dumps(dict(row.addresses)),
                    dumps(list(row.mute)),
                )
                for row in rows
            ],
        )
        self._many("leave_addresses", [(row.id,) for row in rows if row.id in before])
        owned = [(key, row.id) for row in rows for key in address_keys(row)]
        self._many("put_address", owned)
        strangers = {key for key, _ in owned} - set(self.recipients_by_key([k for k, _ in owned]))
        taken = list({key: owner for key, owner in owned if key in strangers}.items())
        for table in ("attempts", "due", "deliveries"):
            self._many(f"take_over_{table}", taken)
        return len({row.id for row in rows} - set(before))

    def remove_recipient(self, key: str) -> bool:
        self._many("leave_addresses", [(key,)])
        return self._run("remove_recipient", (key,)) > 0

    def suppress(self, row: Suppression) -> None:
        self._run("suppress", tuple(row))

    def unsuppress(self, channel: str, address: str) -> bool:
        return self._run("unsuppress", (channel, address)) > 0

    def put_policy(
        self, kind: str, name: str, body: Mapping[str, Any] | None, at: Millis, author: str
    ) -> int:
        self._run("put_policy", (kind, name, None if body is None else dumps(body), at, author))
        return self._connection.last_insert_rowid()

    def remember(self, key: str, value: Remembered) -> None:
        self._run("remember", (key, *value))


class SqliteTx(QueueWriting, FactWriting, DirectoryWriting):
    """`ports.Tx`: the same questions, and changes that a commit makes true together."""


def _applies(result: Result, state: State, attempts: int) -> bool:
    """Whether a result still speaks of the delivery as it is now."""
    if result.attempt is None:
        waits_on = state in WAITING and result.state in WAITING
        return state is not State.SENDING and (waits_on or can_move(state, result.state))
    if state is not State.SENDING or attempts != result.attempt:
        return False
    assert can_move(state, result.state), f"no move from {state} to {result.state}"
    return True


def _finish_row(r: Result, attempts: int) -> tuple[Any, ...]:
    return (
        r.state.value,
        r.rule,
        r.reason,
        attempts,
        r.tries,
        r.crashes,
        r.at,
        r.digest_id,
        r.ref,
        r.delivery_id,
    )


def _wait_row(r: Result) -> tuple[Any, ...]:
    return (
        r.state.value,
        r.due_at,
        r.not_before,
        int(r.held),
        r.group,
        r.rule,
        r.reason,
        r.tries,
        r.crashes,
        r.delivery_id,
    )
