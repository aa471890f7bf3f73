"""Passwords of users: Argon2id hashes (RFC 9106), which take long and much memory to make.

So few are made at once as not to take the memory of the service, and as much is done for a name
that nobody has: how long an answer takes tells nothing.
"""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tactful.core.errors import RequestError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 200
_HASHER: Final = PasswordHasher()
_room: Final = threading.BoundedSemaphore(2)


def hashed(password: str) -> str:
    """What is stored of a password; raises RequestError for one that is too short or too long."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        bound = f"must have {LENGTH_MIN} to {LENGTH_MAX} characters"
        raise RequestError("password", f"{len(password)} characters", bound)
    with _room:
        return _HASHER.hash(password)


def matches(password: str, stored: str) -> bool:
    """Whether this is the password; with nothing stored it takes as long, and is not."""
    if len(password) > LENGTH_MAX:
        return False
    with _room:
        try:
            return _HASHER.verify(stored or _NOBODY, password) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False


_NOBODY: Final = _HASHER.hash("the password of nobody")
