"""What the engine asks of the outside world, in the words of the domain.

Four small families of verbs make up a store: `Queue` (deliveries and when they are due), `Ledger`
(attempts), `Facts` (events and what is known of a delivery) and `Directory` (people, policies,
keys). A store never decides anything: it loads, it writes, and it keeps what it was told to keep
together in one transaction. Every adapter passes `tactful.testing.contracts`.

Rows are plain slotted values. Instants are integer milliseconds (`Millis`); names and recipients
are in normal form (`core.names`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tactful.core.model import (
    NEVER,
    Content,
    Entry,
    Event,
    Kind,
    Message,
    Millis,
    Outcome,
    Recipient,
    State,
)


class Clock(Protocol):
    """The one way to learn what time it is."""

    def now(self) -> Millis:
        """Milliseconds since the epoch, UTC."""
        ...


class Channel(Protocol):
    """A way to a recipient.

    `name` is what types and rules call it. `address_kind` is the kind of address it needs (`email`)
    or None. `concurrency` calls of `send` may run at once, each with about `batch` messages.
    """

    name: str
    address_kind: str | None
    concurrency: int
    batch: int

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Hand the messages over; one outcome each, in order.

        Trouble with a message or a server is an outcome. An exception is a bug, and its messages
        count as `Unknown`.
        """
        ...

    def close(self) -> None:
        """Let go of connections; harmless when repeated."""
        ...


@dataclass(slots=True)
class Delivery:
    """One notification to one recipient over one channel.

    While it waits or is being sent, `due_at` is when the queue looks at it next: its slot, its
    retry, or the end of its lease. `not_before` is the instant before which nobody wants it.
    `promised` says that a receipt told the caller it goes now; `decided` that rules have been
    asked; `held` that a rule, not its schedule, makes it wait. `group` names the digest or
    collapse group it waits in.
    `tries` counts real failures, `crashes` attempts without an answer, `attempts` all hand-overs.
    """

    id: str
    notification_id: str
    recipient: str
    channel: str
    address: str
    type: str
    category: str
    priority: int
    created_at: Millis
    state: State
    due_at: Millis = 0
    not_before: Millis = 0
    expires_at: Millis = NEVER
    promised: bool = False
    decided: bool = False
    held: bool = False
    group: str = ""
    rule: str | None = None
    reason: str | None = None
    attempts: int = 0
    tries: int = 0
    crashes: int = 0
    updated_at: Millis = 0
    opened_at: Millis | None = None
    clicked_at: Millis | None = None
    digest_id: str | None = None
    ref: str | None = None

    @property
    def kind(self) -> Kind:
        """What rules can tell apart about it."""
        return Kind(self.type, self.category, self.channel, self.priority)


@dataclass(slots=True)
class Notification:
    """What the caller asked for.

    A broadcast has `cursor` set while it still has recipients to reach: it was accepted for those
    registered up to `audience_end`, and has deliveries for those up to `cursor`.
    """

    id: str
    type: str
    category: str
    priority: int
    content: Content
    created_at: Millis
    channels: tuple[str, ...] = ()
    expires_at: Millis = NEVER
    not_before: Millis = 0
    cursor: int | None = None
    audience_end: int = 0
    audience: Mapping[str, Any] = field(default_factory=dict)
    cancelled: bool = False


@dataclass(slots=True)
class Attempt:
    """One hand-over. `counts` is False once it is proven that nothing was delivered."""

    delivery_id: str
    number: int
    recipient: str
    at: Millis
    kind: Kind
    counts: bool = True
    outcome: str | None = None
    detail: str | None = None


class Lease(NamedTuple):
    """A claim: the attempt is written and the delivery is due again when the lease ends."""

    attempt: Attempt
    until: Millis
    crashes: int


class Result(NamedTuple):
    """What became of one attempt, or of a waiting delivery: its new state and queue entry.

    `attempt` is the number that must still be the latest one (a late result of a frozen worker is
    not applied), or None for deliveries nobody holds. `due_at` None takes it off the queue.
    """

    delivery_id: str
    attempt: int | None
    state: State
    at: Millis
    due_at: Millis | None = None
    not_before: Millis = 0
    rule: str | None = None
    reason: str | None = None
    held: bool = False
    group: str = ""
    tries: int = 0
    crashes: int = 0
    digest_id: str | None = None
    ref: str | None = None


class Verdict(NamedTuple):
    """What the outcome says about an attempt; `counts` False frees its place in the limits."""

    delivery_id: str
    number: int
    recipient: str
    at: Millis
    outcome: str
    detail: str | None
    counts: bool


class Policy(NamedTuple):
    """One version of a rule, a type or a template; `body` None marks a removal."""

    version: int
    kind: str
    name: str
    body: Mapping[str, Any] | None
    at: Millis
    author: str


class Remembered(NamedTuple):
    """What an idempotency key stands for."""

    fingerprint: str
    answer: str
    expires_at: Millis


class Suppression(NamedTuple):
    """An address nobody may write to; `scope` is `all` or a category."""

    channel: str
    address: str
    scope: str
    reason: str
    at: Millis


class Line(NamedTuple):
    """The deliveries of one recipient that wait, ascending by due instant.

    At most as many as asked for, the last ones; `total` counts all.
    """

    waiting: Sequence[Delivery]
    total: int


class Reader(Protocol):
    """Questions; inside a transaction they see its own writes."""

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

    def notifications(self, ids: Sequence[str]) -> dict[str, Notification]:
        """The notifications that exist under these ids."""
        ...

    def unfinished_broadcasts(self) -> list[Notification]:
        """Broadcasts with recipients still to reach, oldest first."""
        ...

    def attempts(self, delivery_id: str) -> list[Attempt]:
        """All attempts of one delivery, in order."""
        ...

    def history(self, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        """Counted attempts after `since`, ascending, for each recipient that has any."""
        ...

    def lines(self, recipients: Sequence[str], view: int) -> dict[str, Line]:
        """Who waits, for each recipient with anything waiting; never those being sent."""
        ...

    def cells(self, keys: Sequence[str]) -> dict[str, int]:
        """Theoretical arrival times (microseconds) of the throughput limits that have any."""
        ...

    def next_due(self) -> Millis | None:
        """The earliest instant at which the queue has something, or None."""
        ...

    def latest_attempt(self) -> Millis | None:
        """The instant of the youngest attempt."""
        ...

    def counts(self, notification_id: str | None = None) -> dict[State, int]:
        """How many deliveries are in each state, of one notification or of all."""
        ...

    def opened(self, notification_id: str) -> list[str]:
        """The recipients who opened the notification, each once."""
        ...

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

    def last_event(self) -> int:
        """The sequence number of the youngest event, 0 if there is none."""
        ...

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

    def note(self, key: str) -> str | None:
        """A small value kept under a name (listener positions and the like)."""
        ...


class Tx(Reader, Protocol):
    """One transaction: all of it happens or nothing does."""

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        """Store what callers asked for."""
        ...

    def advance_broadcast(self, notification_id: str, cursor: int | None) -> None:
        """A broadcast has reached recipients up to `cursor`; None: all of them."""
        ...

    def cancel_broadcast(self, notification_id: str) -> None:
        """No further recipients are reached."""
        ...

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        """Store deliveries; those that wait enter the queue."""
        ...

    def due(self, now: Millis, limit: int) -> list[Delivery]:
        """What is due at `now`: higher priorities first, then by due instant and age.

        Each lower priority that has anything due gets at least a tenth of `limit`: nothing starves.
        """
        ...

    def lease(self, leases: Sequence[Lease]) -> None:
        """Write the attempts and make their deliveries SENDING until the leases end."""
        ...

    def extend(self, delivery_ids: Sequence[str], until: Millis) -> None:
        """Members of a digest: SENDING until the lease of its head ends, without an attempt."""
        ...

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        """Apply results and verdicts; gives the ids whose result was fenced off and not applied."""
        ...

    def wake(self, now: Millis, recipient: str | None = None) -> int:
        """Make all that a rule holds due for a new decision; gives how many.

        None wakes everybody's.
        """
        ...

    def engage(self, delivery_id: str, opened_at: Millis, clicked_at: Millis | None) -> bool:
        """Mark a delivered delivery opened (and clicked); False if it was already or cannot be."""
        ...

    def set_cells(self, cells: Mapping[str, int]) -> None:
        """Store theoretical arrival times."""
        ...

    def add_events(self, events: Sequence[Event]) -> None:
        """Append facts."""
        ...

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        """Register or change people; gives how many were new. Addresses move to their new owner."""
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

    def remember(self, key: str, value: Remembered) -> None:
        """Store what an idempotency key stands for."""
        ...

    def set_note(self, key: str, value: str) -> None:
        """Keep a small value under a name."""
        ...

    def turn_back(self, to: Millis) -> int:
        """The clock was ahead of `to`: what it stamped later than that is restamped `to`.

        That are attempts, leases and retries; gives how many attempts.
        """
        ...

    def renew(self, delivery_ids: Sequence[str], until: Millis) -> None:
        """Longer leases for what is still being sent."""
        ...

    def release(self, now: Millis) -> int:
        """Ends all leases: nobody is left who could be sending. Gives how many."""
        ...

    def prune(self, before: Millis, history_before: Millis, limit: int) -> int:
        """Delete at most `limit` deliveries that finished before `before` with their events.

        Attempts go once they are older than `history_before`; so do idempotency keys that have
        expired at `before`. Gives how many rows went; 0 means done.
        """
        ...


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
        """A consistent view for questions."""
        ...

    def join(self) -> bool:
        """Say that this process sends from now on.

        True if nobody else does: leases found in the store then belong to nobody.
        """
        ...

    def close(self) -> None:
        """Let go of it; harmless when repeated."""
        ...
