"""The rules in force, their history, and changes to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from tactful.core.errors import NotFound
from tactful.core.rules import rule_from
from tactful.http import answers
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin, Viewer
from tactful.http.places import NamePath
from tactful.http.versions import add_history, author_of
from tactful.http.worlds import Both

router = APIRouter(prefix="/rules", tags=["rules"], route_class=GuardedRoute)
Fields = Annotated[dict[str, Any], Body(examples=[{"types": ["status"], "limit": "2/minute"}])]


@router.get("", response_model=answers.Listing[dict[str, Any]])
def rules(key: Viewer, worlds: Both) -> Any:
    """All rules in force, by name."""
    return {"items": [rule.to_dict() for rule in worlds.of(key).rules.list()]}


add_history(router, lambda app: app.rules)


@router.get("/{name}", response_model=dict[str, Any])
def rule(name: NamePath, key: Viewer, worlds: Both) -> Any:
    """One rule in force."""
    found = worlds.of(key).rules.get(name)
    if found is None:
        raise NotFound("name", name, "is no rule in force")
    return found.to_dict()


@router.put("/{name}", response_model=answers.RuleChanged)
def put(name: NamePath, fields: Fields, key: Admin, worlds: Both) -> Any:
    """Add or change a rule; what waits is planned anew at once."""
    wanted = rule_from(fields, name)
    version = worlds.of(key).rules.put(wanted, author=author_of(key))
    return {"version": version, "rule": wanted.to_dict()}


@router.delete("/{name}", response_model=answers.Changed)
def remove(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Take a rule out of force; what waited because of it is planned anew at once."""
    return {"version": worlds.of(key).rules.remove(name, author=author_of(key))}
