"""Requests to the API as spans of the traces that they are part of."""

from __future__ import annotations

from typing import Final

from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tactful.ports import Tracer

API: Final = "/v1"
"""Where the API is. Probes, metrics and the console are no part of what others do."""

QUIET: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}
"""The framework by itself would tell of paths, queries and errors: addresses and tokens."""


class Traced:
    """ASGI middleware: what is done for a request is done within its span."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self.app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the specification of ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(f"{API}/"):
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        span = self._tracer.answering(scope["method"], headers)
        if span is None:
            await self.app(scope, receive, send)
            return
        facts: dict[str, str | int] = {}

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
            await send(message)

        error = ""
        try:
            with span:
                await self.app(scope, receive, noting)
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            route = getattr(scope.get("route"), "path", "")  # as its router knows it
            if route:
                facts["route"] = f"{API}{route}"
            status = int(facts.get("status", 0))
            span.end(facts, error or (str(status) if status >= 500 else ""))
