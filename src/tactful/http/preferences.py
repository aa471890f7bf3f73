"""The pages for recipients: unsubscribing with one click, and choosing what one wants.

GET changes nothing, because scanners follow links; only POST does, and repeating it changes nothing
more. The token in the URL is what proves that the page was meant for this person, so a page of
somebody else cannot make a browser send what it does not know. The pages have no script, everything
in them is escaped, and their content security policy (CSP Level 3) allows their own style sheet by
its digest and nothing else.
"""

from __future__ import annotations

from base64 import b64encode
from email.parser import BytesParser
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from tactful.app import Tactful
from tactful.core.errors import RequestError
from tactful.http.problems import Problem

FORM_MAX: Final = 16_000
FIELDS_MAX: Final = 500
_ONE_CLICK: Final = ("List-Unsubscribe", "One-Click")
_FORM: Final = "application/x-www-form-urlencoded"
_STYLE: Final = files("tactful.http").joinpath("pages", "page.css").read_text(encoding="utf-8")
_DIGEST: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_PAGES: Final = Environment(
    loader=PackageLoader("tactful.http", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def shown(name: str, status: int = 200, **values: Any) -> Response:
    """One of the pages."""
    html = _PAGES.get_template(f"{name}.html.j2").render(**values, style=_STYLE)
    return HTMLResponse(html, status, HEADERS)


def no_such_page() -> Response:
    """The answer to a token that we did not make, for a person who cannot know what that is."""
    return shown("gone", 404)


async def _fields(request: Request) -> dict[str, list[str]]:
    """The fields of a form, as RFC 8058 allows it to be sent; raises Problem."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_MAX:
            raise Problem(413, "too_large", f"a form has {FORM_MAX} bytes at most")
    kind = request.headers.get("content-type", _FORM)
    try:
        if kind.partition(";")[0].strip().lower() == "multipart/form-data":
            return _parts(kind, bytes(body))
        return parse_qs(body.decode(), max_num_fields=FIELDS_MAX)
    except ValueError:
        raise Problem(400, "unreadable", "the body is no form") from None


def _parts(kind: str, body: bytes) -> dict[str, list[str]]:
    """The fields of a form in parts (RFC 7578)."""
    head = f"Content-Type: {kind}\r\n\r\n".encode("ascii")
    found: dict[str, list[str]] = {}
    for part in BytesParser().parsebytes(head + body).walk():
        name = part.get_param("name", header="content-disposition")
        text = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(text, bytes):
            found.setdefault(name, []).append(text.decode())
    return found


Form = Annotated[dict[str, list[str]], Depends(_fields)]


def label(name: str) -> str:
    """The name of a category or channel, for people."""
    if name == "default":
        return "General"
    words = name.replace("_", " ").replace("-", " ")
    return words.upper() if len(words) <= 3 else words[:1].upper() + words[1:]


_PAGES.filters["label"] = label


def router_of(app: Tactful) -> APIRouter:
    """The pages over one engine."""
    router = APIRouter()
    router.include_router(_unsubscribing(app))
    router.include_router(_choosing(app))
    return router


def _unsubscribing(app: Tactful) -> APIRouter:
    router = APIRouter()
    unsubscribe, preferences = app.links.unsubscribe, app.links.preferences

    @router.get("/u/{token}")
    def ask(token: str) -> Response:
        """Whether the person really wants to unsubscribe."""
        try:
            recipient, category = unsubscribe.read(token)
        except RequestError:
            return no_such_page()
        page = preferences.token(recipient)
        return shown("unsubscribe", category=category, done=False, page=page)

    @router.post("/u/{token}")
    def leave(token: str, form: Form) -> Response:
        """Unsubscribe from a category (RFC 8058)."""
        name, value = _ONE_CLICK
        try:
            recipient, category = unsubscribe.read(token)
            if form.get(name) != [value]:
                raise Problem(400, "unreadable", f"the body must be {name}={value}")
            unsubscribe.redeem(token)
        except RequestError:
            return no_such_page()
        page = preferences.token(recipient)
        return shown("unsubscribe", category=category, done=True, page=page)

    return router


def _choosing(app: Tactful) -> APIRouter:
    router = APIRouter()
    preferences = app.links.preferences

    @router.get("/p/{token}")
    def choices(token: str) -> Response:
        """What the person may choose, and has chosen."""
        try:
            recipient = preferences.read(token)
        except RequestError:
            return no_such_page()
        return shown("preferences", choices=preferences.choices(recipient), saved=False)

    @router.post("/p/{token}")
    def choose(token: str, form: Form) -> Response:
        """Do as the person says."""
        try:
            recipient = preferences.read(token)
        except RequestError:
            return no_such_page()
        match form.get("do"):
            case ["save"]:
                seen, wanted = form.get("shown", ()), form.get("want", ())
                preferences.choose(recipient, shown=seen, wanted=wanted)
            case ["stop"]:
                preferences.stop(recipient)
            case ["resume"]:
                preferences.resume(recipient)
            case _:
                raise Problem(400, "unreadable", "do: must be save, stop or resume")
        return shown("preferences", choices=preferences.choices(recipient), saved=True)

    return router
