"""What callers ask for, checked at the edge.

Everything that can be wrong with a submission is found here, before anything is stored; errors
name the field, the value and the bound.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Required, TypedDict

from tactful.core.errors import RequestError
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND, Content, Millis, Recipient
from tactful.core.names import has_control, name_key, recipient_key
from tactful.core.rules import parse_priority
from tactful.templates.data import plain

SUBJECT_MAX: Final = 255
TEXT_MAX: Final = 1_000_000
KEY_MAX: Final = 255
TTL_MAX_MS: Final = 366 * DAY
_DURATION = re.compile(r"(\d{1,9})\s*(ms|s|m|h|d)")
_DURATION_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_BODY_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")


class Broadcast(TypedDict, total=False):
    """The fields of a broadcast; see `Tactful.send` for what they mean."""

    type: Required[str]
    subject: str
    text: str
    html: str | None
    template: str | None
    data: Mapping[str, Any] | None
    channels: Sequence[str] | str | None
    priority: str | int | None
    ttl: Millis | str | None
    deliver_at: Millis | None
    collapse_key: str | None
    idempotency_key: str | None


class Submission(Broadcast, total=False):
    """The fields of a notification to one recipient, by id or address."""

    to: Required[str | Recipient]


class Request(NamedTuple):
    """One submission in normal form; `to` is "" for a broadcast.

    `trace` is the span that asks for it, as a `traceparent` of W3C Trace Context, or empty. It has
    no part in the fingerprint: who asks again does so in another span.
    """

    type: str
    to: str
    content: Content
    channels: tuple[str, ...] = ()
    priority: int | None = None
    ttl_ms: Millis | None = None
    deliver_at: Millis | None = None
    collapse_key: str = ""
    key: str | None = None
    fingerprint: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was decided about a submission, and why.

    `decision` is send, defer, digest, collapse, reject, suppress or expire, or `queued` for a
    broadcast, which is decided person by person when it goes out. `deliver_at` is the instant (ms)
    at which it goes, None if it does not or if no rule says when; `retry_at` when a rejected one
    would be let through; `remaining` what the tightest rule still allows now. `replayed` is True
    if the idempotency key had been used before: nothing new was stored. A notification over
    several channels has one receipt each in `others`.
    """

    decision: str
    notification_id: str
    delivery_id: str | None = None
    rule: str | None = None
    deliver_at: Millis | None = None
    retry_at: Millis | None = None
    remaining: int | None = None
    reason: str | None = None
    channel: str | None = None
    replayed: bool = False
    others: tuple[Receipt, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The receipt as plain data."""
        found = {name: getattr(self, name) for name in self.__slots__}
        found["others"] = [other.to_dict() for other in self.others]
        return found


def receipt_from(data: Mapping[str, Any]) -> Receipt:
    """Read a receipt back from plain data."""
    others = tuple(receipt_from(other) for other in data.get("others", ()))
    return Receipt(**{**data, "others": others})


def parse_duration(value: object, field: str) -> Millis:
    """Milliseconds from a whole number of them or a text such as `90s`, `30m`, `2h`, `3d`."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip().lower())
        amount = int(match[1]) * _DURATION_UNITS[match[2]] if match else 0
    else:
        amount = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if not 0 < amount <= TTL_MAX_MS:
        raise RequestError(
            field, value, "must be like 90s, 30m, 2h or 3d: above 0, at most 366 days"
        )
    return amount


def _text(value: object, field: str, most: int) -> str:
    if not isinstance(value, str):
        raise RequestError(field, value, "must be a text")
    if len(value) > most:
        raise RequestError(field, value, f"must have at most {most} characters, not {len(value)}")
    if field == "subject":
        if has_control(value):
            raise RequestError(field, value, "must have no control characters or line breaks")
    elif _BODY_CONTROLS.search(value):
        raise RequestError(field, value, "must have no control characters but tabs and line breaks")
    return value


def _no_data(data: object) -> dict[str, Any]:
    if data is None:
        return {}
    raise RequestError("data", data, "must be a mapping of names to plain values")


def _content(
    subject: object, text: object, html: object, template: object, data: object
) -> Content:
    words = Content(
        _text(subject, "subject", SUBJECT_MAX),
        _text(text, "text", TEXT_MAX),
        None if html is None else _text(html, "html", TEXT_MAX),
        None if template is None else name_key(template, "template"),
        plain(data, "data") if isinstance(data, Mapping) else _no_data(data),
    )
    if words.template is None and not (words.subject or words.text or words.html):
        raise RequestError("text", text, "give a subject, a text, an html or a template")
    return words


def parse_request(
    *,
    type: object,  # noqa: A002 - the public name of the field
    to: object = "",
    subject: object = "",
    text: object = "",
    html: object = None,
    template: object = None,
    data: object = None,
    channels: object = None,
    priority: object = None,
    ttl: object = None,
    deliver_at: object = None,
    collapse_key: object = None,
    idempotency_key: object = None,
    broadcast: bool = False,
) -> Request:
    """Check one submission; raises RequestError."""
    if isinstance(to, Recipient):
        to = to.id
    if not broadcast:
        recipient_key(to, "to")
    if deliver_at is not None and (
        isinstance(deliver_at, bool)
        or not isinstance(deliver_at, int)
        or not 0 < deliver_at < NEVER
    ):
        raise RequestError("deliver_at", deliver_at, "must be an instant in milliseconds")
    if channels is None:
        ways: tuple[str, ...] = ()
    elif isinstance(channels, str):
        ways = (name_key(channels, "channels"),)
    elif isinstance(channels, Sequence) and channels:
        ways = tuple(dict.fromkeys(name_key(channel, "channels") for channel in channels))
    else:
        raise RequestError("channels", channels, "must be a list of channel names")
    if idempotency_key is not None and (
        not isinstance(idempotency_key, str)
        or not 0 < len(idempotency_key) <= KEY_MAX
        or has_control(idempotency_key)
    ):
        bound = f"must be a text of 1 to {KEY_MAX} characters"
        raise RequestError("idempotency_key", idempotency_key, bound)
    request = Request(
        name_key(type, "type"),
        str(to),
        _content(subject, text, html, template, data),
        ways,
        None if priority is None else int(parse_priority(priority, "priority")),
        None if ttl is None else parse_duration(ttl, "ttl"),
        deliver_at,
        "" if collapse_key is None else name_key(collapse_key, "collapse_key"),
        idempotency_key,
    )
    if idempotency_key is None:
        return request
    content = {name: getattr(request.content, name) for name in Content.__slots__}
    body = {**request._asdict(), "content": content}
    body["to"] = recipient_key(to, "to") if to else ""
    del body["key"], body["trace"]
    canonical = json.dumps(body, sort_keys=True, ensure_ascii=False).encode()
    return request._replace(fingerprint=hashlib.sha256(canonical).hexdigest())
