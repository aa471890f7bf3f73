"""Spans as an SDK keeps them, in memory, by their names."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import Span, SpanContext

from tactful.telemetry.tracing import Traces


class SpanBook:
    """One process's SDK: by default it keeps what belongs to traces that are kept, and new ones."""

    def __init__(self, sampler: Sampler | None = None, *more: SpanProcessor) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler or ParentBased(ALWAYS_ON))
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        for processor in more:
            self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("shop")
        self.traces = Traces(self.provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order of their ends."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Those that have ended, of one name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one of its name."""
        (span,) = self.named(name)
        return span

    def texts(self) -> str:
        """Everything that is exported."""
        return "\n".join(span.to_json() for span in self.spans)


def place(span: ReadableSpan | Span) -> tuple[int, int]:
    """What a span is known by."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    """What its parent is known by."""
    above: SpanContext | None = span.parent
    return None if above is None else (above.trace_id, above.span_id)


def links(span: ReadableSpan) -> list[tuple[int, int]]:
    """What the spans it links to are known by."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]
