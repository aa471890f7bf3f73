"""The console as an application of its own, to be mounted at `/console`.

Pages are rendered here, from templates; changes are forms. Scripts (htmx, and a few lines) do no
more than fetch a page again and exchange the part of it that has moved: without them everything
works, with a reload. Nothing is loaded from anywhere else.
"""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from tactful.app import Tactful
from tactful.core.errors import NotFound, RequestError, TactfulError
from tactful.http.console import (
    audit,
    broadcasts,
    deliveries,
    entry,
    keys,
    kinds,
    overview,
    rules,
    simulator,
)
from tactful.http.console.gate import Away, Console, Refused
from tactful.http.console.pages import ROOT, Headers, link, page
from tactful.http.console.pulse import Pulse
from tactful.http.console.sessions import Sessions
from tactful.http.simulations import Simulations
from tactful.http.traced_requests import QUIET

log = logging.getLogger("tactful.http")
AREAS: Final = (entry, overview, deliveries, rules, kinds, broadcasts, simulator, keys, audit)

_PAGES: Final = APIRouter()
"""All of them, which the framework works out once in a process."""
for _area in AREAS:
    _PAGES.include_router(_area.router)


def create_console(app: Tactful) -> FastAPI:
    """The console over an engine that somebody else starts and closes; see `close_console`."""
    simulations = Simulations(simulator.own_process)
    site = FastAPI(telemetry=QUIET, openapi_url=None, docs_url=None, redoc_url=None)
    site.state.console = Console(app, Sessions(app), simulations, Pulse())
    site.add_middleware(Headers)
    site.mount("/static", StaticFiles(packages=[("tactful.http.console", "static")]))
    site.router.routes.extend(_PAGES.routes)
    _failures(site)
    return site


def close_console(site: FastAPI) -> None:
    """Stop what it has begun."""
    console: Console = site.state.console
    console.simulations.close()


def _failures(site: FastAPI) -> None:
    """Have every failure answered with a page."""

    def told(status: int, says: str) -> Response:
        return page("failure.html.j2", None, status=status, code=status, says=says)

    @site.exception_handler(Away)
    async def _away(request: Request, _: Away) -> Response:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = wanted if request.method == "GET" else f"{ROOT}/"
        way = f"{link('login')}?next={quote(wanted)}"
        if request.headers.get("hx-request"):  # a part of a page: the whole has to go there
            return Response(status_code=401, headers={"HX-Redirect": way})
        return Response(status_code=303, headers={"Location": way})

    @site.exception_handler(Refused)
    async def _refused(_: Request, error: Refused) -> Response:
        return told(error.status, error.says)

    @site.exception_handler(TactfulError)
    async def _engine(_: Request, error: TactfulError) -> Response:
        if isinstance(error, RequestError):
            return told(404 if isinstance(error, NotFound) else 422, str(error))
        log.warning("console: a page failed: %s", error)
        return told(503, "The store is out of reach for now. Try again in a moment.")

    @site.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        return told(error.status_code, str(error.detail))
