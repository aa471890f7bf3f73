"""What the engine asks of a store, in verbs of the domain.

A store never decides anything: it loads, it writes, and it keeps what it was told to keep together
in one transaction. Every adapter passes `tactful.testing.contracts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from tactful.core.model import Entry, Event, Millis, Priority, Recipient, State
from tactful.ports.ledger import Editions
from tactful.ports.rows import (
    Attempt,
    Delivery,
    Fact,
    Lease,
    Line,
    Notification,
    Policy,
    Record,
    Remembered,
    Result,
    Suppression,
    Verdict,
)

Ages: TypeAlias = Mapping[int, Millis]
"""Of each of these priorities what has been due for so long; what is not named is left alone."""

EVERYTHING: Final[Ages] = MappingProxyType({int(priority): 0 for priority in Priority})
"""Whatever is due, as soon as it is."""

Hear: TypeAlias = Callable[[int | None], None]
"""Told that something may have become due: the highest priority of it, None if nobody knows."""


class DeliveryReader(Protocol):
    """Questions about deliveries, notifications and who waits."""

    def delivery(self, delivery_id: str) -> Delivery | None:
        """One delivery."""
        ...

    def deliveries(
        self,
        *,
        notification_id: str | None = None,
        recipient: str | None = None,
        state: State | None = None,
        after: str = "",
        limit: int = 1000,
    ) -> list[Delivery]:
        """Deliveries in the order of their ids (which is that of acceptance), after an id."""
        ...

    def records(
        self,
        since: Millis,
        until: Millis,
        *,
        after: tuple[str, str] = ("", ""),
        limit: int = 1000,
    ) -> list[Record]:
        """Deliveries that were accepted before `until` and had not finished before `since`.

        One recipient after the other, and each one's in the order of their ids; `after` is the
        recipient and the id of the last one that is known.
        """
        ...

    def notifications(self, ids: Sequence[str]) -> dict[str, Notification]:
        """The notifications that exist under these ids."""
        ...

    def unfinished_broadcasts(self) -> list[Notification]:
        """Broadcasts with recipients still to reach that are not paused, oldest first.

        With them is whatever is being resumed. In a transaction those are left out that somebody
        else carries on at this moment.
        """
        ...

    def paused_notifications(self) -> list[Notification]:
        """What has been paused and is not yet all resumed, oldest first."""
        ...

    def lines(self, recipients: Sequence[str], view: int) -> dict[str, Line]:
        """Who waits, for each recipient with anything waiting.

        Never those being sent, and never those that are paused.
        """
        ...

    def held(self, priority: int, after: str, limit: int) -> list[str]:
        """For whom rules hold anything of this priority, in their order, behind the one `after`.

        One for each delivery, so that fewer than `limit` means that there are no more.
        """
        ...

    def lessees(self) -> list[str]:
        """Whose leases there are."""
        ...

    def next_due(self, busy: Collection[str] = (), ages: Ages = EVERYTHING) -> Millis | None:
        """The earliest instant at which the queue has something of these `ages`, or None.

        Leaves out what goes through one of the `busy` channels.
        """
        ...

    def counts(self, notification_id: str | None = None) -> dict[State, int]:
        """How many deliveries are in each state, of one notification or of all."""
        ...

    def backlog(self) -> dict[State, int]:
        """How many deliveries wait or are being sent, by state; costs as much as there are."""
        ...

    def opened(self, notification_id: str) -> list[str]:
        """The recipients who opened the notification, each once."""
        ...


class LedgerReader(Protocol):
    """Questions about attempts and throughput."""

    def attempts(self, delivery_id: str) -> list[Attempt]:
        """All attempts of one delivery, in order."""
        ...

    def history(self, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        """Counted attempts after `since`, ascending, for each recipient that has any."""
        ...

    def cells(self, keys: Sequence[str]) -> dict[str, int]:
        """Theoretical arrival times (microseconds) of the throughput limits that have any."""
        ...

    def latest_attempt(self) -> Millis | None:
        """The instant of the youngest attempt."""
        ...


class FactReader(Protocol):
    """Questions about events and small notes."""

    def events(
        self,
        *,
        after: int = 0,
        delivery_id: str | None = None,
        notification_id: str | None = None,
        name: str | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Facts in their order, after a sequence number."""
        ...

    def facts(self, *, after: int = 0, limit: int = 1000) -> list[Fact]:
        """Facts in their order, after a sequence number, beside what is known of their deliveries.

        For those who count: what else is in an event is left out.
        """
        ...

    def last_event(self) -> int:
        """The sequence number of the youngest event, 0 if there is none."""
        ...

    def note(self, key: str) -> str | None:
        """A small value kept under a name (listener positions and the like)."""
        ...


class DirectoryReader(Protocol):
    """Questions about people, policies and idempotency keys."""

    def recipient(self, key: str) -> Recipient | None:
        """The recipient with this id."""
        ...

    def recipients(
        self, *, after: int = 0, until: int | None = None, limit: int = 1000
    ) -> list[tuple[int, Recipient]]:
        """Recipients with their registration numbers, in the order of registration."""
        ...

    def recipients_by_key(self, keys: Sequence[str]) -> dict[str, Recipient]:
        """The recipients that exist under these ids."""
        ...

    def owners(self, addresses: Sequence[str]) -> dict[str, str]:
        """The recipient id that each known address (in normal form) belongs to."""
        ...

    def last_recipient(self) -> int:
        """The youngest registration number, 0 if nobody is registered."""
        ...

    def suppressions(self, addresses: Sequence[str]) -> list[Suppression]:
        """What is on the suppression list for these addresses."""
        ...

    def epoch(self) -> int:
        """The version of the newest policy; 0 before the first."""
        ...

    def policies(self, kind: str) -> list[Policy]:
        """The policies of a kind in force, by name."""
        ...

    def policy_history(self, kind: str, name: str | None = None) -> list[Policy]:
        """All versions, oldest first."""
        ...

    def remembered(self, keys: Sequence[str]) -> dict[str, Remembered]:
        """What is stored under these idempotency keys."""
        ...


class Reader(DeliveryReader, LedgerReader, FactReader, DirectoryReader, Protocol):
    """All questions; inside a transaction they see its own writes."""


class QueueWriter(Protocol):
    """Changes to what waits and what is being sent."""

    def guard(self, recipients: Sequence[str]) -> None:
        """Until the end of the transaction nobody else decides about these recipients.

        What is read of them afterwards is what the last decision left; and, even without any
        recipients, people and policies stay as they are found. `due` guards the recipients of what
        it gives by itself.
        """
        ...

    def alone(self) -> None:
        """Until the end of the transaction nobody else changes people or policies.

        Nor does anybody decide by them: what is read of them from here on may be changed by what it
        says. Comes before `guard`, and before anything is read.
        """
        ...

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        """Store what callers asked for."""
        ...

    def advance_broadcast(self, notification_id: str, cursor: int | None) -> None:
        """A broadcast has reached recipients up to `cursor`; None: all of them."""
        ...

    def cancel_broadcast(self, notification_id: str) -> None:
        """No further recipients are reached."""
        ...

    def lock_notification(self, notification_id: str) -> Notification | None:
        """One notification, as nobody else changes it until the end of the transaction."""
        ...

    def pause_notification(self, notification_id: str, at: Millis, by: str) -> None:
        """Nothing of it is handed over, and no further recipients are reached, from now on."""
        ...

    def resume_notification(self, notification_id: str, to: str | None) -> None:
        """What is paused may go again; its deliveries have been resumed up to `to`; None: all."""
        ...

    def pause_deliveries(self, delivery_ids: Sequence[str]) -> list[str]:
        """Those of them that wait give up their slots and are only looked at when they expire.

        What had been decided about them is void, but for their groups. Gives their ids; those being
        sent, finished or paused already are left alone.
        """
        ...

    def resume_deliveries(self, delivery_ids: Sequence[str], now: Millis) -> list[str]:
        """Those of them that are paused are due for a new decision; gives their ids."""
        ...

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        """Store deliveries; those that wait enter the queue."""
        ...

    def due(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        """What is due at `now`: higher priorities first, then by due instant and age.

        Leaves out what somebody else is deciding about at this moment, what goes through one of the
        `busy` channels, and what is not of these `ages`.
        Each lower priority that has anything due gets at least a tenth of `limit`: nothing starves.
        """
        ...

    def lease(self, leases: Sequence[Lease]) -> None:
        """Write the attempts and make their deliveries SENDING until the leases end."""
        ...

    def extend(self, delivery_ids: Sequence[str], until: Millis, owner: str = "") -> None:
        """Members of a digest: SENDING until the lease of its head ends, without an attempt."""
        ...

    def renew(self, claims: Sequence[tuple[str, int]], until: Millis) -> list[str]:
        """Longer leases for what is still being sent.

        Claims are ids with the number of their attempt. Gives the ids whose claim still holds: of
        what somebody else has taken over, nothing is changed.
        """
        ...

    def begin(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        """What was claimed is now handed to its channel; see `Delivery.begun`.

        Claims are ids with the number of their attempt. Gives the ids whose claim still holds;
        nothing else may be sent.
        """
        ...

    def release(
        self,
        now: Millis,
        *,
        doubt: bool = False,
        owners: Collection[str] | None = None,
        keep: Sequence[str] = (),
    ) -> int:
        """Ends the leases of owners who are gone, or all: nobody is left who could be sending.

        Those of the deliveries in `keep` go on.
        Gives how many. With `doubt` what was begun may not have been written down: all count as
        begun.
        """
        ...

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        """Apply results and verdicts; gives the ids whose result was fenced off and not applied."""
        ...

    def wake(self, now: Millis, recipients: Sequence[str], *, anew: int | None = None) -> int:
        """Make what rules hold for these people due for a new decision; gives how many.

        With `anew` only what has that priority, as if no rule had held it yet: it is in no line.
        """
        ...

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        """The clock was ahead of `to`: what it stamped later than that is restamped `to`.

        That are attempts, leases, retries, and what was due at once; gives how many attempts.
        Throughput moves back by `ahead_ms`, so that what was used up stays used up.
        """
        ...


class FactWriter(Protocol):
    """Changes to what is known."""

    def engage(self, delivery_id: str, opened_at: Millis, clicked_at: Millis | None) -> bool:
        """Mark a delivered delivery opened (and clicked); False if it was already or cannot be."""
        ...

    def set_cells(self, cells: Mapping[str, int]) -> None:
        """Store theoretical arrival times."""
        ...

    def add_events(self, events: Sequence[Event]) -> None:
        """Append facts."""
        ...

    def set_note(self, key: str, value: str) -> None:
        """Keep a small value under a name."""
        ...

    def clock(self) -> Millis:
        """How late it has been, to about a second; 0 at first.

        Unlike a note it may be read and set by many transactions at once.
        """
        ...

    def set_clock(self, at: Millis) -> None:
        """It is now this late; when others say so at the same time, one of them counts."""
        ...

    def prune(self, before: Millis, history_before: Millis, limit: int) -> int:
        """Delete at most `limit` deliveries that finished before `before` with their events.

        Attempts go once they are older than `history_before`, idempotency keys that have expired at
        `before`, and throughput cells that were last full before it. Gives how many rows went; 0
        means done.
        """
        ...

    def prune_events(self, name: str, before: Millis, limit: int) -> int:
        """Delete at most `limit` events of a name that are about no delivery and older.

        Gives how many went.
        """
        ...


class DirectoryWriter(Protocol):
    """Changes to people, policies and idempotency keys."""

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        """Register or change people; gives how many were new.

        Addresses move to their new owner, and so does what was sent to an address of nobody: it
        counts for the person from then on.
        """
        ...

    def remove_recipient(self, key: str) -> bool:
        """Forget a person; what was sent stays counted."""
        ...

    def suppress(self, row: Suppression) -> None:
        """Put an address on the suppression list."""
        ...

    def unsuppress(self, channel: str, address: str) -> bool:
        """Take an address off the suppression list."""
        ...

    def put_policy(
        self, kind: str, name: str, body: Mapping[str, Any] | None, at: Millis, author: str
    ) -> int:
        """Append a version (None: removal); gives its number, the new epoch."""
        ...

    def remember(self, answers: Mapping[str, Remembered]) -> None:
        """Store what idempotency keys stand for."""
        ...


class Tx(Reader, QueueWriter, FactWriter, DirectoryWriter, Editions, Protocol):
    """One transaction: all of it happens or nothing does."""


class Store(Protocol):
    """Where everything is kept. Safe to use from many threads."""

    url: str

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Tx]:
        """All or nothing; rolled back on any exception.

        With `durable`, what is committed survives a power cut; without, at least the end of the
        process. Raises Unavailable if the store cannot be reached.
        """
        ...

    def reading(self) -> AbstractContextManager[Reader]:
        """A consistent view for questions; a thread has one at a time."""
        ...

    def time(self) -> Millis | None:
        """What the store's own clock says, where machines share one; else None.

        Raises Unavailable.
        """
        ...

    def listen(self, hear: Hear) -> None:
        """Have `hear` called when another process may have made something due.

        It may be called for nothing and from any thread, and a call may be missing: it saves time,
        and nothing depends on it.
        """
        ...

    def join(self, owner: str) -> None:
        """Say that the owner of these leases sends from now on, until `close`; waits for nobody.

        The name must be one that no other sender has, or has had. Raises Unavailable.
        """
        ...

    def gone(self, owners: Collection[str]) -> set[str]:
        """Those of the owners who certainly send no more, or never did: their leases are nobody's.

        Raises Unavailable.
        """
        ...

    def close(self) -> None:
        """Let go of it; harmless when repeated."""
        ...
