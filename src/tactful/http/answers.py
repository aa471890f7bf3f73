"""What answers look like: the schemas of the API's description. Instants are milliseconds."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Some of many; `next` is the cursor of the page after, None where there is none."""

    items: list[T]
    next: str | int | None


class Listing(BaseModel, Generic[T]):
    """All of them."""

    items: list[T]


class Decision(BaseModel):
    """What was decided, by which rule, and when it goes."""

    decision: str
    notification_id: str
    delivery_id: str | None
    rule: str | None
    deliver_at: int | None
    retry_at: int | None
    remaining: int | None
    reason: str | None
    channel: str | None
    replayed: bool
    others: list[Decision] = Field(description="One each for further channels.")


class RefusedField(BaseModel):
    """What is wrong with one item."""

    code: str
    field: str
    value: str | int | float | bool | None
    bound: str


class RefusedItem(BaseModel):
    """The result of an item that was not stored."""

    error: RefusedField


class BulkDecisions(BaseModel):
    """One result for each item, in order."""

    results: list[Decision | RefusedItem]


class Delivery(BaseModel):
    """One notification to one recipient over one channel."""

    id: str
    notification_id: str
    recipient: str
    channel: str
    address: str
    type: str
    category: str
    priority: int
    state: str
    rule: str | None
    reason: str | None
    attempts: int
    created_at: int
    updated_at: int
    deliver_at: int | None
    expires_at: int
    opened_at: int | None
    clicked_at: int | None
    digest_id: str | None


class Event(BaseModel):
    """A fact."""

    seq: int
    name: str
    at: int
    delivery_id: str | None
    notification_id: str | None
    recipient: str | None
    data: dict[str, Any]


class Events(BaseModel):
    """Facts in their order; `next` is where to go on, also when there is nothing more yet."""

    items: list[Event]
    next: int


class Filled(BaseModel):
    """An attempt or a planned slot that takes up room in a window."""

    at: int
    type: str
    category: str
    channel: str
    priority: int


class Attempt(BaseModel):
    """One hand-over; `counts` is false once it is proven that nothing was delivered."""

    number: int
    at: int
    counts: bool
    outcome: str | None
    detail: str | None


class Why(BaseModel):
    """Why a delivery is where it is."""

    delivery_id: str
    notification_id: str
    recipient: str
    type: str
    channel: str
    state: str
    decision: str
    rule: str | None
    limit: str | None
    reason: str | None
    deliver_at: int | None
    place: int | None
    fills: list[Filled]
    attempts: list[Attempt]
    events: list[Event]
    text: str
    paused_at: int | None
    paused_by: str


class Figures(BaseModel):
    """The figures of a notification; a ratio is 0 where nothing could be divided by."""

    notification_id: str
    sent: int
    received: int
    lost: int
    opened: int
    waiting: int
    not_sent: int
    received_ratio: float
    opened_ratio: float
    opened_of_sent: float


class Cancelled(BaseModel):
    """How many deliveries were called off."""

    cancelled: int


class Paused(BaseModel):
    """How many deliveries waited, and stand still now."""

    paused: int


class Resumed(BaseModel):
    """How many deliveries stood still, and may go again."""

    resumed: int


class PausedNotification(BaseModel):
    """A notification that is paused: since when, and by whom."""

    notification_id: str
    at: int
    by: str


class Queued(BaseModel):
    """Whether it is in the queue again."""

    queued: bool


class Recipient(BaseModel):
    """A person."""

    id: str
    name: str | None
    email: str | None
    timezone: str
    locale: str
    addresses: dict[str, str]
    mute: list[str]


class Imported(BaseModel):
    """One result for each item, in order; `new` of them were not known before."""

    new: int
    results: list[Recipient | RefusedItem]


class InboxMessage(BaseModel):
    """A message that a recipient has received."""

    id: str
    notification_id: str
    type: str
    channel: str
    subject: str
    text: str
    at: int
    read: bool


class Read(BaseModel):
    """Whether it was not read before."""

    changed: bool


class Preferences(BaseModel):
    """What a recipient does not want."""

    mute: list[str]


class Suppression(BaseModel):
    """An address to which nobody may write."""

    channel: str
    address: str
    scope: str
    reason: str
    at: int


class Version(BaseModel):
    """One version of a policy; `value` is null where it was removed."""

    version: int
    name: str
    value: dict[str, Any] | None
    at: int
    author: str


class Changed(BaseModel):
    """The version that a change has made."""

    version: int


class RuleChanged(Changed):
    """The version that a change has made, and the rule in normal form."""

    rule: dict[str, Any]


class Type(BaseModel):
    """A notification type."""

    name: str
    category: str
    channels: list[str]
    priority: str
    ttl_ms: int | None
    on_ambiguous: str
    mandatory: bool
    tracked: bool


class Template(BaseModel):
    """A template for one locale and channel, or for all ("")."""

    name: str
    locale: str
    channel: str
    subject: str
    text: str
    html: str | None


class Rendered(BaseModel):
    """What a template makes of some data."""

    subject: str
    text: str
    html: str | None


class Secret(BaseModel):
    """One secret of a key, which is not shown; `expires_at` is null for one without an end."""

    expires_at: int | None


class Key(BaseModel):
    """A key in force; `last_used_at` is good to about a minute, and null if it never was used."""

    name: str
    scopes: list[str]
    secrets: list[Secret]
    last_used_at: int | None


class NewKey(Key):
    """A key with its new secret, which is shown this once."""

    token: str


class Status(BaseModel):
    """The whole at a glance."""

    version: str
    now: int
    states: dict[str, int]
    next_due: int | None
    behind_ms: int
    broadcasts: int
    paused: list[PausedNotification]
    rules: int
    epoch: int
    unknown_types: list[str]


class Waiting(BaseModel):
    """What a rule holds now; with `at_least` not all of it was counted."""

    total: int
    at_least: bool
    by_rule: dict[str, int]
    by_type: dict[str, int]


class Trial(BaseModel):
    """What a change of the rules would do: `waiting` now, and the last days replayed."""

    waiting: Waiting
    backtest: dict[str, Any]


class Simulation(BaseModel):
    """A simulation: queued, running, done, failed or cancelled; `result` once it is done."""

    id: str
    name: str
    state: str
    submitted_at: int
    error: str | None
    result: dict[str, Any] | None


class Health(BaseModel):
    """Whether it answers."""

    status: str
