"""Mailgun's webhooks: JSON, one event, signed with HMAC-SHA256 under the webhook signing key.

The signature covers a timestamp and a token, and nothing of the event. So a token that has sealed
one event is a forgery on any other.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report, Seal
from tactful.inbound.findings import is_hard, status_in
from tactful.inbound.signed import (
    Call,
    ForgedError,
    UnreadableError,
    Verified,
    check_fresh,
    json_in,
    key_of,
    names_of,
    same,
    seconds_in,
    text_at,
)

NAME: Final = "mailgun"
_KINDS: Final = {
    "delivered": "delivered",
    "failed": "bounced",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
}


class Mailgun:
    """Reads Mailgun's calls."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def read(self, call: Call) -> Verified:
        """See `Provider.read`."""
        document = json_in(call.body)
        stamp, token = (text_at(document, "signature", name) for name in ("timestamp", "token"))
        expected = hmac.new(self._key, (stamp + token).encode(), hashlib.sha256).hexdigest()
        if not token or not same(text_at(document, "signature", "signature"), expected):
            raise ForgedError("the signature is not Mailgun's")
        check_fresh(seconds_in(stamp), call.now)
        event = document.get("event-data")
        if not text_at(event, "id"):
            raise UnreadableError("event-data.id: is missing")
        fingerprint = hashlib.sha256(call.body).hexdigest()
        report = _report(event)
        reports = [] if report is None else [report]
        return Verified(reports, Seal(NAME, key_of(token), fingerprint))


def _report(event: Any) -> Report | None:
    word, severity = text_at(event, "event"), text_at(event, "severity")
    kind = _KINDS.get(word)
    # What failed for now is still being tried.
    if kind is None or (word == "failed" and severity != "permanent"):
        return None
    told = text_at(event, "delivery-status", "message")
    why = told or text_at(event, "delivery-status", "description")
    code = text_at(event, "delivery-status", "enhanced-code") or status_in(why)
    data = {
        "status": code or status_in(text_at(event, "delivery-status", "code") + " "),
        "reason": why,
    }
    if word == "failed":
        cause = text_at(event, "reason")
        if cause == "suppress-complaint":
            kind = "complained"
        else:
            known = cause == "suppress-bounce"
            data[BOUNCE] = HARD if known or is_hard(data["status"], why) else SOFT
    message_id = text_at(event, "message", "headers", "message-id")
    address = text_at(event, "recipient")
    return Report(
        NAME, key_of(text_at(event, "id")), kind, address, names_of(message_id), data=data
    )
