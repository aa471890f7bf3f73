"""The open pixel and the click redirect.

Nobody who asks for them has a key, so they are cheap: the token is checked before anything else,
and what they count is kept in memory and recorded about once a second
(`engine.feedback.engagement`). The pixel is the same for every token, also for one that we did not
make; a link leads only where its token says.
"""

from __future__ import annotations

import logging
import threading
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tactful.app import Tactful
from tactful.core.errors import RequestError, Unavailable
from tactful.engine.feedback.engagement import Hit
from tactful.engine.links.tracking import read_click, read_open
from tactful.http import preferences
from tactful.http.preferences import no_such_page

log = logging.getLogger("tactful.http")

PIXEL: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
EVERY_S: Final = 1.0
_HEADERS: Final = {
    "Cache-Control": "no-store, private, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_AHEAD: Final = ("purpose", "sec-purpose", "x-purpose", "x-moz")
_AGENT_MAX: Final = 500


class Recorder:
    """Has what is kept recorded every `EVERY_S` seconds, in a thread that is begun with the first.

    After `close` nothing more is recorded than what was kept until then.
    """

    def __init__(self, app: Tactful) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, hit: Hit) -> None:
        """Keep a request to be recorded."""
        self._app.engagement.note(hit)
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closed.is_set():
                    self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Record what is kept, and end."""
        with self._lock:
            self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._closed.wait(EVERY_S)
            try:
                self._app.engagement.settle(self._app.clock.now(), all_of_it=ended)
            except Unavailable as error:
                log.warning("opens and clicks could not be recorded now: %s", error)
            except Exception:
                log.exception("opens and clicks could not be recorded")


def router_of(app: Tactful) -> APIRouter:
    """All routes below `/t`; what they count is recorded until the service ends."""
    recorder = Recorder(app)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(recorder.close)

    router = APIRouter(prefix="/t", include_in_schema=False, lifespan=lifespan)
    tokens = app.links.tokens

    @router.api_route("/o/{token}", methods=["GET", "HEAD"])
    def pixel(token: str, request: Request) -> Response:
        """An image of one transparent point."""
        try:
            hit = Hit("opened", read_open(tokens, token), app.clock.now())
        except (RequestError, Unavailable):
            pass
        else:
            recorder.note(_whose(hit, request))
        return Response(PIXEL, headers=_HEADERS, media_type="image/gif")

    @router.api_route("/c/{token}", methods=["GET", "HEAD"])
    def click(token: str, request: Request) -> Response:
        """To where the token says."""
        try:
            found = read_click(tokens, token)
        except RequestError:
            return no_such_page()
        hit = Hit("clicked", found.delivery_id, app.clock.now())
        hit = hit._replace(number=found.number, links=found.links, url=found.url)
        recorder.note(_whose(hit, request))
        return Response(status_code=302, headers={**_HEADERS, "Location": found.url})

    router.include_router(preferences.router_of(app))
    return router


def _whose(hit: Hit, request: Request) -> Hit:
    """With what the request says of who makes it."""
    said = " ".join(request.headers.get(name, "") for name in _AHEAD)
    ahead = request.method == "HEAD" or "fetch" in said or "preview" in said
    return hit._replace(agent=request.headers.get("user-agent", "")[:_AGENT_MAX], ahead=ahead)
