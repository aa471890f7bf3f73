"""Errors in one shape: problem details (RFC 9457), `application/problem+json`.

    {"type": "urn:tactful:problem:invalid_request", "title": "The request is refused",
     "status": 422, "code": "invalid_request", "detail": "to: must be ...",
     "errors": [{"field": "to", "value": "...", "bound": "must be ..."}]}

Every status that is no success has it, also those of the framework itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tactful.core.errors import (
    ConfigError,
    NotFound,
    RequestError,
    TactfulError,
    Unavailable,
)
from tactful.engine.problems import MEDIA_TYPE, SHOWN_MAX, TITLES, details, wrong
from tactful.templates.library import RenderError

log = logging.getLogger("tactful.http")

RETRY_S: Final = 1
_SECRET: Final = frozenset({"secrets"})
"""Fields of bodies whose values are shown to nobody, not even to who sent them."""

_CODES: Final = {
    400: "unreadable",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}


class Problem(HTTPException):
    """An answer that is no success, to be raised anywhere in a request."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.errors = list(errors)
        self.facts = dict(facts or {})

    def to_dict(self) -> dict[str, Any]:
        """The problem as plain data."""
        return details(
            self.status_code, self.code, self.detail, facts=self.facts, errors=self.errors
        )

    def response(self) -> Response:
        """The problem as an answer."""
        content = orjson.dumps(self.to_dict())
        return Response(content, self.status_code, self.headers, media_type=MEDIA_TYPE)


def problem_of(error: TactfulError) -> Problem:
    """How an error of the engine is told."""
    if isinstance(error, RequestError):
        status = 404 if isinstance(error, NotFound) else 422
        return Problem(status, error.code, str(error), errors=[wrong(error)])
    if isinstance(error, Unavailable):
        # What is wrong with the store is for the log; it may name hosts and files.
        headers = {"Retry-After": str(RETRY_S)}
        return Problem(503, "unavailable", "nothing was stored; try again", headers=headers)
    if isinstance(error, RenderError):
        field = f"template.{error.part}"
        errors = [{"field": field, "value": error.template, "bound": error.reason}]
        return Problem(422, "render_failed", str(error), errors=errors)
    assert isinstance(error, ConfigError)
    return Problem(500, "configuration", "the service is not set up for this")


def refused(error: RequestError) -> dict[str, Any]:
    """The result of one of many items, which was not stored."""
    return {"error": {"code": error.code, **wrong(error)}}


def install(app: FastAPI) -> None:
    """Have every failure of an app answered as a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(TactfulError)
    async def _engine(_: Request, error: TactfulError) -> Response:
        if not isinstance(error, RequestError | RenderError):  # those are the caller's
            log.warning("request failed: %s", error)
        return problem_of(error).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [_misshapen(one) for one in error.errors()]
        detail = f"{errors[0]['field']}: {errors[0]['bound']}"
        return Problem(422, "invalid_request", detail, errors=errors).response()

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        name = _CODES.get(error.status_code, "refused")
        headers = dict(error.headers or {})
        return Problem(error.status_code, name, str(error.detail), headers=headers).response()


def _misshapen(found: Mapping[str, Any]) -> dict[str, Any]:
    """One field that is missing or of the wrong type, as pydantic found it."""
    where = [str(part) for part in found["loc"]]
    told = {"field": ".".join(where[1:]) or where[0], "bound": found["msg"]}
    # Of a field that is missing, the input is all that it is missing in.
    if found["type"] == "missing" or not _SECRET.isdisjoint(where):
        return told
    return {**told, "value": repr(found.get("input"))[:SHOWN_MAX]}


SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong, as problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:tactful:problem:invalid_request"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["invalid_request"]},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "bound"],
                "properties": {
                    "field": {"type": "string"},
                    "value": {"description": "What was given; long values are cut."},
                    "bound": {"type": "string"},
                },
            },
        },
    },
}
"""JSON schema of a problem."""

_REFERENCE: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": TITLES[status], "content": _REFERENCE}
    for status in (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504)
}
"""What any route may answer, for its description."""
