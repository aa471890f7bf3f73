"""Between SQL rows and the values of the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson

from tactful.core.model import Content, Event, Kind, Recipient, State
from tactful.ports import Attempt, Delivery, Fact, Notification, Policy, Record

Row: TypeAlias = Sequence[Any]

_STATES = {state.value: state for state in State}


def dumps(value: Any) -> str:
    """Compact JSON in the caller's own characters."""
    return orjson.dumps(value).decode()


def delivery_from(row: Row) -> Delivery:
    """A row of `queue_rows` or `delivery_rows`; their columns are in the order of the fields."""
    (id_, notification, recipient, channel, address, type_, category, priority) = row[:8]
    (created, state, due, not_before, expires, promised, decided, held, group) = row[8:17]
    delivery = Delivery(
        id_,
        notification,
        recipient,
        channel,
        address,
        type_,
        category,
        priority,
        created,
        _STATES[state],
        due,
        not_before,
        expires,
        promised == 1,
        decided == 1,
        held == 1,
        group,
        *row[17:27],
    )
    delivery.begun = row[27] == 1
    delivery.owner = row[28]
    delivery.paused = row[29] == 1
    return delivery


def delivery_row(d: Delivery, waits: bool) -> tuple[Any, ...]:
    """The values of `add_delivery`."""
    return (
        d.id,
        d.notification_id,
        d.recipient,
        d.channel,
        d.address,
        d.type,
        d.category,
        d.priority,
        d.created_at,
        d.expires_at,
        None if waits else d.state.value,
        None if waits else d.rule,
        None if waits else d.reason,
        d.attempts,
        d.tries,
        d.crashes,
        d.updated_at,
        d.digest_id,
        d.ref,
    )


def due_row(d: Delivery) -> tuple[Any, ...]:
    """The values of `add_due`."""
    return (
        d.id,
        d.recipient,
        d.priority,
        d.due_at,
        d.not_before,
        d.state.value,
        int(d.promised),
        int(d.decided),
        int(d.held),
        d.group,
        d.rule,
        d.reason,
        d.attempts,
        d.tries,
        d.crashes,
        d.channel,
    )


def event_row(event: Event) -> tuple[Any, ...]:
    """The values of `add_event`: what its delivery tells is not said again."""
    return (
        event.name,
        event.delivery_id,
        event.at,
        None if event.delivery_id else event.notification_id,
        None if event.delivery_id else event.recipient,
        dumps(event.data) if event.data else None,
    )


def record_from(row: Row, kinds: dict[tuple[Any, ...], Kind]) -> Record:
    """A row of `records`; `kinds` keeps those that were met."""
    (recipient, id_, notification, created, not_before, expires, broadcast, state, rule) = row[:9]
    parts = tuple(row[12:])
    kind = kinds.get(parts)
    if kind is None:
        kind = kinds[parts] = Kind(*parts)
    return Record(
        recipient,
        id_,
        notification,
        kind,
        created,
        not_before,
        expires,
        broadcast == 1,
        _STATES[state],
        rule,
        *row[9:12],
    )


def notification_from(row: Row) -> Notification:
    """A row of `notifications`."""
    (id_, type_, category, priority, content, created, channels, expires, not_before) = row[:9]
    cursor, audience_end, audience, cancelled, *others = row[9:]
    return Notification(
        id_,
        type_,
        category,
        priority,
        Content(**orjson.loads(content)),
        created,
        () if channels == "[]" else tuple(orjson.loads(channels)),
        expires,
        not_before,
        cursor,
        audience_end,
        {} if audience == "{}" else orjson.loads(audience),
        cancelled == 1,
        *others,
    )


def notification_row(n: Notification) -> tuple[Any, ...]:
    """The values of `add_notification`; parts of the content at their default are left out."""
    content: dict[str, Any] = {}
    if n.content.subject:
        content["subject"] = n.content.subject
    if n.content.text:
        content["text"] = n.content.text
    if n.content.html is not None:
        content["html"] = n.content.html
    if n.content.template is not None:
        content["template"] = n.content.template
    if n.content.data:
        content["data"] = n.content.data
    return (
        n.id,
        n.type,
        n.category,
        n.priority,
        dumps(content),
        n.created_at,
        dumps(n.channels) if n.channels else "[]",
        n.expires_at,
        n.not_before,
        n.cursor,
        n.audience_end,
        dumps(n.audience) if n.audience else "{}",
        int(n.cancelled),
        n.trace,
        n.paused_at,
        n.paused_by,
        n.resumed_to,
    )


def attempt_from(row: Row) -> Attempt:
    """A row of `attempts_of`."""
    delivery, number, recipient, at, *kind = row[:8]
    counts, outcome, detail = row[8:]
    return Attempt(delivery, number, recipient, at, Kind(*kind), counts == 1, outcome, detail)


def event_from(row: Row) -> Event:
    """A row of `events`."""
    seq, name, delivery, at, notification, recipient, data = row
    facts = orjson.loads(data) if data else {}
    return Event(name, delivery, at, notification, recipient, facts, seq)


def fact_from(row: Row) -> Fact:
    """A row of `facts`; a rule in the event itself goes before that of its delivery."""
    seq, name, at, delivery, recipient, type_, channel, rule, created_at, data, earlier = row
    told = orjson.loads(data) if data else {}
    names = tuple(earlier.split(",")) if earlier else ()
    rule, by = told.get("rule") or rule, told.get("by")
    return Fact(seq, name, at, delivery, recipient, type_, channel, rule, created_at, names, by)


def recipient_from(row: Row) -> tuple[int, Recipient]:
    """A row of `recipients` with its registration number."""
    seq, id_, name, email, timezone, locale, addresses, mute = row
    return seq, Recipient(
        id_, name, email, timezone, locale, orjson.loads(addresses), tuple(orjson.loads(mute))
    )


def policy_from(row: Row) -> Policy:
    """A row of `policies`."""
    version, kind, name, body, at, author = row
    return Policy(version, kind, name, None if body is None else orjson.loads(body), at, author)
