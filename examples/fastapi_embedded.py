"""FastAPI with the engine in the same process: no service to run beside it.

    TACTFUL_STORE=sqlite:///shop.db uvicorn fastapi_embedded:api

The engine works in the background for as long as the application runs. Routes that send are plain
`def`: FastAPI runs them in threads, and what they submit at once shares one commit.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from tactful import Rule, Tactful


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Start the engine with the application, and let it finish what it has begun."""
    engine = Tactful(os.environ.get("TACTFUL_STORE", "memory://"))
    engine.rules.put(Rule("orders", types=["order"], limit="2/hour"))
    api.state.tactful = engine
    with engine:
        yield
    engine.close()


def tactful(request: Request) -> Tactful:
    """The engine, for whoever depends on it; tests override this dependency."""
    engine: Tactful = request.app.state.tactful
    return engine


Engine = Annotated[Tactful, Depends(tactful)]

api = FastAPI(lifespan=lifespan)


@api.post("/orders/{number}")
def order(number: str, buyer: str, engine: Engine) -> dict[str, str | int | None]:
    """Take an order and tell the buyer; taking it twice tells them once."""
    receipt = engine.send(
        type="order",
        to=buyer,
        subject=f"Your order {number}",
        text="Thank you. It is on its way.",
        idempotency_key=f"order-{number}",
    )
    return {"told": receipt.decision, "at": receipt.deliver_at}
