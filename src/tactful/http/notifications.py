"""Submitting: one, many or to everybody; and calling off.

A submission is answered with 202 and what was decided about it; 429 where a rule with
`on_limit = "reject"` said no. An `Idempotency-Key` makes repeating it safe: the first answer is
given again, with `Idempotency-Replayed: true`; callers that come at once wait for the first.

Many at once go past the framework's models: their bodies are read as they are, and checked by the
engine, item by item. What is wrong with one item is that item's own result.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import run_in_threadpool

from tactful.app import Tactful
from tactful.core.model import SECOND
from tactful.engine.requests import KEY_MAX, Receipt
from tactful.http import answers
from tactful.http.bodies import Announcement, BulkNotification, Notification
from tactful.http.intake import BulkRoute, GuardedRoute
from tactful.http.keyring import Sender
from tactful.http.problems import Problem, refused
from tactful.http.several import items_of, several
from tactful.http.worlds import Both

KEY_HEADER: Final = "Idempotency-Key"

router = APIRouter(tags=["notifications"], route_class=GuardedRoute)
bulk = APIRouter(tags=["notifications"], route_class=BulkRoute)
Key = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=KEY_MAX,
        description="Makes repeating safe: the first answer is given again.",
    ),
]


def answer(receipt: Receipt, app: Tactful, key: str | None) -> Response:
    """A receipt as an answer; raises Problem (429) where rules refuse all of it."""
    headers = {"Idempotency-Retention": str(app.settings.idempotency_ms // SECOND if key else 0)}
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    every = (receipt, *receipt.others)
    if all(one.decision == "reject" for one in every):
        instants = [one.retry_at for one in every if one.retry_at is not None]
        if instants:
            wait_ms = min(instants) - app.clock.now()
            headers["Retry-After"] = str(max(1, -(-wait_ms // SECOND)))
        detail = f"the rule {receipt.rule} says no" if receipt.rule else "too much waits already"
        raise Problem(429, "over_limit", detail, headers=headers, facts=receipt.to_dict())
    return Response(orjson.dumps(receipt.to_dict()), 202, headers, media_type="application/json")


@router.post("/notifications", status_code=202, response_model=answers.Decision)
async def submit(body: Notification, key: Sender, worlds: Both, idempotency_key: Key = None) -> Any:
    """Submit one notification to one recipient."""
    fields: Any = {**body.given(), "idempotency_key": idempotency_key}
    if key.is_test:
        app = await run_in_threadpool(worlds.of, key)
        receipt = await run_in_threadpool(lambda: app.send(**fields))
    else:
        app = worlds.live
        receipt = await worlds.submit(fields)
    return answer(receipt, app, idempotency_key)


@router.post("/broadcasts", status_code=202, response_model=answers.Decision)
def broadcast(body: Announcement, key: Sender, worlds: Both, idempotency_key: Key = None) -> Any:
    """Submit one notification to everybody who is registered now."""
    app = worlds.of(key)
    receipt = app.broadcast(**body.given(), idempotency_key=idempotency_key)
    return answer(receipt, app, idempotency_key)


@bulk.post(
    "/notifications/bulk",
    status_code=202,
    response_model=answers.BulkDecisions,
    openapi_extra=several(BulkNotification),
)
async def submit_many(request: Request, key: Sender, worlds: Both) -> Response:
    """Submit up to 1,000 notifications; each has a result of its own, in order.

    Each may have an `idempotency_key` of its own; the header goes with single ones only.
    """
    if KEY_HEADER in request.headers:
        raise Problem(422, "invalid_request", f"{KEY_HEADER}: give each item a key of its own")
    items = await items_of(request)
    results = await run_in_threadpool(_admit, worlds.of(key), items)
    return Response(results, 202, media_type="application/json")


def _admit(app: Tactful, items: list[Any]) -> bytes:
    """A result for each item, as JSON: what was decided, or what is wrong with it."""
    found = app.send_each(items)
    results = [one if isinstance(one, Receipt) else refused(one) for one in found]
    return orjson.dumps({"results": results})
