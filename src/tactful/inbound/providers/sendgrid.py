"""SendGrid's Event Webhook: JSON, a list of events, signed with ECDSA (P-256, SHA-256).

Signed is the text of the header `X-Twilio-Email-Event-Webhook-Timestamp` with the body behind it;
the public key is shown by SendGrid as DER in base64. `smtp-id` is the Message-ID of what was handed
over by SMTP.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

from tactful.core.errors import ConfigError
from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report
from tactful.inbound.findings import status_in
from tactful.inbound.signed import (
    Call,
    ForgedError,
    UnreadableError,
    Verified,
    check_fresh,
    json_in,
    key_of,
    names_of,
    seconds_in,
    text_at,
)

NAME: Final = "sendgrid"
_SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
_TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
_KINDS: Final = {
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "bounced",
    "spamreport": "complained",
    "open": "opened",
    "click": "clicked",
}
_NOBODY: Final = ("bounced address", "invalid")


class SendGrid:
    """Reads SendGrid's calls; raises ConfigError for what is no public key of it."""

    def __init__(self, key: str) -> None:
        try:
            from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
            from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
            from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        except ImportError:
            raise ConfigError("receipts.sendgrid: needs `pip install 'tactful[inbound]'`") from None
        try:
            loaded = serialization.load_der_public_key(b64decode(key, validate=True))
        except (ValueError, binascii.Error):
            loaded = None
        if not isinstance(loaded, ec.EllipticCurvePublicKey):
            raise ConfigError("receipts.sendgrid.key: must be the public key that SendGrid shows")
        self._key = loaded
        self._how = ec.ECDSA(hashes.SHA256())
        self._invalid = InvalidSignature

    def read(self, call: Call) -> Verified:
        """See `Provider.read`."""
        stamp = call.header(_TIMESTAMP)
        try:
            signature = b64decode(call.header(_SIGNATURE), validate=True)
            self._key.verify(signature, stamp.encode() + call.body, self._how)
        except (self._invalid, ValueError):
            raise ForgedError("the signature is not SendGrid's") from None
        check_fresh(seconds_in(stamp), call.now)
        events = json_in(call.body)
        if not isinstance(events, list):
            raise UnreadableError("the body is no list of events")
        return Verified([report for event in events if (report := _report(event)) is not None])


def _report(event: Any) -> Report | None:
    word = text_at(event, "event")
    reason = text_at(event, "reason") or text_at(event, "response")
    kind = _KINDS.get(word)
    if kind is None or (word == "open" and event.get("sg_machine_open") is True):
        return None
    data = {"status": text_at(event, "status") or status_in(reason), "reason": reason}
    if word == "dropped" and "spam" in reason.lower():
        kind = "complained"  # the reason is a complaint that it has on file
    elif word == "dropped":
        data[BOUNCE] = HARD if reason.lower().startswith(_NOBODY) else SOFT
    elif word == "bounce":
        data[BOUNCE] = SOFT if text_at(event, "type") == "blocked" else HARD
    return Report(
        NAME,
        key_of(text_at(event, "sg_event_id") or text_at(event, "sg_message_id"), word),
        kind,
        text_at(event, "email"),
        names_of(text_at(event, "smtp-id")),
        data=data,
    )
