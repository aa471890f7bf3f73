"""The words of the domain, as values.

Time is `int` milliseconds since the epoch, UTC, everywhere (`Millis`). Nothing in `core` reads a
clock, draws a random number or touches a file: what a function needs is an argument.

A *notification* is what the caller asked for; a *delivery* is one notification to one recipient
over one channel; an *attempt* is one hand-over of a delivery to its channel. The attempts are the
ledger that limits are counted on. A *decision* is the core's answer for one delivery at one
instant; an *outcome* is what a channel answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

Millis: TypeAlias = int

NEVER: Final[Millis] = 1 << 62
"""An instant that does not come: a delivery that no rule will ever let go by itself."""

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Priority(IntEnum):
    """How urgent a delivery is; a higher one is claimed first and may hold reserved slots."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class State(StrEnum):
    """Where a delivery is in its life; the legal moves are in `core.lifecycle`."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    LOST = "lost"
    BOUNCED = "bounced"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    SUPERSEDED = "superseded"
    DIGESTED = "digested"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Kind(NamedTuple):
    """What rules can tell apart about a delivery; equal kinds are limited alike."""

    type: str
    category: str
    channel: str
    priority: int


class Entry(NamedTuple):
    """One counted attempt in a recipient's history, or one slot that is already planned."""

    at: Millis
    kind: Kind


# Decisions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """May go now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """Waits; `until` is its exact next free slot, or NEVER while the rule allows none at all."""

    until: Millis
    rule: str


@dataclass(frozen=True, slots=True)
class Digest:
    """Waits for `until` and goes out as one message with all that wait in the same group."""

    until: Millis
    rule: str


@dataclass(frozen=True, slots=True)
class Collapse:
    """Waits for `until` in place of everything older that waits in the same group."""

    until: Millis
    rule: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Final no of a rule; `retry_at` is when it would agree, or NEVER."""

    rule: str
    retry_at: Millis


@dataclass(frozen=True, slots=True)
class Suppress:
    """Final no of the recipient or of the suppression list."""

    reason: str


@dataclass(frozen=True, slots=True)
class Expire:
    """Its time to live ended before it could go."""

    at: Millis


Decision: TypeAlias = Send | Defer | Digest | Collapse | Reject | Suppress | Expire


# Outcomes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The channel took it over.

    `ref` is the channel's own name for it. `arrived` says what the channel knows about arrival:
    True (it is in the recipient's hands), False (it is lost), None (not known yet).
    """

    ref: str | None = None
    arrived: bool | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Surely not delivered, but may be later.

    `after_ms` is the least wait that the channel asks for. `counted=False` marks a failure that
    says nothing about this message (nobody answered at all): it does not use up a try, and with
    `after_ms=0` it may be tried again at once.
    """

    why: str
    after_ms: Millis | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """Surely not delivered, and never will be.

    `bounce` is what that says about the address: `hard` (nobody is there), `soft` (its mailbox did
    not take it) or nothing; `status` is the enhanced status of RFC 3463, if one was given.
    """

    why: str
    bounce: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have been delivered: the answer was lost after the data was handed over."""

    why: str


Outcome: TypeAlias = Accepted | Retry | Rejected | Unknown

PERMIT_ENDED: Final = Retry("its permit had ended", after_ms=0, counted=False)
"""What a channel answers for a message that it may no longer hand over."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered delivery, as a channel gets it.

    `id` is stable over all attempts, so that a receiver can recognise a second copy; `at` is the
    instant of the attempt. `headers` are further mail headers (name, value) that the engine wants
    on it. `maybe_duplicate` is True where an earlier attempt may have arrived. `traces` are the
    spans that asked for what is in it, as `traceparent`s of W3C Trace Context.

    `may_go` says whether it may still be handed over. A channel asks right before the step that it
    cannot take back, and answers PERMIT_ENDED if not: a worker that stood still for minutes must
    not send what others have decided about since.
    """

    id: str
    notification_id: str
    recipient: str
    address: str
    type: str
    subject: str
    text: str
    html: str | None
    at: Millis
    attempt: int = 1
    name: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    maybe_duplicate: bool = False
    traces: tuple[str, ...] = ()
    may_go: Callable[[], bool] = field(default=_always, compare=False, repr=False)


# People and content ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person.

    `addresses` maps a channel's address kind (`email`, `sms`, ...) to an address; `email=` is a
    shorthand for one of them. `mute` lists what the person does not want: `type:news`,
    `category:offers`, `channel:sms` or `all`. `str(recipient)` is the name, or the id without one.
    """

    id: str
    name: str | None = None
    email: str | None = None
    timezone: str = "UTC"
    locale: str = "en"
    addresses: Mapping[str, str] = field(default_factory=dict)
    mute: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name or self.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class NotificationType:
    """The kind of a notification and what it brings along by default.

    `ttl_ms` is the time to live from acceptance. `on_ambiguous` is `retry` (at least once) or
    `hold` (at most once). A `mandatory` type ignores `mute` and complaints, and nothing else that
    is on the suppression list.
    """

    name: str
    category: str = "default"
    channels: tuple[str, ...] = ()
    priority: str = "normal"
    ttl_ms: Millis | None = None
    on_ambiguous: str = "retry"
    mandatory: bool = False
    tracked: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """What a notification says: literal text, or a template with the data to fill it."""

    subject: str = ""
    text: str = ""
    html: str | None = None
    template: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.subject, self.text, self.html, self.template))


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a delivery, append-only. `seq` orders all events of one store."""

    name: str
    delivery_id: str
    at: Millis
    notification_id: str = ""
    recipient: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0

    def __hash__(self) -> int:
        return hash((self.name, self.delivery_id, self.at, self.seq))
