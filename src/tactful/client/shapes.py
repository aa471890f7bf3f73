"""What goes to the service and what comes back: the shapes of the library, for those without it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Required, TypedDict, TypeVar

T = TypeVar("T")


class Announcement(TypedDict, total=False):
    """The fields of a broadcast; instants and `ttl` are milliseconds, `ttl` also like `2h`."""

    type: Required[str]
    subject: str
    text: str
    html: str | None
    template: str | None
    data: Mapping[str, Any] | None
    channels: Sequence[str] | str | None
    priority: str | None
    ttl: int | str | None
    deliver_at: int | None
    collapse_key: str | None
    idempotency_key: str | None


class Notification(Announcement, total=False):
    """The fields of a notification to one recipient, by id or address."""

    to: Required[str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was decided about a submission, and why; see the library's `Receipt`."""

    decision: str
    notification_id: str
    delivery_id: str | None = None
    rule: str | None = None
    deliver_at: int | None = None
    retry_at: int | None = None
    remaining: int | None = None
    reason: str | None = None
    channel: str | None = None
    replayed: bool = False
    others: tuple[Receipt, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification to one recipient over one channel; instants are milliseconds."""

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


@dataclass(frozen=True, slots=True)
class Event:
    """A fact; `seq` is its place in the order of all of them."""

    seq: int
    name: str
    at: int
    delivery_id: str | None
    notification_id: str | None
    recipient: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Why:
    """Why a delivery is where it is; `text` says it in words. See the library's `Why`."""

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
    fills: Sequence[Mapping[str, Any]]
    attempts: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    text: str
    paused_at: int | None
    paused_by: str


@dataclass(frozen=True, slots=True)
class Figures:
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


@dataclass(frozen=True, slots=True)
class Page:
    """Some of many, and the cursor of the page after; None where there is none."""

    items: Sequence[Mapping[str, Any]]
    next: str | int | None


def shaped(kind: type[T], data: Mapping[str, Any]) -> T:
    """A value of a shape; what a newer service says besides is left out.

    Raises TypeError where something that must be there is missing.
    """
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: data[name] for name in names if name in data})


def receipt(data: Mapping[str, Any]) -> Receipt:
    """A receipt, with those of the other channels."""
    others: Iterable[Mapping[str, Any]] = data.get("others", ())
    return shaped(Receipt, {**data, "others": tuple(receipt(other) for other in others)})
