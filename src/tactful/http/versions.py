"""What rules, types and templates have in common: every version is kept and can be put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from tactful.app import Tactful
from tactful.engine.keys import ApiKey
from tactful.engine.policies import Policies
from tactful.http import answers
from tactful.http.keyring import Admin, Viewer
from tactful.http.places import NameQuery, VersionPath
from tactful.http.worlds import Both
from tactful.ports import Policy


def author_of(key: ApiKey) -> str:
    """Who changes policies by this key, for their history."""
    return f"key:{key.name}"


def version_shown(policy: Policy) -> dict[str, Any]:
    """One version of a policy; `value` is None where it was removed."""
    return {
        "version": policy.version,
        "name": policy.name,
        "value": policy.body,
        "at": policy.at,
        "author": policy.author,
    }


def add_history(router: APIRouter, of: Callable[[Tactful], Policies[Any]]) -> None:
    """The routes for the history of one kind of policy, and back."""

    @router.get("/history", response_model=answers.Listing[answers.Version])
    def history(key: Viewer, worlds: Both, name: NameQuery = None) -> Any:
        """All versions, oldest first."""
        return {"items": [version_shown(one) for one in of(worlds.of(key)).history(name)]}

    @router.post("/revert/{version}", response_model=answers.Changed)
    def revert(version: VersionPath, key: Admin, worlds: Both) -> Any:
        """Put all of them back as they were at a version."""
        return {"version": of(worlds.of(key)).revert(version, author=author_of(key))}
