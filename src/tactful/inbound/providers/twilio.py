"""Twilio's status callbacks: a form, signed with HMAC-SHA1 under the account's auth token.

Signed are the URL that Twilio called and, sorted by name, each field with its value. The URL is as
the world sees it, so its first part is configured (`receipts.url`). For a body that is no form, the
URL holds `bodySHA256`, which is then part of what is signed.

A delivery is found by `MessageSid`, where the channel gave it as its reference, or by a parameter
`delivery` in the URL of the callback.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import Final
from urllib.parse import parse_qsl

from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report
from tactful.inbound.signed import Call, ForgedError, UnreadableError, Verified, key_of, same

NAME: Final = "twilio"
FIELDS_MAX: Final = 200
_KINDS: Final = {
    "delivered": "delivered",
    "undelivered": "bounced",
    "failed": "bounced",
    "read": "opened",
}
_NOBODY: Final = frozenset(("21211", "21614", "30005", "30006"))
"""Codes of Twilio for numbers that do not exist, or take no messages."""

_STOPPED: Final = "21610"
"""The person has answered STOP."""


class Twilio:
    """Reads Twilio's calls; `url` is where the service is for the world, without a path."""

    def __init__(self, key: str, url: str) -> None:
        self._key = key.encode()
        self._url = url

    def read(self, call: Call) -> Verified:
        """See `Provider.read`."""
        query = dict(_pairs(call.path.partition("?")[2]))
        fields = [] if "bodySHA256" in query else _pairs(call.body.decode("utf-8", "replace"))
        signed = self._url + call.path
        signed += "".join(name + value for name, value in sorted(set(fields)))
        expected = b64encode(hmac.new(self._key, signed.encode(), hashlib.sha1).digest()).decode()
        if not same(call.header("x-twilio-signature"), expected):
            raise ForgedError("the signature is not Twilio's for this URL")
        if "bodySHA256" in query:
            if not same(query["bodySHA256"], hashlib.sha256(call.body).hexdigest()):
                raise ForgedError("the body is not the one that was signed")
            raise UnreadableError("the body is no form")
        report = _report(dict(fields), query)
        return Verified([] if report is None else [report])


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise UnreadableError(f"more than {FIELDS_MAX} fields") from None


def _report(form: dict[str, str], query: dict[str, str]) -> Report | None:
    word = form.get("MessageStatus", "")
    sid, code = form.get("MessageSid", ""), form.get("ErrorCode", "")
    kind = _KINDS.get(word)
    if kind is None or not sid:
        return None
    data = {"status": code, "reason": form.get("ErrorMessage", "") or word}
    if kind == "bounced" and code == _STOPPED:
        kind = "complained"
    elif kind == "bounced":
        data[BOUNCE] = HARD if code in _NOBODY else SOFT
    names = (query["delivery"],) if query.get("delivery") else ()
    return Report(NAME, key_of(sid, word), kind, form.get("To", ""), names, sid, data)
