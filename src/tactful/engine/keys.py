"""Keys of the HTTP service: who may do what, as versioned data.

A key is shown once, when it is made; stored are digests only. It holds 256 random bits, so a plain
SHA-256 is enough: there is nothing to guess. Its text begins with `tk_live_` or `tk_test_` and ends
with a checksum, by which a scanner of leaked secrets, and a person who pasted half of it, can tell.

    tk_live_<43 characters of the secret><6 of its CRC-32>

A key may have two secrets at once while it is being rotated. When it was last used is noted beside
it, at most once a minute: to tell which of many keys nobody needs any more.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import MINUTE, Millis
from tactful.core.names import name_key
from tactful.engine.context import Context
from tactful.engine.policies import Change, Policies
from tactful.ports import Tx

KEY: Final = "key"
SCOPES: Final = ("send", "read", "admin", "test")
SECRET_BYTES: Final = 32
USE_MS: Final[Millis] = MINUTE
"""Within this time of a use that is noted, no other one of that key is."""

_TOKEN = re.compile(r"tk_(live|test)_([A-Za-z0-9_-]{43})([0-9a-z]{7})")


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a key, as a digest; it opens nothing from `expires_at` (ms) on."""

    digest: str
    expires_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What the holder of a key may do.

    `scopes` are some of send, read, admin and test. A key with `test` has a world of its own, in
    which everything is decided as it would be and nothing reaches a real channel.
    """

    name: str
    scopes: tuple[str, ...]
    secrets: tuple[Secret, ...] = ()

    @property
    def is_test(self) -> bool:
        """Whether it opens the other world."""
        return "test" in self.scopes

    def allows(self, scope: str) -> bool:
        """Whether its holder may do this; admin may do everything, and test sends and reads."""
        return scope in self.scopes or (
            "admin" in self.scopes or (self.is_test and scope in ("send", "read"))
        )

    def live(self, now: Millis) -> tuple[Secret, ...]:
        """The secrets that still open something."""
        return tuple(s for s in self.secrets if s.expires_at is None or now < s.expires_at)


def mint(random: bytes, *, test: bool) -> str:
    """The text of a new secret from 32 random bytes."""
    if len(random) != SECRET_BYTES:
        raise ValueError(f"a secret needs {SECRET_BYTES} bytes, not {len(random)}")
    body = urlsafe_b64encode(random).decode().rstrip("=")
    return f"tk_{'test' if test else 'live'}_{body}{_checksum(body)}"


def digest(token: str) -> str | None:
    """What is stored of a secret, or None for a text that is none."""
    match = _TOKEN.fullmatch(token)
    if match is None or match[3] != _checksum(match[2]):
        return None
    return hashlib.sha256(token.encode()).hexdigest()


def rotated(key: ApiKey, new: Secret, old_until: Millis) -> ApiKey:
    """The key with a new secret beside the ones before, which end at `old_until`."""
    old = tuple(
        replace(s, expires_at=old_until if s.expires_at is None else min(s.expires_at, old_until))
        for s in key.secrets
    )
    return replace(key, secrets=(new, *old))


class Keys(Policies[ApiKey]):
    """The keys of an engine's store; `new_secret` gives 64 hexadecimal digits by chance."""

    def __init__(self, context: Context, new_secret: Callable[[], str]) -> None:
        super().__init__(context, KEY, key_from, _written)
        self._new_secret = new_secret

    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        lives_ms: Millis | None = None,
        author: str = "",
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which nobody can find out later.

        Without `lives_ms` it is good until it is revoked. Raises RequestError, also if there is a
        key of that name.
        """
        token, secret = self._secret(lives_ms, test="test" in scopes)
        key = ApiKey(name_key(name, "name"), tuple(dict.fromkeys(scopes)), (secret,))
        written = _written(key)

        def new(tx: Tx) -> Sequence[Change]:
            if key.name in self._bodies(tx):
                bound = "is the name of another key: rotate it, or choose another"
                raise RequestError("name", name, bound)
            return [written]

        self._change(new, author)
        return key, token

    def rotate(
        self, name: str, *, overlap_ms: Millis, lives_ms: Millis | None = None, author: str = ""
    ) -> tuple[ApiKey, str]:
        """Another secret for a key; those before are good for `overlap_ms` more at most.

        Raises NotFound.
        """
        made: list[tuple[ApiKey, str]] = []

        def again(tx: Tx) -> Sequence[Change]:
            body = self._bodies(tx).get(name_key(name, "name"))
            if body is None:
                raise NotFound("name", name, "is no key in force")
            old, now = key_from(body), self._context.timekeeper.glance()
            token, secret = self._secret(lives_ms, test=old.is_test)
            key = rotated(replace(old, secrets=old.live(now)), secret, now + overlap_ms)
            made.append((key, token))
            return [_written(key)]

        self._change(again, author)
        return made[-1]

    def note_use(self, name: str) -> None:
        """A key was used now; written at most once in `USE_MS`. Raises Unavailable."""
        with self._context.store.transaction(durable=False) as tx:
            before = tx.note(_note_of(name))
            now = self._context.timekeeper.now(tx)
            recent = before and 0 <= now - int(before) < USE_MS
            if not recent and name in self._bodies(tx):
                tx.set_note(_note_of(name), str(now))

    def used(self) -> Mapping[str, Millis]:
        """When each key in force was last used, to about a minute; without those that never were.

        Raises Unavailable.
        """
        with self._context.store.reading() as reader:
            names = [policy.name for policy in reader.policies(KEY)]
            return {name: int(at) for name in names if (at := reader.note(_note_of(name)))}

    def _changed(self, tx: Tx, now: int, names: Sequence[str]) -> None:
        """One that is revoked is forgotten: another one of its name was never used."""
        in_force = self._bodies(tx)
        for name in names:
            if name not in in_force:
                tx.set_note(_note_of(name), "")
        super()._changed(tx, now, names)

    def _secret(self, lives_ms: Millis | None, *, test: bool) -> tuple[str, Secret]:
        token = mint(bytes.fromhex(self._new_secret()), test=test)
        kept = digest(token)
        assert kept is not None, "it was made here"
        if lives_ms is None:
            return token, Secret(kept)
        return token, Secret(kept, self._context.timekeeper.glance() + lives_ms)


def _note_of(name: str) -> str:
    """The name of the note that holds when a key was last used; no other note has a line end."""
    return f"key\n{name}"


def _written(key: ApiKey) -> tuple[str, dict[str, Any]]:
    """A key in its stored form, checked."""
    if not key.scopes or any(scope not in SCOPES for scope in key.scopes):
        raise RequestError("scopes", list(key.scopes), f"must be some of {', '.join(SCOPES)}")
    if key.is_test and len(key.scopes) > 1:
        raise RequestError("scopes", list(key.scopes), "test goes with no other one")
    secrets = [{"digest": s.digest, "expires_at": s.expires_at} for s in key.secrets]
    name = name_key(key.name, "name")
    return name, {"name": name, "scopes": list(key.scopes), "secrets": secrets}


def key_from(body: Mapping[str, Any]) -> ApiKey:
    """A key from its stored form."""
    secrets = tuple(Secret(s["digest"], s["expires_at"]) for s in body.get("secrets", ()))
    return ApiKey(body["name"], tuple(body["scopes"]), secrets)


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(7):
        value, digit = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
