"""The keys of this API, for those who may give them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from tactful.core.model import Millis
from tactful.engine.keys import ApiKey
from tactful.engine.requests import parse_duration
from tactful.http import answers
from tactful.http.bodies import NewKey, Rotation
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin
from tactful.http.places import NamePath
from tactful.http.versions import author_of
from tactful.http.worlds import Both

router = APIRouter(prefix="/keys", tags=["keys"], route_class=GuardedRoute)


def key_shown(key: ApiKey, used: Mapping[str, Millis]) -> dict[str, Any]:
    """A key as it is told: nothing by which a secret could be found."""
    return {
        "name": key.name,
        "scopes": list(key.scopes),
        "secrets": [{"expires_at": secret.expires_at} for secret in key.secrets],
        "last_used_at": used.get(key.name),
    }


def _span(value: int | str | None, field: str) -> Millis | None:
    return None if value is None else parse_duration(value, field)


@router.get("", response_model=answers.Listing[answers.Key])
def keys(key: Admin, worlds: Both) -> Any:
    """The keys in force, without their secrets, and when each was last used."""
    ring = worlds.of(key).keys
    used = ring.used()
    return {"items": [key_shown(one, used) for one in ring.list()]}


@router.post("", status_code=201, response_model=answers.NewKey)
def create(body: NewKey, key: Admin, worlds: Both) -> Any:
    """Make a key; its `token` is shown this once."""
    made, token = worlds.of(key).keys.create(
        body.name, body.scopes, lives_ms=_span(body.lives, "lives"), author=author_of(key)
    )
    return {**key_shown(made, {}), "token": token}


@router.post("/{name}/rotate", response_model=answers.NewKey)
def rotate(name: NamePath, body: Rotation, key: Admin, worlds: Both) -> Any:
    """Give a key another secret; the one before is good for a while."""
    ring = worlds.of(key).keys
    made, token = ring.rotate(
        name,
        overlap_ms=parse_duration(body.overlap, "overlap"),
        lives_ms=_span(body.lives, "lives"),
        author=author_of(key),
    )
    return {**key_shown(made, ring.used()), "token": token}


@router.delete("/{name}", response_model=answers.Changed)
def revoke(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Take a key out of force; within a second it opens nothing, anywhere."""
    return {"version": worlds.of(key).keys.remove(name, author=author_of(key))}
