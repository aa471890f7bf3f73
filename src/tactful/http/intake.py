"""What is let in: a key first, then so many bytes, then JSON of a bounded depth.

All of it before a model or the engine sees anything; see `engine.documents` for what JSON is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tactful.core.errors import RequestError
from tactful.engine.documents import BODY_MAX, UnreadableError, document
from tactful.http.keyring import Access
from tactful.http.problems import Problem, problem_of

ARRIVING: Final = "arriving"
"""What the state of a request holds while its body is on its way."""
SCOPE_MARK: Final = "x-scope"
LIVE_MARK: Final = "x-live-only"
BULK_BODY_MAX: Final = 10_000_000

_DIGITS_MAX: Final = 12


def parsed(body: bytes) -> Any:
    """The value of a JSON document; raises Problem (400)."""
    try:
        return document(body)
    except UnreadableError as error:
        raise Problem(400, "unreadable", str(error)) from None


class BoundedRequest(Request):
    """A request whose body is read up to a bound, and only as JSON."""

    body_max = BODY_MAX

    async def body(self) -> bytes:
        """All of the body; raises Problem (413) as soon as it is known to be too much."""
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "")
            if len(declared) > _DIGITS_MAX or (
                declared.isascii() and declared.isdigit() and int(declared) > self.body_max
            ):
                raise self._too_large()
            self.scope["state"][ARRIVING] = True
            found = bytearray()
            async for piece in self.stream():
                found += piece
                if len(found) > self.body_max:
                    raise self._too_large()
            del self.scope["state"][ARRIVING]
            self._body = bytes(found)
        return self._body

    async def json(self) -> Any:
        """See `parsed`."""
        return parsed(await self.body())

    def _too_large(self) -> Problem:
        return Problem(413, "too_large", f"the body must have at most {self.body_max} bytes")


class Bulk(BoundedRequest):
    """The same for many things at once."""

    body_max = BULK_BODY_MAX


class GuardedRoute(APIRoute):
    """A route that looks at nothing before it has seen the key."""

    request_class: type[BoundedRequest] = BoundedRequest

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        marks = {name: value for door in self._doors() for name, value in _marks(door).items()}
        self.openapi_extra = {**(self.openapi_extra or {}), **marks}

    def _doors(self) -> list[Access]:
        return [one.call for one in self.dependant.dependencies if isinstance(one.call, Access)]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()
        doors = self._doors()
        known = frozenset(one.alias for one in self.dependant.query_params)

        async def guarded(request: Request) -> Response:
            for door in doors:
                await door.admit(request)
            _check_query(request, known)
            bounded = self.request_class(request.scope, request.receive)
            if self.body_field is not None or self.request_class is Bulk:
                _expect_json(bounded)
            return await handle(bounded)

        return guarded


class BulkRoute(GuardedRoute):
    """The same for many things at once; its function reads the body by itself."""

    request_class = Bulk


def _marks(door: Access) -> dict[str, Any]:
    """What the description of a route has to know about who may use it."""
    return {SCOPE_MARK: door.scope, LIVE_MARK: door.live_only}


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Raises Problem (422) for what is misspelt or there twice: it would be passed over."""
    given = [name for name, _ in request.query_params.multi_items()]
    for place, name in enumerate(given):
        if name not in known:
            bound = f"is no parameter here: {', '.join(sorted(known)) or 'there are none'}"
            raise problem_of(RequestError(name, request.query_params[name], bound))
        if name in given[:place]:
            raise problem_of(RequestError(name, request.query_params[name], "is there twice"))


def _expect_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        detail = f"send JSON with `Content-Type: application/json`, not {kind[:60] or 'nothing'!r}"
        raise Problem(415, "unsupported_media_type", detail)
