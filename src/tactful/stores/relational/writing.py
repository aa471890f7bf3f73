"""Changes to an SQL store; see `ports.Tx` for what each promises.

The texts of the queries are the dialect's, their names and values are the same for all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from tactful.core.lifecycle import INITIAL, WAITING, applies
from tactful.core.model import Event, Millis, Recipient, State
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
from tactful.stores.relational.reading import Reading
from tactful.stores.relational.rows import (
    Row,
    delivery_row,
    due_row,
    dumps,
    event_row,
    notification_row,
)

T = TypeVar("T")

CLOCK: Final = "clock"
"""The note that holds the clock."""


def fairly(some: Mapping[int, int], limit: int, take: Callable[[int, int], list[T]]) -> list[T]:
    """What is due, highest priority first; each lower one that has any keeps its tenth.

    `some` says how many of a priority are due, counted up to a tenth of `limit` at least; `take`
    gives at most so many of one priority.
    """
    tenth = max(1, limit // 10)
    kept: dict[int, int] = {}
    for priority in sorted(some, reverse=True):
        kept[priority] = min(some[priority], tenth, limit - sum(kept.values()))
    found: list[T] = []
    for priority in sorted(some, reverse=True):
        below = sum(count for other, count in kept.items() if other < priority)
        room = limit - len(found) - below
        if kept[priority] and room > 0:
            found += take(priority, room)
    return found


class Changes(Reading):
    """Named changes on the writing connection."""

    @abstractmethod
    def _run(self, name: str, /, **values: Any) -> int:
        """Run a query; gives how many rows of the table it changed."""

    @abstractmethod
    def _many(self, name: str, rows: Sequence[Row]) -> int:
        """Run a query on many rows of values; gives how many rows of the table it changed."""

    def set_note(self, key: str, value: str) -> None:
        self._run("set_note", key=key, value=value)

    def clock(self) -> Millis:
        return int(self.note(CLOCK) or 0)

    def set_clock(self, at: Millis) -> None:
        self.set_note(CLOCK, str(at))


class QueueWriting(Changes):
    """Changes to what waits and what is being sent."""

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        self._many("add_notification", [notification_row(row) for row in rows])

    def editions(self, recipients: Sequence[str]) -> dict[str, int]:
        del recipients
        return {}

    def advance_broadcast(self, notification_id: str, cursor: int | None) -> None:
        self._run("advance_broadcast", id=notification_id, cursor=cursor)

    def cancel_broadcast(self, notification_id: str) -> None:
        self._run("cancel_broadcast", id=notification_id)

    def lock_notification(self, notification_id: str) -> Notification | None:
        return self.notifications([notification_id]).get(notification_id)

    def pause_notification(self, notification_id: str, at: Millis, by: str) -> None:
        self._run("pause_notification", id=notification_id, at=at, by=by)

    def resume_notification(self, notification_id: str, to: str | None) -> None:
        self._run("resume_notification", id=notification_id, to=to)

    def pause_deliveries(self, delivery_ids: Sequence[str]) -> list[str]:
        return sorted(row[0] for row in self._all("pause_deliveries", ids=list(delivery_ids)))

    def resume_deliveries(self, delivery_ids: Sequence[str], now: Millis) -> list[str]:
        rows = self._all("resume_deliveries", ids=list(delivery_ids), now=now)
        return sorted(row[0] for row in rows)

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        assert all(row.state in INITIAL for row in rows), "a delivery starts in an initial state"
        self._many("add_delivery", [delivery_row(row, row.state in WAITING) for row in rows])
        self._many("add_due", [due_row(row) for row in rows if row.state in WAITING])

    def lease(self, leases: Sequence[Lease]) -> None:
        if not leases:
            return
        attempts = [lease.attempt for lease in leases]
        self._many(
            "add_attempt",
            [
                (a.recipient, a.at, a.delivery_id, a.number, *a.kind, a.counts, None, None)
                for a in attempts
            ],
        )
        leased = self._many(
            "lease",
            [
                (lease.until, lease.attempt.number, lease.crashes, lease.owner, a.delivery_id)
                for lease, a in zip(leases, attempts, strict=True)
            ],
        )
        assert leased == len(leases), "only what is in the queue can be leased"

    def extend(self, delivery_ids: Sequence[str], until: Millis, owner: str = "") -> None:
        extended = self._many("extend", [(until, owner, id_) for id_ in delivery_ids])
        assert extended == len(delivery_ids), "only what is in the queue can be leased"

    def release(
        self,
        now: Millis,
        *,
        doubt: bool = False,
        owners: Collection[str] | None = None,
        keep: Sequence[str] = (),
    ) -> int:
        everybody, wanted = owners is None, list(owners or ())
        return self._run(
            "release", now=now, doubt=doubt, everybody=everybody, owners=wanted, keep=list(keep)
        )

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        ids = [result.delivery_id for result in results]
        known = self._where_they_are(ids) if ids else {}
        fenced: list[str] = []
        finished: list[Any] = []
        waiting: list[Any] = []
        reopened: list[Any] = []
        for result in results:
            state, attempts, queued = known.get(result.delivery_id, (None, None, None))
            if state is None or not applies(State(state), attempts, result.state, result.attempt):
                fenced.append(result.delivery_id)
            elif result.due_at is None:
                finished.append(finish_row(result, attempts))
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

    def _where_they_are(self, ids: list[str]) -> dict[str, Row]:
        """State, attempts and the id in the queue, if it is there, of each delivery."""
        return {row[0]: row[1:] for row in self._all("where_they_are", ids=ids)}

    def _judge(self, verdicts: Sequence[Verdict]) -> bool:
        """Gives whether all of these attempts were made when they are said to have been."""
        rows = [
            (v.outcome, v.detail, v.counts, v.recipient, v.delivery_id, v.number, v.at)
            for v in verdicts
        ]
        if self._many("judge", rows) == len(rows):
            return True
        # Some were restamped since: look through their recipients' whole history.
        self._many("judge_restamped", [row[:-1] for row in rows])
        return False

    def wake(self, now: Millis, recipients: Sequence[str], *, anew: int | None = None) -> int:
        people = list(set(recipients))
        if not people:
            return 0
        if anew is None:
            return self._run("wake", now=now, recipients=people)
        return self._run("wake_anew", now=now, recipients=people, priority=int(anew))

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        changed = self._run("turn_back_attempts", to=to)
        self._run("turn_back_queue", to=to)
        self._run("turn_back_cells", to=to, ahead=ahead_ms)
        return changed


class FactWriting(Changes):
    """Changes to what is known."""

    def engage(self, delivery_id: str, opened_at: Millis, clicked_at: Millis | None) -> bool:
        if self._run("engage", id=delivery_id, opened_at=opened_at, clicked_at=clicked_at):
            return True
        if clicked_at is not None:
            self._run("click", id=delivery_id, clicked_at=clicked_at)
        return False

    def set_cells(self, cells: Mapping[str, int]) -> None:
        self._many("set_cell", list(cells.items()))

    def add_events(self, events: Sequence[Event]) -> None:
        self._many("add_event", [event_row(event) for event in events])

    def prune(self, before: Millis, history_before: Millis, limit: int) -> int:
        ids = [row[0] for row in self._all("prunable", before=before, most=limit)]
        gone = 0
        if ids:
            gone += self._run("prune_deliveries", ids=ids)
            gone += self._run("prune_events", ids=ids)
        gone += self._prune_attempts(history_before, limit)
        gone += self._run("prune_notifications", before=before, most=limit)
        gone += self._run("prune_idempotency", before=before, most=limit)
        return gone + self._run("prune_cells", before=before)

    def _prune_attempts(self, before: Millis, limit: int) -> int:
        return self._run("prune_attempts", before=before, most=limit)

    def prune_events(self, name: str, before: Millis, limit: int) -> int:
        return self._run("prune_events_named", name=name, before=before, most=limit)


class DirectoryWriting(Changes):
    """Changes to people, policies and idempotency keys."""

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        rows = list({row.id: row for row in rows}.values())
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
        owners = {key: row.id for row in rows for key in address_keys(row)}
        self._many("put_address", list(owners.items()))
        registered = self.recipients_by_key(list(owners))
        taken = [(key, owner) for key, owner in owners.items() if key not in registered]
        self._take_over(taken)
        return len(rows) - len(before)

    def _take_over(self, taken: Sequence[tuple[str, str]]) -> int:
        """What was sent, and is to be, to an address of nobody is its owner's from now on.

        Gives how many attempts that concerns.
        """
        attempts, _, _ = (
            self._many(f"take_over_{table}", taken) for table in ("attempts", "due", "deliveries")
        )
        return attempts

    def remove_recipient(self, key: str) -> bool:
        self._many("leave_addresses", [(key,)])
        return self._run("remove_recipient", id=key) > 0

    def suppress(self, row: Suppression) -> None:
        self._run("suppress", **row._asdict())

    def unsuppress(self, channel: str, address: str) -> bool:
        return self._run("unsuppress", channel=channel, address=address) > 0

    def put_policy(
        self, kind: str, name: str, body: Mapping[str, Any] | None, at: Millis, author: str
    ) -> int:
        text = None if body is None else dumps(body)
        row = self._one("put_policy", kind=kind, name=name, body=text, at=at, author=author)
        return int(row[0])

    def remember(self, answers: Mapping[str, Remembered]) -> None:
        self._many("remember", [(key, *value) for key, value in answers.items()])


class Writing(QueueWriting, FactWriting, DirectoryWriting):
    """`ports.Tx`: the same questions, and changes that a commit makes true together.

    Left to the dialect: `guard` and `due`.
    """


def finish_row(r: Result, attempts: int) -> Row:
    """The values of `finish`, the id last."""
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
        r.held,
        r.group,
        r.rule,
        r.reason,
        r.tries,
        r.crashes,
        r.delivery_id,
    )
