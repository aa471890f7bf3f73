"""What traces cost: processor time per notification, submitted and handed over one by one.

    python -m benchmarks.tracing [--count 2000] [--rounds 7]

The store is in memory and the channel takes everything, so that next to nothing else is measured.
All cases take turns within a round; what is told is the median of the rounds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as Provider

from tactful import Tactful
from tactful.telemetry.tracing import Traces
from tactful.testing import CaptureChannel

PORTION = 100


class Nowhere(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def providers() -> dict[str, Provider | None]:
    kept = TracerProvider(sampler=ParentBased(ALWAYS_ON))
    kept.add_span_processor(BatchSpanProcessor(Nowhere()))
    return {
        "no tracer": None,
        "tracer, no SDK": NoOpTracerProvider(),
        "SDK, trace not kept": TracerProvider(sampler=ParentBased(ALWAYS_OFF)),
        "SDK, trace kept": kept,
    }


def run(provider: Provider | None, count: int) -> tuple[float, float]:
    """Microseconds to submit one, and to hand one over."""
    tracer = Traces(provider) if provider is not None else None
    app = Tactful("memory://", channels=[CaptureChannel("post")], tracer=tracer)
    submitting = handing_over = 0.0
    for first in range(0, count, PORTION):
        with _request(provider):
            began = time.process_time()
            for number in range(first, first + PORTION):
                app.send(type="news", to=f"p{number}@example.com", text="w")
            submitted = time.process_time()
        app.tick()
        submitting += submitted - began
        handing_over += time.process_time() - submitted
    app.close()
    return 1e6 * submitting / count, 1e6 * handing_over / count


def _request(provider: Provider | None) -> AbstractContextManager[Any]:
    """The span of whoever submits."""
    if provider is None:
        return nullcontext()
    return provider.get_tracer("shop").start_as_current_span("checkout")


def main() -> None:
    parser = argparse.ArgumentParser(description="What traces cost.")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cases = providers()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, provider in cases.items():
            gc.collect()
            found[name].append(run(provider, options.count))
    print(f"{'':24}{'submit':>10}{'hand over':>12}   microseconds")
    for name, rounds in found.items():
        submit, hand_over = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"{name:24}{submit:>10.1f}{hand_over:>12.1f}")


if __name__ == "__main__":
    main()
