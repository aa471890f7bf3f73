"""An engine that is traced: what is stored knows which span asked for it.

All that one span submits at once has one span of its own, whoever else shares the commit. A span
that nothing is kept of leaves no mark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from tactful.core.errors import RequestError
from tactful.engine.requests import Receipt, Request
from tactful.ports import Channel, Span, Store, Tracer
from tactful.telemetry.traced_channel import MIXED, Naming, TracedChannel, agreed

F = TypeVar("F", bound=Receipt | RequestError)


class Admitting(Protocol):
    """What `engine.admission.Admission` promises."""

    def submit(self, requests: Sequence[Request]) -> list[Receipt]:
        """Admit all or none; one receipt each, in order."""
        ...

    def submit_each(self, requests: Sequence[Request]) -> list[Receipt | RequestError]:
        """Admit those that can be; a receipt or what is wrong for each, in order."""
        ...

    def broadcast(self, request: Request) -> Receipt:
        """Accept one notification for everyone who is registered now."""
        ...


class Tracing:
    """Puts a tracer around what it traces; without one everything stays as it is."""

    def __init__(self, tracer: Tracer | None, store: Store, channels: Collection[str]) -> None:
        self._tracer = tracer
        self._naming = Naming(store, channels)

    def channels(self, channels: Sequence[Channel]) -> list[Channel]:
        """The channels, whose hand-overs are traced."""
        if self._tracer is None:
            return list(channels)
        return [TracedChannel(channel, self._tracer, self._naming) for channel in channels]

    def admission(self, admission: Admitting) -> Admitting:
        """The admission, whose submissions are traced."""
        if self._tracer is None:
            return admission
        return TracedAdmission(admission, self._tracer, self._naming)


class TracedAdmission:
    """`Admitting` over another one."""

    def __init__(self, inner: Admitting, tracer: Tracer, naming: Naming) -> None:
        self._inner = inner
        self._tracer = tracer
        self._naming = naming

    def submit(self, requests: Sequence[Request]) -> list[Receipt]:
        """See `Admitting.submit`."""
        return self._traced(requests, self._inner.submit)

    def submit_each(self, requests: Sequence[Request]) -> list[Receipt | RequestError]:
        """See `Admitting.submit_each`."""
        return self._traced(requests, self._inner.submit_each)

    def broadcast(self, request: Request) -> Receipt:
        """See `Admitting.broadcast`."""
        (receipt,) = self._traced([request], lambda marked: [self._inner.broadcast(marked[0])])
        return receipt

    def _traced(
        self, requests: Sequence[Request], admit: Callable[[list[Request]], list[F]]
    ) -> list[F]:
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(request.trace, []).append(place)
        spans = {parent: self._tracer.submitting(parent) for parent in places}
        names = {parent: span.trace if span else "" for parent, span in spans.items()}
        marked = [request._replace(trace=names[request.trace]) for request in requests]
        found: list[F] = []
        error = ""
        try:
            found = admit(marked)
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            for parent, span in spans.items():
                if span is not None:
                    asked = [requests[place] for place in places[parent]]
                    heard = [found[place] for place in places[parent]] if found else []
                    self._end(span, asked, heard, error)
        return found

    def _end(
        self,
        span: Span,
        requests: Sequence[Request],
        heard: Sequence[Receipt | RequestError],
        error: str,
    ) -> None:
        """With what all that was decided has in common, and the error if there was one."""
        receipts = [one for first in heard if isinstance(first, Receipt) for one in _all(first)]
        facts: dict[str, str | int] = {}
        facts |= self._naming.shown(
            [request.type for request in requests], [one.rule for one in receipts]
        )
        facts |= agreed(
            channel=[one.channel for one in receipts],
            decision=[one.decision for one in receipts],
            message=[one.delivery_id for one in receipts],
            notification=[one.notification_id for one in receipts],
        )
        if len(requests) > 1:
            facts["count"] = len(requests)
        wrong = [type(one).__name__ for one in heard if isinstance(one, RequestError)]
        if wrong and not error:
            error = agreed(error=wrong).get("error", MIXED)
        span.end(facts, error)


def _all(receipt: Receipt) -> tuple[Receipt, ...]:
    return (receipt, *receipt.others)
