"""A channel whose hand-overs are traced, where the submissions were; see `watched` for the idea.

A portion has one span for each span that asked for anything in it: one for a delivery alone, and
one for as many people of a broadcast as go in one call. Where nobody asks for traces messages carry
none, and nothing is done here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from tactful.core.errors import Unavailable
from tactful.core.model import Accepted, Message, Outcome, Rejected, Retry
from tactful.ports import Channel, Span, Store, Tracer
from tactful.telemetry.catalogue import OTHER
from tactful.telemetry.declared import Declared, Names

MIXED: Final = "_OTHER"
"""The kind of error where there were several; the word is that of OpenTelemetry."""

_WORDS: Final = {Accepted: "accepted", Retry: "retry", Rejected: "rejected"}


def agreed(**facts: Iterable[str | None]) -> dict[str, str]:
    """Of facts with all their values, those that have one value."""
    found = {}
    for name, values in facts.items():
        match list(dict.fromkeys(values)):
            case [str(one)]:
                found[name] = one
    return found


class Naming:
    """Which names a span may say: those that were declared, as in the labels of metrics."""

    def __init__(self, store: Store, channels: Collection[str]) -> None:
        self._store = store
        self._declared = Declared(channels)

    def shown(self, types: Iterable[str], rules: Iterable[str | None] = ()) -> dict[str, str]:
        """The facts `type` and `rule`, where there is just one; what nobody declared is `other`."""
        names = Names(frozenset(), frozenset(), frozenset())
        with suppress(Unavailable), self._store.reading() as reader:
            names = self._declared.names(reader)
        return agreed(
            type=[name if name in names.types else OTHER for name in types],
            rule=[name if not name or name in names.rules else OTHER for name in rules],
        )


class TracedChannel:
    """`ports.Channel` over another one."""

    def __init__(self, channel: Channel, tracer: Tracer, naming: Naming) -> None:
        self.inner = channel
        self.name = channel.name
        self.address_kind = channel.address_kind
        self.concurrency = channel.concurrency
        self.batch = channel.batch
        self._tracer = tracer
        self._naming = naming

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        groups: dict[str, list[int]] = {}
        for place, message in enumerate(messages):
            if message.traces:
                groups.setdefault(message.traces[0], []).append(place)
        if not groups:
            return self.inner.send(messages)
        spans = self._begun(messages, groups)
        words: list[str] = []
        error = ""
        try:
            with ExitStack() as inside:
                if len(spans) == 1:  # what the channel does belongs to the one, not to the many
                    inside.enter_context(spans[0][0])
                outcomes = list(self.inner.send(messages))
            words = [_WORDS.get(type(one), "unknown") for one in outcomes]
            return outcomes
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            for span, places in spans:
                found = [words[place] for place in places if place < len(words)]
                self._end(span, [messages[place] for place in places], found, error)

    def close(self) -> None:
        """See `ports.Channel.close`."""
        self.inner.close()

    def _begun(
        self, messages: Sequence[Message], groups: Mapping[str, list[int]]
    ) -> list[tuple[Span, list[int]]]:
        found = []
        for places in groups.values():
            origins = dict.fromkeys(trace for place in places for trace in messages[place].traces)
            span = self._tracer.handing_over(self.name, list(origins))
            if span is not None:
                found.append((span, places))
        return found

    def _end(
        self, span: Span, messages: Sequence[Message], words: Sequence[str], error: str
    ) -> None:
        facts: dict[str, str | int] = {"channel": self.name}
        facts |= self._naming.shown([message.type for message in messages])
        facts |= agreed(
            notification=[message.notification_id for message in messages], outcome=words
        )
        if len(messages) == 1:
            facts |= {"message": messages[0].id, "attempt": messages[0].attempt}
        else:
            facts["count"] = len(messages)
        troubles = [word for word in words if word != "accepted"]
        if troubles and not error:
            error = agreed(error=troubles).get("error", MIXED)
        span.end(facts, error)
