"""Users of the console: who may log in and do what, as versioned data.

Of a password only a slow hash is stored, made and checked elsewhere. Every change is one more
version; a session is good for the version under which it began, so that a new password or another
role ends all sessions of a user in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tactful.core.errors import RequestError
from tactful.core.names import name_key
from tactful.engine.context import Context
from tactful.engine.policies import Policies

USER: Final = "user"
ROLES: Final = ("viewer", "editor", "admin")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may use the console.

    `role` is viewer (sees everything), editor (changes rules, types and templates, calls off and
    sends again) or admin (also keys and users). `password` is a hash.
    """

    name: str
    role: str = "viewer"
    password: str = field(default="", repr=False)

    def allows(self, role: str) -> bool:
        """Whether this user may do what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def users_of(context: Context) -> Policies[User]:
    """The users of an engine's store."""

    def write(user: User) -> tuple[str, dict[str, Any]]:
        if user.role not in ROLES:
            raise RequestError("role", user.role, f"must be one of {', '.join(ROLES)}")
        name = name_key(user.name, "name")
        return name, {"name": name, "role": user.role, "password": user.password}

    return Policies(context, USER, user_from, write)


def user_from(body: Mapping[str, Any]) -> User:
    """A user from the stored form."""
    return User(body["name"], body["role"], body["password"])
