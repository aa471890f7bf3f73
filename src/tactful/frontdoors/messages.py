"""What a message of a broker asks for: a submission, and the key that makes it count once.

The body is the JSON of `POST /v1/notifications`, or a CloudEvent 1.0 around it: structured (one
JSON document) or binary (its attributes in headers). The key is the first of these that is there:

1. `idempotency_key` in the submission,
2. the header `Idempotency-Key`, `Nats-Msg-Id` or `message-id`,
3. source and id of the CloudEvent,
4. the name that the broker has for the message.

Without any of them a message that comes twice is admitted twice. A key that is too long or has
control characters in it is replaced by its SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.core.names import has_control
from tactful.engine.documents import BODY_MAX, UnreadableError, document
from tactful.engine.requests import KEY_MAX
from tactful.ports import Incoming

KEY_HEADERS: Final = ("idempotency-key", "nats-msg-id", "message-id")
ATTRIBUTE_PREFIXES: Final = ("ce-", "ce_", "cloudevents:", "cloudevents_")
"""How the bindings of CloudEvents to protocols begin the names of attributes in headers."""
SPEC: Final = "1."


def submission_of(message: Incoming) -> dict[str, Any]:
    """The fields of what is submitted, key included; raises UnreadableError, RequestError."""
    if len(message.body) > BODY_MAX:
        raise UnreadableError(f"the body must have at most {BODY_MAX} bytes")
    event = _attributes(message.headers)
    fields = document(message.body)
    if not event and isinstance(fields, dict) and "specversion" in fields:
        event, fields = fields, _data(fields)
    if event and not str(event.get("specversion")).startswith(SPEC):
        raise RequestError("specversion", event.get("specversion"), "must be 1.0")
    if not isinstance(fields, dict):
        raise RequestError("data" if event else "body", fields, "must be an object with fields")
    if fields.get("idempotency_key") is None:
        key = _key(message, event)
        if key is not None:
            fields = {**fields, "idempotency_key": key}
    return fields


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of a CloudEvent in headers; nothing where there is none."""
    for prefix in ATTRIBUTE_PREFIXES:
        if f"{prefix}specversion" in headers:
            found = {n.removeprefix(prefix): v for n, v in headers.items() if n.startswith(prefix)}
            return dict(found)
    return {}


def _data(event: Mapping[str, Any]) -> Any:
    """What a structured CloudEvent holds."""
    if "data_base64" not in event:
        return event.get("data")
    try:
        return document(base64.b64decode(str(event["data_base64"]), validate=True))
    except (binascii.Error, ValueError):
        raise RequestError("data_base64", "...", "must be JSON in base64") from None


def _key(message: Incoming, event: Mapping[str, Any]) -> str | None:
    for name in KEY_HEADERS:
        if message.headers.get(name):
            return _bounded(message.headers[name])
    if event:
        source, id_ = event.get("source"), event.get("id")
        if not isinstance(id_, str) or not id_:
            raise RequestError("id", id_, "must be a text: a CloudEvent has an id")
        if not isinstance(source, str) or not source:
            raise RequestError("source", source, "must be a text: a CloudEvent has a source")
        return _bounded(f"{source} {id_}")
    return message.name


def _bounded(key: str) -> str:
    if len(key) <= KEY_MAX and not has_control(key):
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
