"""FastAPI that sends through a service of its own: `tactful serve` runs somewhere else.

    TACTFUL_URL=http://127.0.0.1:8700 TACTFUL_KEY=tk_live_... uvicorn fastapi_remote:api

Needs `pip install 'tactful[async]'`. One client serves all requests over a few connections.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from tactful import AsyncClient, errors


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Open the client with the application."""
    async with AsyncClient(os.environ["TACTFUL_URL"], os.environ["TACTFUL_KEY"]) as client:
        api.state.tactful = client
        yield


def tactful(request: Request) -> AsyncClient:
    """The client, for whoever depends on it; tests override this dependency."""
    client: AsyncClient = request.app.state.tactful
    return client


Service = Annotated[AsyncClient, Depends(tactful)]

api = FastAPI(lifespan=lifespan)


@api.post("/orders/{number}")
async def order(number: str, buyer: str, service: Service) -> dict[str, str | int | None]:
    """Take an order and tell the buyer; taking it twice tells them once."""
    try:
        receipt = await service.send(
            type="order",
            to=buyer,
            subject=f"Your order {number}",
            text="Thank you. It is on its way.",
            idempotency_key=f"order-{number}",
        )
    except errors.RequestError as error:
        raise HTTPException(422, str(error)) from error
    return {"told": receipt.decision, "at": receipt.deliver_at}
