"""The types of notifications: what each brings along by default."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from tactful.core.errors import NotFound
from tactful.core.model import NotificationType
from tactful.engine.requests import parse_duration
from tactful.http import answers
from tactful.http.bodies import TypeFields
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin, Viewer
from tactful.http.places import NamePath
from tactful.http.versions import add_history, author_of
from tactful.http.worlds import Both

router = APIRouter(prefix="/types", tags=["types"], route_class=GuardedRoute)


@router.get("", response_model=answers.Listing[answers.Type])
def types(key: Viewer, worlds: Both) -> Any:
    """All types that are declared, by name."""
    return {"items": [asdict(one) for one in worlds.of(key).types.list()]}


add_history(router, lambda app: app.types)


@router.get("/{name}", response_model=answers.Type)
def type_(name: NamePath, key: Viewer, worlds: Both) -> Any:
    """One type."""
    found = worlds.of(key).types.get(name)
    if found is None:
        raise NotFound("name", name, "is no type in force")
    return asdict(found)


@router.put("/{name}", response_model=answers.Changed)
def put(name: NamePath, fields: TypeFields, key: Admin, worlds: Both) -> Any:
    """Declare a type, or change one."""
    given = fields.model_dump(exclude={"ttl", "channels"})
    ttl_ms = None if fields.ttl is None else parse_duration(fields.ttl, "ttl")
    wanted = NotificationType(name, channels=tuple(fields.channels), ttl_ms=ttl_ms, **given)
    return {"version": worlds.of(key).types.put(wanted, author=author_of(key))}


@router.delete("/{name}", response_model=answers.Changed)
def remove(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Take a type out of force; notifications of it are of the default policy then."""
    return {"version": worlds.of(key).types.remove(name, author=author_of(key))}
