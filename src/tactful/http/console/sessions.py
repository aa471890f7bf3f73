"""Sessions: who is logged in, kept in the store, so that they outlive a restart and can be ended.

A cookie holds a user's name and 256 random bits; stored is a digest of these, in one note for each
user, with the end of the session and the version of the user that logged in. Who gets another
password or another role, or is removed, has another version or none: no session is left.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import orjson

from tactful.app import Tactful
from tactful.core.model import HOUR
from tactful.engine.users import USER, User, user_from
from tactful.ports import Reader
from tactful.runtime.entropy import new_secret

LIVES_MS: Final = 12 * HOUR
MOST: Final = 20
"""Sessions of one user; a further one ends the oldest."""


class Sessions:
    """The sessions of one store. All methods raise Unavailable."""

    def __init__(self, app: Tactful) -> None:
        self._app = app

    def begin(self, name: str) -> str:
        """A new session of a user who has just proved who they are; gives what the cookie holds."""
        secret = new_secret()
        now = self._app.clock.now()
        with self._app.store.transaction() as tx:
            version, _ = _user(tx, name)
            kept = [
                one for one in _kept(tx, name) if one["until"] > now and one["version"] == version
            ]
            new = {"digest": _digest(secret), "until": now + LIVES_MS, "version": version}
            tx.set_note(_note(name), orjson.dumps([*kept, new][-MOST:]).decode())
        return f"{urlsafe_b64encode(name.encode()).decode()}.{secret}"

    def holder(self, token: str) -> User | None:
        """Whose session this is, if it is one now."""
        name, digest = _read(token)
        if not name:
            return None
        now = self._app.clock.now()
        with self._app.store.reading() as reader:
            kept = _kept(reader, name)
            version, user = _user(reader, name)
        for one in kept:
            if hmac.compare_digest(one["digest"], digest):
                return user if one["until"] > now and one["version"] == version else None
        return None

    def end(self, token: str) -> None:
        """End one session; harmless for what is none."""
        name, digest = _read(token)
        if name:
            self._keep(name, lambda one: one["digest"] != digest)

    def end_all(self, name: str) -> None:
        """End all sessions of a user."""
        self._keep(name, lambda _: False)

    def _keep(self, name: str, wanted: Any) -> None:
        with self._app.store.transaction() as tx:
            kept = _kept(tx, name)
            left = [one for one in kept if wanted(one)]
            if left != kept:
                tx.set_note(_note(name), orjson.dumps(left).decode())


def change_token(token: str) -> str:
    """What a form of this session has to bring along, and nobody else can know."""
    return hmac.new(token.encode(), b"change", sha256).hexdigest()


def _note(name: str) -> str:
    return f"console.sessions:{name}"


def _kept(reader: Reader, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(reader.note(_note(name)) or "[]")
    return found


def _user(reader: Reader, name: str) -> tuple[int, User | None]:
    for policy in reader.policies(USER):
        if policy.name == name and policy.body is not None:
            return policy.version, user_from(policy.body)
    return 0, None


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _read(token: str) -> tuple[str, str]:
    """The name and the digest in a cookie; the name is empty if there is nothing of the kind."""
    name, _, secret = token.partition(".")
    try:
        return urlsafe_b64decode(name.encode("ascii")).decode(), _digest(secret)
    except ValueError:
        return "", ""
