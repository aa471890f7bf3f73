"""The other end of all channels: what arrived there, in the order in which it did.

The world of the simulator decides what is lost, bounces or is read. Before that a provider may
answer in its own way, and a worker may stand still with a message in its hands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tactful.core.model import (
    PERMIT_ENDED,
    Accepted,
    Kind,
    Message,
    Millis,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from tactful.sim.draws import Draws
from tactful.sim.world import SimulatedChannel
from tactful.testing.checker import Copy
from tactful.testing.faults import FaultyChannel, Plan
from tactful.testing.swarm.drawing import Case
from tactful.testing.swarm.incidents import Freeze

ATTEMPTS_MAX: Final = 200
"""Of one delivery; what is handed over more often is handed over for ever."""

_ITEM: Final = re.compile(r"<([^<>]+)>")


class NoRest(BaseException):
    """The engines are busy for ever; no engine and no store catches this."""


class OtherEnd:
    """What providers took and how they answered.

    `copies` are the messages that were taken, at the instants of their claims, `numbers` those of
    their attempts; the priorities and categories of their kinds are not told here. `answers` counts
    what else was said, for a recipient and an item; `outcomes` has what was said to each attempt.
    `stand_still` is called where a worker freezes, `claimed_at` gives the instant of a claim on the
    clock that nobody turns.
    """

    def __init__(self, case: Case, draws: Draws, now: Callable[[], Millis]) -> None:
        self.copies: list[Copy] = []
        self.numbers: list[int] = []
        self.answers: dict[tuple[str, str], Counter[str]] = {}
        self.freeze: Freeze | None = None
        self.stand_still: Callable[[Freeze], None] = lambda _: None
        self.claimed_at: Callable[[Message], Millis] = lambda message: message.at
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        self._case = case
        self._draws = draws
        self._now = now
        self._permit_ms = case.scenario.settings.permitted_until(0)

    def take(self, message: Message, channel: SimulatedChannel) -> Outcome:
        """What a provider says to one message; raises NoRest."""
        if message.attempt > ATTEMPTS_MAX:
            raise NoRest(f"{message.id} was handed over {ATTEMPTS_MAX} times")
        freeze, self.freeze = self.freeze, None
        if freeze is not None and not freeze.taken:
            self.stand_still(freeze)
        outcome = self._answer(message, channel)
        if freeze is not None and freeze.taken:
            self.stand_still(freeze)
        self.outcomes[message.id, message.attempt] = outcome
        return outcome

    def in_doubt(self, places: Sequence[int]) -> None:
        """Of these copies the sender cannot know that they arrived."""
        for place in places:
            self.copies[place] = replace(self.copies[place], ambiguous=True)

    def _answer(self, message: Message, channel: SimulatedChannel) -> Outcome:
        # The permit is looked at on a clock of the machine, which a simulation does not move.
        if self._now() - self.claimed_at(message) >= self._permit_ms:
            return PERMIT_ENDED
        way = channel.name
        items = tuple(f"{item}/{way}" for item in _ITEM.findall(message.text))
        heard = [self.answers.setdefault((message.recipient, item), Counter()) for item in items]
        own = self._own_answer(message, way)
        if own is not None and (not isinstance(own, Unknown) or own.why == "missed"):
            for counter in heard:
                counter[type(own).__name__] += 1
            return own
        (outcome,) = channel.send([message])
        if not isinstance(outcome, Accepted):
            for counter in heard:
                counter[type(outcome).__name__] += 1
            return outcome
        kind = Kind(message.type, "", way, 0)
        copy = Copy(
            message.id,
            message.recipient,
            kind,
            self.claimed_at(message),
            items,
            message.address,
            ambiguous=own is not None,
            maybe_duplicate=message.maybe_duplicate,
        )
        self.copies.append(copy)
        self.numbers.append(message.attempt)
        if own is not None:
            for counter in heard:
                counter["Unknown"] += 1
        return own or outcome

    def _own_answer(self, message: Message, way: str) -> Outcome | None:
        """What the provider answers by itself; None: it takes the message as any other."""
        chance = self._draws.about("answer", message.id, way, str(message.attempt))[0]
        odds = self._case.answers
        for share, outcome in (
            (odds.retry, Retry("busy")),
            (odds.rejected, Rejected("no such mailbox")),
            (odds.taken, Unknown("taken")),
            (odds.missed, Unknown("missed")),
        ):
            if chance < share:
                return outcome
            chance -= share
        return None


class Post:
    """One channel that leads to the other end; what was in a call that failed is in doubt."""

    address_kind: str | None = None
    concurrency = 1

    def __init__(self, channel: SimulatedChannel, batch: int, end: OtherEnd, plan: Plan) -> None:
        self.name = channel.name
        self.batch = batch
        self._end = end
        self._faulty = FaultyChannel(_Taking(channel, batch, end), plan)

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        first = len(self._end.copies)
        try:
            return self._faulty.send(messages)
        except BaseException:
            self._end.in_doubt(range(first, len(self._end.copies)))
            raise

    def close(self) -> None:
        """Nothing is open."""


class _Taking:
    """Takes messages one by one."""

    address_kind: str | None = None
    concurrency = 1

    def __init__(self, channel: SimulatedChannel, batch: int, end: OtherEnd) -> None:
        self.name = channel.name
        self.batch = batch
        self._channel = channel
        self._end = end

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [self._end.take(message, self._channel) for message in messages]

    def close(self) -> None:
        pass
