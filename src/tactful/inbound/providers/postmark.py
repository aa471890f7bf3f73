"""Postmark's webhooks: JSON, one record, not signed.

Postmark offers no signature; whose a call is says a secret that it sends along, as the password of
HTTP's basic authentication (put it into the URL, `https://any:SECRET@...`) or in a header
`X-Webhook-Secret`. `MessageID` is Postmark's own name for the message; a delivery is found by it
where Postmark gave it in its answer to the hand-over, or where the sender said `tactful` in the
metadata of the message.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report
from tactful.inbound.findings import status_in
from tactful.inbound.signed import (
    Call,
    ForgedError,
    UnreadableError,
    Verified,
    json_in,
    key_of,
    names_of,
    same,
    text_at,
)

NAME: Final = "postmark"
_KINDS: Final = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
_NOBODY: Final = frozenset(("HardBounce", "BadEmailAddress", "ManuallyDeactivated"))
_NO_BOUNCE: Final = frozenset(
    (
        *("Transient", "Subscribe", "Unsubscribe", "AutoResponder", "AddressChange"),
        *("OpenRelayTest", "ChallengeVerification"),
    )
)
"""Types of what Postmark calls a bounce: still being tried, or a person's or a program's reply."""

_COMPLAINTS: Final = frozenset(("SpamComplaint", "SpamNotification"))


class Postmark:
    """Reads Postmark's calls."""

    def __init__(self, key: str) -> None:
        self._key = key

    def read(self, call: Call) -> Verified:
        """See `Provider.read`."""
        if not same(call.header("x-webhook-secret") or _password(call), self._key):
            raise ForgedError("the secret is not the one that is configured")
        record = json_in(call.body)
        if not isinstance(record, dict):
            raise UnreadableError("the body is no record")
        report = _report(record)
        return Verified([] if report is None else [report])


def _password(call: Call) -> str:
    scheme, _, value = call.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _report(record: dict[str, Any]) -> Report | None:
    word, cause = text_at(record, "RecordType"), text_at(record, "Type")
    kind = "complained" if cause in _COMPLAINTS else _KINDS.get(word)
    if kind is None or cause in _NO_BOUNCE:
        return None
    if kind == "bounced" and not cause:
        return None
    why = text_at(record, "Details") or text_at(record, "Description")
    data = {"status": status_in(why), "reason": why}
    if kind == "bounced":
        data[BOUNCE] = HARD if cause in _NOBODY else SOFT
    message = text_at(record, "MessageID")
    own = text_at(record, "ID") or text_at(record, "ReceivedAt") or text_at(record, "DeliveredAt")
    tagged = text_at(record, "Metadata", "tactful")
    return Report(
        NAME,
        key_of(word, message, own),
        kind,
        text_at(record, "Email") or text_at(record, "Recipient"),
        (tagged,) if tagged else names_of(message),
        message,
        data,
    )
