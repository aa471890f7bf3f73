"""Tokens in links: texts that only we can have made (HMAC-SHA-256, RFC 2104).

    token = base64url(key id, 2 bytes | mark, 16 bytes | body)
    key   = HMAC(secret, "tactful " + purpose)
    mark  = the first 16 bytes of HMAC(key, purpose + line end + body)

Whoever holds a token may do what it says, and no log-in is needed. Each purpose has a key of its
own and stands inside the mark, so that no token can be used for anything else. The key id tells
which of several secrets it was: a store keeps the old ones when a new one takes over, because mails
are read for years. A token has one spelling only; any other one of the same bytes is refused.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from typing import Final

from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import SECOND, Millis
from tactful.ports import Store

TOKEN_MAX: Final = 4096
SECRET_NOTE: Final = "unsubscribe_secret"  # noqa: S105 - the name of a note, not a secret
LOOK_MS: Final = 10 * SECOND
_ID_BYTES: Final = 2
_MARK_BYTES: Final = 16
_HASH: Final = "sha256"


class Tokens:
    """Makes and reads tokens; safe to use from many threads.

    `secrets` are hexadecimal digits, the one in use first. `again` reads them anew, and is asked
    for a token with an unknown key id, at most every `LOOK_MS` of `running`.
    """

    def __init__(
        self,
        secrets: Sequence[str] = (),
        again: Callable[[], Sequence[str]] | None = None,
        running: Callable[[], Millis] = lambda: 0,
    ) -> None:
        self._again = again
        self._running = running
        self._looked_at: Millis | None = None
        self._use(secrets)

    def make(self, purpose: str, body: bytes) -> str:
        """The token that says this; raises ConfigError where there is no secret yet."""
        if not self._secrets:
            raise ConfigError("tracking: neither it nor unsubscribe is configured")
        key_id, secret = next(iter(self._secrets.items()))
        return _text(key_id + self._mark(secret, purpose, body) + body)

    def read(self, purpose: str, token: str) -> bytes:
        """What a token says; raises RequestError for one that was not made here for this."""
        raw = _raw(token)
        key_id, mark = raw[:_ID_BYTES], raw[_ID_BYTES : _ID_BYTES + _MARK_BYTES]
        body = raw[_ID_BYTES + _MARK_BYTES :]
        secret = self._secret(key_id) if body else None
        if secret is None or not hmac.compare_digest(mark, self._mark(secret, purpose, body)):
            raise RequestError("token", token, "is not one of ours")
        return body

    def look_again(self) -> None:
        """Have the secrets read anew now."""
        if self._again is not None:
            self._use(self._again())

    def _secret(self, key_id: bytes) -> bytes | None:
        found = self._secrets.get(key_id)
        if found is None and self._again is not None:
            now = self._running()
            if self._looked_at is None or now - self._looked_at >= LOOK_MS:
                self._looked_at = now
                self.look_again()
                found = self._secrets.get(key_id)
        return found

    def _use(self, secrets: Sequence[str]) -> None:
        found = [bytes.fromhex(secret) for secret in secrets]
        # Of two secrets with one id, which one in 65,536 pairs has, the newer one holds.
        self._secrets = {_key_id(secret): secret for secret in reversed(found)}
        self._secrets = dict(reversed(self._secrets.items()))
        self._keys: dict[tuple[bytes, str], bytes] = {}

    def _mark(self, secret: bytes, purpose: str, body: bytes) -> bytes:
        key = self._keys.get((secret, purpose))
        if key is None:
            key = hmac.digest(secret, f"tactful {purpose}".encode(), _HASH)
            self._keys[secret, purpose] = key
        return hmac.digest(key, purpose.encode() + b"\n" + body, _HASH)[:_MARK_BYTES]


def known_secrets(store: Store) -> Sequence[str]:
    """The secrets that a store keeps, the one in use first."""
    with store.reading() as reader:
        return (reader.note(SECRET_NOTE) or "").split()


def sure_secrets(store: Store, new: str) -> Sequence[str]:
    """The same, with `new` where there is none yet."""
    with store.transaction() as tx:
        secrets = (tx.note(SECRET_NOTE) or "").split()
        if not secrets:
            tx.set_note(SECRET_NOTE, new)
        return secrets or [new]


def change_secret(store: Store, new: str, *, forget: bool = False) -> None:
    """From now on `new` is used; with `forget` what was made with the others opens nothing more.

    A process that runs goes on with what it has until it meets a token of the new secret.
    """
    with store.transaction() as tx:
        old = [] if forget else (tx.note(SECRET_NOTE) or "").split()
        tx.set_note(SECRET_NOTE, " ".join([new, *old]))


def _key_id(secret: bytes) -> bytes:
    return hmac.digest(secret, b"tactful key id", _HASH)[:_ID_BYTES]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(token: str) -> bytes:
    """The bytes of a token, none for what nobody would have made."""
    if len(token) > TOKEN_MAX or not token.isascii():
        return b""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return b""
    # The last character has bits that no byte needs, and decoders pass over what they do not know.
    return raw if hmac.compare_digest(_text(raw), token) else b""
