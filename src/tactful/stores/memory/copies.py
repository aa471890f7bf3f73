"""Copies of rows, so that nobody outside holds what the store goes on to change.

They name every field instead of using `dataclasses.replace`, which takes four times as long; a
delivery is copied twice in its life, so this is where the simulator would notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from tactful.core.model import Content, Event, Recipient
from tactful.ports import Attempt, Delivery, Notification

CHANGING: Final = (
    "state",
    "due_at",
    "not_before",
    "promised",
    "decided",
    "held",
    "group",
    "rule",
    "reason",
    "attempts",
    "tries",
    "crashes",
    "updated_at",
    "opened_at",
    "clicked_at",
    "digest_id",
    "ref",
    "begun",
    "owner",
    "paused",
)
"""The fields of a delivery that change after it was added."""

changing = attrgetter(*CHANGING)


def delivery_copy(row: Delivery) -> Delivery:
    """A delivery of its own."""
    return Delivery(
        row.id,
        row.notification_id,
        row.recipient,
        row.channel,
        row.address,
        row.type,
        row.category,
        row.priority,
        row.created_at,
        row.state,
        row.due_at,
        row.not_before,
        row.expires_at,
        row.promised,
        row.decided,
        row.held,
        row.group,
        row.rule,
        row.reason,
        row.attempts,
        row.tries,
        row.crashes,
        row.updated_at,
        row.opened_at,
        row.clicked_at,
        row.digest_id,
        row.ref,
        row.begun,
        row.owner,
        row.paused,
    )


def attempt_copy(row: Attempt) -> Attempt:
    """An attempt of its own."""
    return Attempt(
        row.delivery_id,
        row.number,
        row.recipient,
        row.at,
        row.kind,
        row.counts,
        row.outcome,
        row.detail,
    )


def _value_copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _value_copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value_copy(item) for item in value]
    return value


def data_copy(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of JSON data, all the way down; tuples become the lists that JSON knows."""
    return {key: _value_copy(value) for key, value in data.items()}


def notification_copy(row: Notification) -> Notification:
    """A notification of its own, with its data."""
    content = row.content
    if content.data:
        content = Content(
            content.subject,
            content.text,
            content.html,
            content.template,
            data_copy(content.data),
        )
    return Notification(
        row.id,
        row.type,
        row.category,
        row.priority,
        content,
        row.created_at,
        tuple(row.channels),
        row.expires_at,
        row.not_before,
        row.cursor,
        row.audience_end,
        data_copy(row.audience),
        row.cancelled,
        row.trace,
        row.paused_at,
        row.paused_by,
        row.resumed_to,
    )


def recipient_copy(row: Recipient) -> Recipient:
    """A recipient whose addresses are its own; the same one if there are none."""
    if not row.addresses:
        return row
    return Recipient(
        row.id, row.name, row.email, row.timezone, row.locale, dict(row.addresses), tuple(row.mute)
    )


def event_copy(row: Event, seq: int, notification_id: str, recipient: str) -> Event:
    """The event with data of its own and its place in the order of all events."""
    return Event(
        row.name,
        row.delivery_id,
        row.at,
        notification_id,
        recipient,
        data_copy(row.data),
        seq,
    )
