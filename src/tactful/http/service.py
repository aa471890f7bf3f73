"""The service: everything that answers HTTP, over one engine.

Routes are synchronous where they speak to the engine, which is: the framework runs them in threads,
and the engine puts what is submitted at once into one commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, FastAPI

from tactful import __version__
from tactful.app import Tactful
from tactful.config.service import Http
from tactful.core.model import SECOND
from tactful.http import alertmanager, answers, api, endpoints, problems, receipts, tracking
from tactful.http.console.site import close_console, create_console
from tactful.http.description import Service
from tactful.http.guard import Guard
from tactful.http.keyring import Keyring
from tactful.http.metrics import router_of
from tactful.http.simulations import Simulations
from tactful.http.throttle import Throttle
from tactful.http.traced_requests import API, QUIET, Traced
from tactful.http.worlds import Worlds
from tactful.inbound.desk import Desk
from tactful.ports import Channel

DEFAULTS: Final = Http()
_DESCRIPTION = """\
Notifications with manners: exact limits per recipient, nothing lost, every decision explained.

Instants and spans are milliseconds. Errors are problem details (RFC 9457).
"""

_EVERYWHERE: Final = APIRouter(responses=problems.RESPONSES)
"""What is the same for each engine, so that the framework works it out once in a process."""
for _one in (*api.ROUTERS, alertmanager.router, endpoints.router, receipts.inbound):
    # Side by side: the framework would look through a router within a router several times.
    _EVERYWHERE.include_router(_one, prefix=API)


def create_service(
    app: Tactful,
    channels: Sequence[Channel] = (),
    *,
    settings: Http = DEFAULTS,
    metrics: str = "open",
    desk: Desk | None = None,
) -> FastAPI:
    """The service over an engine that somebody else starts and closes.

    `channels` are those of the engine; for test keys, others of the same names stand in for them.
    `settings` bound what a key may ask of it; `metrics` says who may read those: `open`, `key` or
    `off`; `desk` takes the webhooks of providers.
    """
    worlds = Worlds(app, channels)
    simulated = Simulations()
    console = create_console(app)

    @asynccontextmanager
    async def lifespan(service: FastAPI) -> AsyncIterator[None]:
        yield
        simulated.close()
        close_console(console)
        worlds.close()
        service.state.keyring.close()

    service = Service(
        title="Tactful",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        responses=problems.RESPONSES,
        telemetry=QUIET,
        docs_url=None,  # both pages would load programs from elsewhere
        redoc_url=None,
    )
    service.state.worlds = worlds
    service.state.simulations = simulated
    service.state.keyring = Keyring(app)
    service.state.throttle = Throttle(settings.rate, settings.burst)
    service.add_middleware(Guard, timeout_s=settings.timeout_ms / SECOND)
    if app.tracer is not None:
        service.add_middleware(Traced, tracer=app.tracer)
    problems.install(service)
    service.router.routes.extend(_EVERYWHERE.routes)
    service.include_router(receipts.router_of(desk), prefix=API)
    service.include_router(_health(app))
    service.include_router(tracking.router_of(app))
    service.include_router(router_of(app, metrics))
    service.mount("/console", console)
    return service


def _health(app: Tactful) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", response_model=answers.Health)
    async def healthz() -> Any:
        """Whether the process answers."""
        return {"status": "ok"}

    @router.get("/readyz", response_model=answers.Health)
    def readyz() -> Any:
        """Whether the store answers, too; raises Unavailable (503)."""
        with app.store.reading() as reader:
            reader.epoch()
        return {"status": "ok"}

    return router
