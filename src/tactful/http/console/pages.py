"""How pages are made, and the headers that keep them harmless.

Everything that comes from outside is escaped. Were something not: the content security policy (CSP
level 3) of a page allows no script and no style but the files of the console, and no frame around
it. What was written by others, mails and reports, is shown in a frame of an origin of its own, from
which nothing of the console can be reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tactful import __version__
from tactful.core.model import DAY, HOUR, MINUTE, NEVER, SECOND, Millis
from tactful.engine.zones import iso
from tactful.http.console.gate import TOKEN, Visit
from tactful.sim.wording import count

ROOT: Final = "/console"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FOREIGN_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
REPORT_POLICY: Final = "sandbox allow-scripts; frame-ancestors 'self'"
"""The report of a simulation says in itself which script and style are its own."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would send `Origin: null` with every form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_KEPT: Final = "public, max-age=86400"
_REST: Final = 20

SAID: Final = {
    "saved": "Saved. It is in force everywhere, and what waits is planned anew.",
    "same": "Nothing was changed.",
    "removed": "Removed.",
    "reverted": "Put back as it was.",
    "cancelled": "What still waited has been called off.",
    "paused": "It is paused. What was in hand already may still arrive.",
    "resumed": "It goes on.",
    "queued": "Put back into the queue.",
    "not-queued": "It is neither failed nor unknown any more; nothing was done.",
    "user": "Saved. All sessions of this user have ended.",
    "password": "Your password is changed, and your other sessions have ended.",
    "ended": "All sessions of this user have ended.",
    "revoked": "The key is revoked.",
}
"""What a page says after a change; the address names which."""


def link(path: str, **query: Any) -> str:
    """The address of a page below the console; what is None or empty is left out."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{ROOT}/{path}" + (f"?{urlencode(given)}" if given else "")


def page(template: str, visit: Visit | None, *, status: int = 200, **values: Any) -> Response:
    """A page of the folder `templates`."""
    said = SAID.get(values.pop("said", None) or "", "")
    text = _PAGES.get_template(template).render(**values, visit=visit, said=said)
    return HTMLResponse(text, status)


def every(took_s: float, least_s: int) -> int:
    """How many seconds a page that follows what happens rests, by how long it took to make.

    To count many deliveries takes long, and somebody may leave the page open all day.
    """
    return max(least_s, math.ceil(_REST * took_s))


def moved(path: str, **query: Any) -> Response:
    """On to another page, after a change."""
    return RedirectResponse(link(path, **query), 303)


def foreign(html: str, policy: str = FOREIGN_POLICY) -> Response:
    """A document that others have written, for a frame."""
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


class Headers:
    """Has every answer of the console carry its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "/static/" in scope["path"] and message["status"] == 200:
                    headers["Cache-Control"] = _KEPT
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sent)


# Words ----------------------------------------------------------------------------------------

_SCALES: Final = ((2 * DAY, DAY, "days"), (2 * HOUR, HOUR, "h"), (2 * MINUTE, MINUTE, "min"))


def second(at: Millis) -> str:
    """An instant as `2026-11-21 21:38:05`, in UTC."""
    return iso(at)[:19]


def machine(at: Millis) -> str:
    """An instant for machines."""
    return iso(at).replace(" ", "T")


def away(at: Millis, now: Millis) -> str:
    """How far off an instant is: `in 42 min`, `3 s ago`."""
    ms = abs(at - now)
    if ms < SECOND:
        return "now"
    span = next((f"{ms // size} {unit}" for least, size, unit in _SCALES if ms >= least), None)
    span = span or f"{ms // SECOND} s"
    return f"in {span}" if at > now else f"{span} ago"


def span(ms: Millis | None) -> str:
    """A length of time in one unit."""
    if ms is None:
        return "-"
    found = next((f"{ms / size:.3g} {unit}" for least, size, unit in _SCALES if ms >= least), None)
    return found or f"{ms / SECOND:.3g} s"


def plain(data: Mapping[str, Any]) -> str:
    """Some facts on a line; instants among them are told as such."""
    return ", ".join(
        f"{key} {second(value)}"
        if key.endswith("_at") and isinstance(value, int)
        else f"{key} {value}"
        for key, value in data.items()
    )


_PAGES: Final = Environment(
    loader=PackageLoader("tactful.http.console", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.globals |= {"link": link, "version": __version__, "TOKEN": TOKEN, "NEVER": NEVER}
_PAGES.filters |= {
    "count": count,
    "second": second,
    "machine": machine,
    "away": away,
    "span": span,
    "plain": plain,
}
