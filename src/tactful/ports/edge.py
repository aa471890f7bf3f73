"""The engine's other neighbours: the clock, the channels, and whoever watches it work.

A trace is known by its `traceparent` (W3C Trace Context, https://www.w3.org/TR/trace-context/): the
text that names one of its spans. "" stands for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from tactful.core.model import Message, Millis, Outcome

Facts: TypeAlias = Mapping[str, str | int]
"""What a span says: of a submission or a hand-over `channel`, `type`, `rule`, `decision`,
`outcome`, `attempt`, `message` (the id of a delivery), `notification` and `count`; of a request
`route` and `status`. Nothing about a person."""


class Clock(Protocol):
    """The one way to learn what time it is."""

    def now(self) -> Millis:
        """Milliseconds since the epoch, UTC."""
        ...


class Channel(Protocol):
    """A way to a recipient.

    `name` is what types and rules call it. `address_kind` is the kind of address it needs (`email`)
    or None. `concurrency` calls of `send` may run at once, each with about `batch` messages.
    """

    name: str
    address_kind: str | None
    concurrency: int
    batch: int

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Hand the messages over; one outcome each, in order.

        Trouble with a message or a server is an outcome. An exception is a bug, and its messages
        count as `Unknown`.
        """
        ...

    def close(self) -> None:
        """Let go of connections; harmless when repeated, and a later `send` opens new ones."""
        ...


class Probe(Protocol):
    """Is told what steps of the work took; any thread may call it, and it never raises.

    The steps are `claim` (one round that found something due), `transaction` and `commit` (`about`
    says whether they were durable) and `send` (`about` is the channel).
    """

    def began(self, step: str, about: str = "") -> None:
        """A step begins whose number under way is of interest: only `send`."""
        ...

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """A step has ended, one way or the other."""
        ...

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        """What came of it: `unavailable`, `contended`, or the outcomes of messages.

        Of a broker's messages: `admitted`, `repeated`, `refused`, `put_back`, `published`. Of
        histories, where there is a ledger: `remembered`, `looked_up`; of it: `out_of_reach`.
        """
        ...


class Unwatched:
    """A probe that nobody reads."""

    def began(self, step: str, about: str = "") -> None:
        """See `Probe.began`."""

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """See `Probe.took`."""

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        """See `Probe.happened`."""


class Span(Protocol):
    """A step of a trace that was begun; inside `with` it is the one that further steps belong to.

    `trace` is its name for others, "" if nothing is kept of it.
    """

    trace: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def end(self, facts: Facts, error: str = "") -> None:
        """It has ended, with an error of this kind or without one; to be called once."""
        ...


class Tracer(Protocol):
    """Keeps traces of the work; any thread may call it, and neither it nor its spans ever raise."""

    def current(self) -> str:
        """The span that the calling code belongs to, also if nothing is kept of it."""
        ...

    def submitting(self, parent: str = "") -> Span | None:
        """Something is being submitted, by `parent` or else by the current span; None: not kept."""
        ...

    def handing_over(self, channel: str, origins: Sequence[str]) -> Span | None:
        """Messages for which these spans asked, the first above all, are given to a channel.

        None if nothing is kept of the first.
        """
        ...

    def answering(self, method: str, headers: Mapping[str, str]) -> Span | None:
        """A request is being answered, by whoever its headers say; None if it is traced already."""
        ...
