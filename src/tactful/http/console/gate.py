"""Who may come in: the session of a request, the role that a page needs, and proof of a change.

A change is a POST. It has to come from a page of the console, by its `Origin` (which browsers send
with every POST and no page can set) and by the token in its form, which depends on the session.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from tactful.app import Tactful
from tactful.engine.users import User
from tactful.http.console.pulse import Pulse
from tactful.http.console.sessions import Sessions, change_token
from tactful.http.simulations import Simulations

COOKIE: Final = "tactful_session"
FORM_MAX: Final = 1_000_000
FIELDS_MAX: Final = 200
TOKEN: Final = "change_token"  # noqa: S105 - the name of a field


class Away(Exception):
    """Nobody is logged in: the page is answered with the way to the log-in."""


class Refused(Exception):
    """An answer that is no success, with a sentence for the page."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status
        self.says = says


@dataclass(frozen=True, slots=True)
class Console:
    """What the pages speak to."""

    app: Tactful
    sessions: Sessions
    simulations: Simulations
    pulse: Pulse


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in, with the fields of its form."""

    user: User
    token: str = field(repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def author(self) -> str:
        """Who makes the changes of this request, in histories."""
        return f"console:{self.user.name}"

    @property
    def change_token(self) -> str:
        """What the forms of a page have to bring along."""
        return change_token(self.token)


async def console_of(request: Request) -> Console:
    """The console of a request."""
    found: Console = request.app.state.console
    return found


Here = Annotated[Console, Depends(console_of)]


class Door:
    """A dependency of pages: a visit of somebody with a role, proved where it is a change."""

    def __init__(self, role: str) -> None:
        self._role = role

    async def __call__(self, request: Request, console: Here) -> Visit:
        """The visit; raises Away, Refused, Unavailable."""
        token = request.cookies.get(COOKIE, "")
        user = await run_in_threadpool(console.sessions.holder, token)
        if user is None:
            raise Away
        form: Mapping[str, str] = {}
        if request.method != "GET":
            form = await posted(request)
            given = form.get(TOKEN, "")
            if not hmac.compare_digest(given.encode(), change_token(token).encode()):
                raise Refused(403, "This form was not made for you. Go back, reload, try again.")
        if not user.allows(self._role):
            raise Refused(403, f"Only users with the role {self._role} may do this.")
        return Visit(user, token, form)


async def posted(request: Request) -> dict[str, str]:
    """The fields of a form that a page of the console has sent; raises Refused."""
    origin = request.headers.get("origin", "")
    host = request.headers.get("host", "")
    if not host or urlsplit(origin).netloc != host:
        raise Refused(403, "This did not come from a page of the console.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_MAX:
            raise Refused(413, f"A form may have at most {FORM_MAX:,} bytes.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise Refused(400, "The form cannot be read.") from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


Viewer = Annotated[Visit, Depends(Door("viewer"))]
Editor = Annotated[Visit, Depends(Door("editor"))]
Admin = Annotated[Visit, Depends(Door("admin"))]
