"""Several providers behind one channel, in order of preference.

    FailoverChannel(
        "email",
        [SmtpChannel(name="post", ...), SmtpChannel(name="parcel", ...)],
        clock=lambda: time.monotonic_ns() // 1_000_000,
    )

Messages go to the first provider that is healthy (`channels.breaker` says which is), and what comes
back decides whether the next one is asked in the same call:

| outcome    | what it means here                                                          |
|------------|-----------------------------------------------------------------------------|
| `Accepted` | final                                                                       |
| `Retry`    | surely not delivered: the next healthy provider gets it at once             |
| `Rejected` | final: it will never be delivered, and says nothing about the provider      |
| `Unknown`  | final here: it may have arrived, so no other provider may get it. Whether a |
|            | second copy is wanted is the engine's question (`on_ambiguous`)             |

So no message is handed to two providers unless the first has surely not delivered it. A message
whose permit has ended (`PERMIT_ENDED`) goes to no other provider either.

A provider's health is judged by what speaks of the provider and not of a message: `Accepted` for
it; `Unknown`, and `Retry` that is not counted as a try, against it. A channel that knows more says
so in a method `served` (`Telling`): a server that hangs up on a message makes a retry that counts,
and still speaks of the server. A server that hung up left many messages untouched, but hung up
once: all that it left of one call is one failure.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol, runtime_checkable

from tactful.channels.breaker import Admission, Breaker, BreakerPolicy, Health
from tactful.core.errors import ConfigError
from tactful.core.model import (
    PERMIT_ENDED,
    Accepted,
    Message,
    Millis,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from tactful.ports import Channel

log = logging.getLogger("tactful.failover")


@runtime_checkable
class Telling(Protocol):
    """A channel that knows what its outcomes say about the service behind it."""

    def served(self, outcome: Outcome) -> bool | None:
        """True: the service did its part; False: it failed; None: this cannot be told."""
        ...


def served(outcome: Outcome) -> bool | None:
    """The same for any channel, as far as an outcome alone tells."""
    match outcome:
        case Accepted():
            return True
        case Rejected() | Retry(counted=True):
            return None
    return False


class _Provider(NamedTuple):
    channel: Channel
    breaker: Breaker
    free: threading.BoundedSemaphore
    served: Callable[[Outcome], bool | None]


class FailoverChannel:
    """A channel made of others, the preferred one first. Any thread may use it.

    `name` is what types and rules call the whole. The providers' own names must differ: they stand
    before the reason or reference of each outcome. `clock` gives milliseconds and never goes back.
    A provider gets no more calls at once than its `concurrency`; a call has at most the smallest
    `batch` of them.

    Raises ConfigError for fewer than two providers, for equal names and for different kinds of
    address.
    """

    def __init__(
        self,
        name: str,
        providers: Sequence[Channel],
        *,
        clock: Callable[[], Millis],
        policy: BreakerPolicy | None = None,
    ) -> None:
        names = [channel.name for channel in providers]
        if len(names) < 2 or len(set(names)) != len(names):
            bound = "must be two or more, with different names"
            raise ConfigError(f"failover.providers: {bound} (got {', '.join(names) or 'none'})")
        kinds = {channel.address_kind for channel in providers}
        if len(kinds) != 1:
            shown = ", ".join(f"{channel.name}: {channel.address_kind}" for channel in providers)
            raise ConfigError(f"failover.providers: must take the same address_kind (got {shown})")
        policy = policy or BreakerPolicy()
        self.name = name
        self.address_kind = providers[0].address_kind
        self.concurrency = max(channel.concurrency for channel in providers)
        self.batch = min(channel.batch for channel in providers)
        self._clock = clock
        self._lock = threading.Lock()
        self._providers = tuple(
            _Provider(
                channel,
                Breaker(policy),
                threading.BoundedSemaphore(channel.concurrency),
                channel.served if isinstance(channel, Telling) else served,
            )
            for channel in providers
        )

    @property
    def health(self) -> dict[str, Health]:
        """How each provider is treated, by its name, the preferred one first."""
        with self._lock:
            return {one.channel.name: one.breaker.health for one in self._providers}

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Hand the messages over; one outcome each, in order.

        What no provider takes now is to be retried when the first of them is due for a probe.
        """
        outcomes: dict[int, Outcome] = {}
        left: Sequence[int] = range(len(messages))
        while left:
            self._route(messages, left, 0, outcomes)
            before, left = len(left), [place for place in left if place not in outcomes]
            if len(left) == before:
                outcomes |= dict.fromkeys(left, self._nobody())
                break
        return [outcomes[place] for place in range(len(messages))]

    def close(self) -> None:
        """Close every provider; harmless when repeated, and a later `send` opens what it needs."""
        for provider in self._providers:
            provider.channel.close()

    def __repr__(self) -> str:
        shown = ", ".join(repr(provider.channel) for provider in self._providers)
        return f"<FailoverChannel {self.name}: {shown}>"

    def _route(
        self,
        messages: Sequence[Message],
        places: Sequence[int],
        first: int,
        outcomes: dict[int, Outcome],
    ) -> None:
        """Offer the messages at `places` to the providers from `first` on."""
        if not places or first == len(self._providers):
            return
        provider = self._providers[first]
        with self._lock:
            admission = provider.breaker.admit(len(places), self._clock())
        taken, rest = places[: admission.most], places[admission.most :]
        found: list[Outcome] = []
        try:
            # What is left of a probe goes first, and does not wait for its answer.
            self._route(messages, rest, first + 1, outcomes)
            if taken:
                found = _hand_over(provider, [messages[place] for place in taken])
        finally:
            if taken:
                self._record(provider, admission, found)
        again = []
        for place, outcome in zip(taken, found, strict=True):
            if outcome == PERMIT_ENDED:  # for every provider
                outcomes[place] = outcome
                continue
            outcomes[place] = _merged(outcomes.get(place), _named(outcome, provider.channel.name))
            if isinstance(outcome, Retry):
                again.append(place)
        self._route(messages, again, first + 1, outcomes)

    def _record(self, provider: _Provider, admission: Admission, found: Sequence[Outcome]) -> None:
        good, bad = _evidence(provider, found)
        breaker = provider.breaker
        with self._lock:
            before = breaker.health
            breaker.record(admission, good, bad, self._clock())
            after, wait_ms = breaker.health, breaker.wait_ms(self._clock())
        if before is after:
            return
        if after is Health.OPEN:
            why = next((o.why for o in found if isinstance(o, Retry | Unknown)), "interrupted")
            text = "channel %s: %s is left alone for %d s: %s"
            log.warning(text, self.name, provider.channel.name, wait_ms // 1_000, why)
        else:
            log.info("channel %s: %s is served again", self.name, provider.channel.name)

    def _nobody(self) -> Retry:
        with self._lock:
            now = self._clock()
            wait_ms = min(provider.breaker.wait_ms(now) for provider in self._providers)
        names = ", ".join(provider.channel.name for provider in self._providers)
        return Retry(f"left alone for now: {names}", after_ms=wait_ms, counted=False)


def _hand_over(provider: _Provider, messages: Sequence[Message]) -> list[Outcome]:
    """One call of a provider. What it answers wrongly, or not at all, is unknown."""
    try:
        with provider.free:
            found = list(provider.channel.send(messages))
    except Exception as error:
        log.exception("provider %s raised", provider.channel.name)
        return [Unknown(f"raised {type(error).__name__}: {error}")] * len(messages)
    if len(found) != len(messages) or not all(isinstance(one, Outcome) for one in found):
        log.error("provider %s: answered other than one outcome each", provider.channel.name)
        return [Unknown("answered other than one outcome each")] * len(messages)
    return found


def _evidence(provider: _Provider, found: Sequence[Outcome]) -> tuple[int, int]:
    """How many outcomes of one call speak for the provider, and how many against it.

    No outcome at all speaks against it: the call was broken off. Nothing does because of a permit
    that had ended, nor what was left untouched behind it.
    """
    good = begun = untouched = 0
    for outcome in found:
        verdict = None if outcome == PERMIT_ENDED else provider.served(outcome)
        if verdict is False and isinstance(outcome, Retry) and not outcome.counted:
            untouched = 1
        elif verdict is not None:
            good += verdict
            begun += not verdict
    if PERMIT_ENDED in found:
        return good, begun
    return good, max(begun, untouched, 0 if found else 1)


def _named(outcome: Outcome, name: str) -> Outcome:
    """The outcome with the provider's name before its text."""
    match outcome:
        case Accepted(ref=ref, arrived=arrived):
            return Accepted(name if ref is None else f"{name}: {ref}", arrived)
        case Retry(why=why, after_ms=after_ms, counted=counted):
            return Retry(f"{name}: {why}", after_ms, counted)
        case Rejected(why=why):
            return replace(outcome, why=f"{name}: {why}")
        case Unknown(why=why):
            return Unknown(f"{name}: {why}")


def _merged(earlier: Outcome | None, later: Outcome) -> Outcome:
    """What two providers in turn make of a message, the first of which said `Retry`.

    Two retries are one: it counts if either counts, and waits for the provider that waits less.
    """
    if not isinstance(earlier, Retry) or not isinstance(later, Retry):
        return later
    waits = (earlier.after_ms or 0, later.after_ms or 0)
    counted = earlier.counted or later.counted
    why = f"{earlier.why}; {later.why}"
    return Retry(why, None if 0 in waits else min(waits), counted)
