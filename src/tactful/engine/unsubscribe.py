"""Unsubscribing with one click (RFC 2369 and RFC 8058).

The link carries a token that names the recipient and the category and is signed with the store's
own secret (HMAC-SHA-256, compared in constant time): nobody can unsubscribe somebody else, and no
log-in is needed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Recipient
from tactful.engine.people import checked
from tactful.ports import Delivery, Store

_MARK_BYTES = 16


class Unsubscribe:
    """Makes and honours unsubscribe links; `url` holds `{token}` where the token goes.

    Raises ConfigError if it does not.
    """

    def __init__(self, url: str, secret: str) -> None:
        if not url.startswith("https://") or "{token}" not in url or not url.isascii():
            raise ConfigError("unsubscribe: must be an https URL with {token} in it")
        self._url = url
        self._key = bytes.fromhex(secret)

    def headers(self, delivery: Delivery) -> tuple[tuple[str, str], ...]:
        """`List-Unsubscribe` and `List-Unsubscribe-Post` for one delivery."""
        link = self._url.replace("{token}", self.token(delivery.recipient, delivery.category))
        return (
            ("List-Unsubscribe", f"<{link}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )

    def token(self, recipient: str, category: str) -> str:
        """The token for one person and category."""
        body = f"{category}\n{recipient}".encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def redeem(self, store: Store, token: str) -> tuple[str, str]:
        """Mute the category for the person; gives (recipient, category).

        Raises RequestError for a token that was not made here.
        """
        recipient, category = self._read(token)
        with store.transaction() as tx:
            person = tx.recipient(recipient) or Recipient(
                recipient, email=recipient if "@" in recipient else None
            )
            muted = tuple({*person.mute, f"category:{category}"})
            tx.put_recipients([checked(replace(person, mute=muted))])
        return recipient, category

    def _read(self, token: str) -> tuple[str, str]:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        mark, body = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
        if not body or not hmac.compare_digest(mark, self._sign(body)):
            raise RequestError("token", token, "is not one of ours")
        category, _, recipient = body.decode().partition("\n")
        return recipient, category

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, b"unsubscribe\n" + body, hashlib.sha256)[:_MARK_BYTES]
