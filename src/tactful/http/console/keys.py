"""Keys of the HTTP service and users of the console: for administrators."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import Millis
from tactful.core.names import name_key
from tactful.engine.keys import SCOPES, ApiKey
from tactful.engine.requests import parse_duration
from tactful.engine.users import ROLES, User
from tactful.http.console.gate import Admin, Console, Here, Refused, Visit
from tactful.http.console.pages import moved, page
from tactful.http.console.passwords import hashed

router = APIRouter()


@router.get("/keys")
def keys(visit: Admin, console: Here, said: str = "") -> Response:
    """The keys in force, without their secrets."""
    return _keys(visit, console, said=said)


@router.post("/keys")
def create(visit: Admin, console: Here) -> Response:
    """Make a key and show its secret, this once."""
    scopes = [scope for scope in SCOPES if visit.form.get(f"scope-{scope}")]
    lives = visit.form.get("lives", "").strip()
    try:
        key, token = console.app.keys.create(
            visit.form.get("name", ""),
            scopes,
            lives_ms=parse_duration(lives, "lives") if lives else None,
            author=visit.author,
        )
    except RequestError as error:
        return _keys(visit, console, error=error)
    return _keys(visit, console, made=(key.name, token))


@router.post("/keys/rotate")
def rotate(visit: Admin, console: Here) -> Response:
    """Another secret for a key, shown this once; the one before is good for a while."""
    try:
        overlap = parse_duration(visit.form.get("overlap", "1d"), "overlap")
        key, token = console.app.keys.rotate(
            visit.form.get("name", ""), overlap_ms=overlap, author=visit.author
        )
    except RequestError as error:
        return _keys(visit, console, error=error)
    return _keys(visit, console, made=(key.name, token))


@router.post("/keys/revoke")
def revoke(visit: Admin, console: Here) -> Response:
    """Take a key out of force."""
    console.app.keys.remove(visit.form.get("name", ""), author=visit.author)
    return moved("keys", said="revoked")


def _keys(
    visit: Visit,
    console: Console,
    *,
    said: str = "",
    made: tuple[str, str] | None = None,
    error: RequestError | None = None,
) -> Response:
    now = console.app.clock.now()
    used = console.app.keys.used()
    rows = [(key, _until(key, now), used.get(key.name)) for key in console.app.keys.list()]
    return page(
        "keys.html.j2",
        visit,
        status=200 if error is None else 422,
        area="keys",
        said=said,
        now=now,
        rows=rows,
        made=made,
        error=error,
        scopes=SCOPES,
        name=visit.form.get("name", "") if error is not None else "",
    )


def _until(key: ApiKey, now: Millis) -> Millis | None:
    """Until when a key is good: 0 if it has ended, None if there is no end."""
    ends = [secret.expires_at for secret in key.live(now)]
    return None if None in ends else max((end for end in ends if end is not None), default=0)


# Users ----------------------------------------------------------------------------------------


@router.get("/users")
def users(visit: Admin, console: Here, said: str = "") -> Response:
    """Who may use the console."""
    return _users(visit, console, said=said)


@router.post("/users")
def add(visit: Admin, console: Here) -> Response:
    """Add a user."""
    try:
        name = name_key(visit.form.get("name", ""), "name")
        password = hashed(visit.form.get("password", ""))
        user = User(name, visit.form.get("role", "viewer"), password)
        console.app.users.add(user, author=visit.author)
    except RequestError as error:
        return _users(visit, console, error=error)
    return moved("users", said="user")


@router.post("/users/change")
def change(visit: Admin, console: Here) -> Response:
    """Another role or password, or none of both: end all sessions, or remove."""
    user = console.app.users.get(visit.form.get("name", ""))
    if user is None:
        raise NotFound("name", visit.form.get("name", ""), "is no user")
    what = visit.form.get("do")
    if what == "end":
        console.sessions.end_all(user.name)
        return moved("users", said="ended")
    if user.name == visit.user.name:
        raise Refused(422, "Nobody changes their own role or removes themselves.")
    if what == "remove":
        console.app.users.remove(user.name, author=visit.author)
        return moved("users", said="removed")
    wanted: dict[str, Any] = {"role": visit.form.get("role", user.role)}
    try:
        if visit.form.get("password"):
            wanted["password"] = hashed(visit.form["password"])
        edit = partial(replace, **wanted)
        changed = console.app.users.edit(user.name, edit, author=visit.author)
    except RequestError as error:
        return _users(visit, console, error=error)
    return moved("users", said="user" if changed != user else "same")


def _users(
    visit: Visit, console: Console, *, said: str = "", error: RequestError | None = None
) -> Response:
    return page(
        "users.html.j2",
        visit,
        status=200 if error is None else 422,
        area="users",
        said=said,
        rows=console.app.users.list(),
        roles=ROLES,
        error=error,
        name=visit.form.get("name", "") if error is not None else "",
    )
