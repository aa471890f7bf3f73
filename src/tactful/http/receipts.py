"""Feedback in: the webhooks of providers, and bounces as mails.

A provider has no key of ours. Its calls are known by its own signature, and what is not signed by
it changes nothing: 403. A call that came before is answered with 200, since its sender is to stop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from tactful.engine.feedback.reports import Taken
from tactful.http.intake import BoundedRequest, GuardedRoute
from tactful.http.keyring import Admin
from tactful.http.problems import RETRY_S, Problem
from tactful.http.worlds import Both
from tactful.inbound.desk import Desk
from tactful.inbound.mail import reports_in
from tactful.inbound.signed import ForgedError, UnreadableError

log = logging.getLogger("tactful.http")

MAIL_MAX: Final = 32_000_000


class Outcome(BaseModel):
    """What became of the reports of one call."""

    news: int = Field(description="How many changed something.")
    stale: int = Field(description="How many said what was known, or came too late to matter.")
    replayed: int = Field(description="How many had come before.")
    unknown: int = Field(description="How many are about nothing known; kept as events.")


class _Mail(BoundedRequest):
    body_max = MAIL_MAX


class _MailRoute(GuardedRoute):
    request_class = _Mail


class _CallRoute(APIRoute):
    """A call of a provider: no key, no model, any query; only not too much of it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(BoundedRequest(request.scope, request.receive))

        return bounded


Envelope: TypeAlias = Annotated[str, Query(max_length=320, description="Whom its envelope named.")]

inbound: Final = APIRouter(prefix="/inbound", tags=["feedback"], route_class=_MailRoute)
_A_MAIL: Final = {
    "requestBody": {
        "required": True,
        "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@inbound.post("/mail", response_model=Outcome, openapi_extra=_A_MAIL)
async def take_mail(request: Request, key: Admin, worlds: Both, to: Envelope = "") -> Any:
    """A mail that came to the bounce address, as it is; a mail that reports nothing is no error."""
    raw = await request.body()
    reports = await run_in_threadpool(reports_in, raw, [to] if to else [])
    return told(await run_in_threadpool(worlds.of(key).reports.take, reports))


def router_of(desk: Desk | None) -> APIRouter:
    """The route of the providers that a desk knows; none without a desk."""
    router = APIRouter(prefix="/receipts", tags=["feedback"], route_class=_CallRoute)

    @router.post("/{provider}", response_model=Outcome)
    async def take_receipts(provider: str, request: Request) -> Any:
        """A call of a provider, signed by it: ses, sendgrid, mailgun, postmark or twilio."""
        if desk is None or not desk.knows(provider):
            raise Problem(404, "not_found", "no such provider is configured")
        body = await request.body()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            taken = await run_in_threadpool(desk.take, provider, headers, body, _asked(request))
        except ForgedError as error:
            log.warning("a call for receipts/%s was refused: %s", provider, error)
            raise Problem(403, "forged", str(error)) from None
        except UnreadableError as error:
            raise Problem(400, "unreadable", str(error)) from None
        return told(taken)

    return router


def told(taken: Taken) -> Any:
    """What became of reports, as an answer; raises Problem where some have to come again."""
    if taken.early:
        headers = {"Retry-After": str(RETRY_S)}
        detail = "it is about a message whose hand-over is not recorded yet; send it again"
        raise Problem(503, "early", detail, headers=headers)
    return {name: value for name, value in taken._asdict().items() if name != "early"}


def _asked(request: Request) -> str:
    """Path and query as they were asked for, which is what some sign."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope.get("query_string", b"")
    return (path + (b"?" + query if query else b"")).decode("latin-1")
