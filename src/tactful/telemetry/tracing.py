"""Traces for OpenTelemetry, through its API alone: whoever runs the program sets up the rest.

Names follow the semantic conventions for messaging and HTTP. To submit is to `send` to Tactful, as
a producer does; to hand over is to `process` what it holds, as a consumer does. A hand-over, maybe
hours later and by another process, is a child of the span that asked for it and links to it: so it
is kept or left out as that one was, whatever the sampler here would say of a trace of its own. Of
what comes from a span that is not kept nothing is made, and where no SDK is set up nothing is kept.

No text of an exception is told, and no path of a URL: they may speak of people.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Final, Self

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
)

from tactful.ports import Facts

log = logging.getLogger("tactful.tracing")

SYSTEM: Final = {"messaging.system": "tactful"}
SENDING: Final = {**SYSTEM, "messaging.operation.name": "send", "messaging.operation.type": "send"}
PROCESSING: Final = {
    **SYSTEM,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}
ATTRIBUTES: Final = {
    "channel": "messaging.destination.name",
    "message": "messaging.message.id",
    "count": "messaging.batch.message_count",
    "notification": "tactful.notification",
    "type": "tactful.type",
    "rule": "tactful.rule",
    "decision": "tactful.decision",
    "outcome": "tactful.outcome",
    "attempt": "tactful.attempt",
    "route": "http.route",
    "status": "http.response.status_code",
}
"""What a span says, in the engine's words and in those of OpenTelemetry."""

METHODS: Final = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
"""Of any other method the name is not told: it is whatever somebody sends."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


def traceparent(context: SpanContext) -> str:
    """The name of a span for others."""
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def context_of(parent: str) -> SpanContext | None:
    """The span that a traceparent names; None if it names none, or one that is not kept."""
    match = _TRACEPARENT.fullmatch(parent)
    if match is None or not int(match[3], 16) & _SAMPLED:
        return None
    flags = TraceFlags(int(match[3], 16))
    context = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


class OpenSpan:
    """`ports.Span`; its name begins with `about`, and ends with the fact `named`."""

    def __init__(self, span: trace.Span, about: str, named: str) -> None:
        self._span = span
        self._about = about
        self._named = named
        self._token: Token[Context] | None = None
        self.trace = traceparent(span.get_span_context())

    def __enter__(self) -> Self:
        self._token = attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None, "it was entered"
        detach(self._token)

    def end(self, facts: Facts, error: str = "") -> None:
        """See `ports.Span.end`."""
        try:
            if facts.get(self._named):
                self._span.update_name(f"{self._about} {facts[self._named]}")
            self._span.set_attributes({ATTRIBUTES[name]: facts[name] for name in facts})
            if error:
                self._span.set_attribute("error.type", error)
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end()
        except Exception:  # a processor of somebody else's must not undo what was done
            log.exception("a span could not be ended")


class Traces:
    """`ports.Tracer` for OpenTelemetry; without a provider, the global one."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("tactful", None, provider)

    def current(self) -> str:
        """See `ports.Tracer.current`."""
        return traceparent(trace.get_current_span().get_span_context())

    def submitting(self, parent: str = "") -> OpenSpan | None:
        """See `ports.Tracer.submitting`."""
        if parent:
            origin = context_of(parent)
            return self._kept("send", SpanKind.PRODUCER, SENDING, [origin]) if origin else None
        current = trace.get_current_span().get_span_context()
        if current.is_valid and not current.trace_flags & _SAMPLED:
            return None
        return self._kept("send", SpanKind.PRODUCER, SENDING)

    def handing_over(self, channel: str, origins: Sequence[str]) -> OpenSpan | None:
        """See `ports.Tracer.handing_over`."""
        found = [context_of(origin) for origin in origins]
        if not found or found[0] is None:
            return None
        known = [one for one in found if one is not None]
        return self._kept(f"process {channel}", SpanKind.CONSUMER, PROCESSING, known, link=True)

    def answering(self, method: str, headers: Mapping[str, str]) -> OpenSpan | None:
        """See `ports.Tracer.answering`."""
        if trace.get_current_span().get_span_context().is_valid:
            return None
        name, said = (method, method) if method in METHODS else ("HTTP", "_OTHER")
        attributes = {"http.request.method": said}
        try:
            asked = propagate.extract(headers)
            span = self._tracer.start_span(name, asked, SpanKind.SERVER, attributes)
        except Exception:
            log.exception("a span could not be begun")
            return None
        return OpenSpan(span, name, "route")

    def _kept(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, str],
        origins: Sequence[SpanContext] = (),
        *,
        link: bool = False,
    ) -> OpenSpan | None:
        """A child of the first of these spans, or of the current one; None if it is not kept."""
        context, links = None, [Link(origin) for origin in origins] if link else []
        if origins:
            context = trace.set_span_in_context(NonRecordingSpan(origins[0]), Context())
        try:
            span = self._tracer.start_span(name, context, kind, dict(attributes), links)
        except Exception:  # a sampler of somebody else's must not keep anything from being sent
            log.exception("a span could not be begun")
            return None
        if not span.get_span_context().trace_flags & _SAMPLED:
            return None
        return OpenSpan(span, name, "" if link else "channel")
