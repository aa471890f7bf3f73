"""What is stored: plain slotted values.

Instants are integer milliseconds (`Millis`); names and recipients are in normal form
(`core.names`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tactful.core.model import NEVER, Content, Kind, Millis, State


@dataclass(slots=True)
class Delivery:
    """One notification to one recipient over one channel.

    While it waits or is being sent, `due_at` is when the queue looks at it next: its slot, its
    retry, or the end of its lease. `not_before` is the instant before which nobody wants it.
    `promised` says that a receipt told the caller it goes now; `decided` that rules have been
    asked; `held` that a rule, not its schedule, makes it wait. `group` names the digest or
    collapse group it waits in. `paused` says that its notification was paused: it has no slot, is
    in nobody's way, and is only looked at when it expires.
    `begun` says that the hand-over of the latest attempt has begun: until then nothing can have
    been delivered. `owner` is who holds the lease of a delivery that is being sent. `tries` counts
    real failures, `crashes` attempts without an answer, `attempts` all hand-overs.
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
    begun: bool = False
    owner: str = ""
    paused: bool = False

    @property
    def kind(self) -> Kind:
        """What rules can tell apart about it."""
        return Kind(self.type, self.category, self.channel, self.priority)


@dataclass(slots=True)
class Notification:
    """What the caller asked for.

    A broadcast has `cursor` set while it still has recipients to reach: it was accepted for those
    registered up to `audience_end`, and has deliveries for those up to `cursor`.

    `paused_at` and `paused_by` tell since when it is paused and who wanted it. While it is being
    resumed, `resumed_to` is the last of its deliveries that may go again ("" before the first).

    `trace` is the span that asked for it, as a `traceparent` of W3C Trace Context, or empty.
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
    trace: str = ""
    paused_at: Millis | None = None
    paused_by: str = ""
    resumed_to: str | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing of it may be handed over."""
        return self.paused_at is not None and self.resumed_to is None


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
    owner: str = ""


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
    """What the outcome says about an attempt; `counts` False frees its place in the limits.

    `at` is its instant, as far as it is known: 0 says that it is not.
    """

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


class Record(NamedTuple):
    """What was asked for and what became of it, for one delivery, as it is looked back upon.

    `not_before` is what the caller asked for, `broadcast` whether everybody was meant. `sent_at` is
    the instant of the latest attempt that counts, of the delivery itself or of the digest that
    carried it, between its acceptance and `updated_at`; None if there is none.
    """

    recipient: str
    id: str
    notification_id: str
    kind: Kind
    created_at: Millis
    not_before: Millis
    expires_at: Millis
    broadcast: bool
    state: State
    rule: str | None
    updated_at: Millis
    digest_id: str | None
    sent_at: Millis | None


class Fact(NamedTuple):
    """An event beside what is known of its delivery, as it is counted.

    `rule` is the one that the event names, else the one that is stored with a finished delivery.
    `earlier` are the names of the events that the delivery had before, and `by` is what the event
    says under this name: whose an opening or a click was. Of an event without a delivery, or whose
    delivery was pruned, `type` and `channel` are empty and `created_at` is `at`.
    """

    seq: int
    name: str
    at: Millis
    delivery_id: str
    recipient: str
    type: str
    channel: str
    rule: str | None
    created_at: Millis
    earlier: tuple[str, ...]
    by: str | None


class Line(NamedTuple):
    """The deliveries of one recipient that wait, ascending by due instant.

    At most as many as asked for, the last ones; `total` counts all.
    """

    waiting: Sequence[Delivery]
    total: int
