"""Logging in and out, and one's own password."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tactful.core.errors import RequestError
from tactful.core.model import SECOND
from tactful.core.names import name_key
from tactful.engine.users import User
from tactful.http.console.gate import COOKIE, Console, Here, Refused, Viewer, posted
from tactful.http.console.pages import ROOT, link, moved, page
from tactful.http.console.passwords import hashed, matches
from tactful.http.console.sessions import LIVES_MS
from tactful.http.console.tries import admit

log = logging.getLogger("tactful.http")
router = APIRouter()
WRONG: Final = "Name or password is wrong."


@router.get("/login")
def asked(next: str = "") -> Response:  # noqa: A002 - the name in the address
    """The form."""
    return page("login.html.j2", None, next=_within(next), wrong="", name="")


@router.post("/login")
async def log_in(request: Request, console: Here) -> Response:
    """Log in, and go on to where one wanted to."""
    form = await posted(request)
    address = request.client.host if request.client is not None else ""
    return await run_in_threadpool(
        _log_in, console, form, address, request.cookies.get(COOKIE, ""), request.url.scheme
    )


def _log_in(
    console: Console, form: dict[str, str], address: str, old: str, scheme: str
) -> Response:
    given, password = form.get("name", ""), form.get("password", "")
    wanted = _within(form.get("next", ""))
    try:
        name = name_key(given, "name")
    except RequestError:
        name = ""
    again = admit(console.app, name, address)
    if again is not None:
        wait_s = -(-(again - console.app.clock.now()) // SECOND)
        says = f"Too many attempts. Try again in {max(1, wait_s)} s."
        return page("login.html.j2", None, status=429, next=wanted, wrong=says, name=given)
    user = console.app.users.get(name) if name else None
    if not matches(password, user.password if user is not None else "") or user is None:
        log.warning("console: a log-in from %s failed", address)
        return page("login.html.j2", None, status=401, next=wanted, wrong=WRONG, name=given)
    console.sessions.end(old)  # whatever was known to somebody before is worth nothing now
    answer = moved("")
    answer.headers["location"] = wanted
    return _carrying(answer, console.sessions.begin(user.name), scheme)


@router.post("/logout")
def log_out(visit: Viewer, console: Here) -> Response:
    """End this session."""
    console.sessions.end(visit.token)
    answer = moved("login")
    answer.delete_cookie(COOKIE, path=ROOT)
    return answer


@router.get("/account")
def account(visit: Viewer, said: str = "") -> Response:
    """One's own password."""
    return page("account.html.j2", visit, area="account", said=said, wrong="")


@router.post("/account")
def change_password(visit: Viewer, console: Here, request: Request) -> Response:
    """Change it; all sessions end, and this one begins anew."""
    address = request.client.host if request.client is not None else ""
    wrong = ""
    if admit(console.app, visit.user.name, address) is not None:
        wrong = "Too many attempts. Try again in a minute."
    elif not matches(visit.form.get("old", ""), visit.user.password):
        wrong = "The old password is wrong."
    else:
        try:
            set_password(console, visit.user, visit.form.get("new", ""), visit.author)
        except RequestError as error:
            wrong = f"New password: {error.bound}."
    if wrong:
        return page("account.html.j2", visit, status=422, area="account", wrong=wrong)
    token = console.sessions.begin(visit.user.name)
    return _carrying(moved("account", said="password"), token, request.url.scheme)


def set_password(console: Console, user: User, password: str, author: str) -> None:
    """Store another password; raises RequestError."""
    if not password:
        raise Refused(422, "A password is needed.")
    console.app.users.edit(user.name, partial(replace, password=hashed(password)), author=author)


def _carrying(answer: Response, token: str, scheme: str) -> Response:
    answer.set_cookie(
        COOKIE,
        token,
        max_age=LIVES_MS // SECOND,
        path=ROOT,
        secure=scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return answer


def _within(wanted: str) -> str:
    """The address, if it leads into the console, else that of its first page."""
    parts = urlsplit(wanted)
    safe = wanted.isprintable() and "\\" not in wanted and not (parts.scheme or parts.netloc)
    return wanted if safe and wanted.startswith(f"{ROOT}/") else link("")
