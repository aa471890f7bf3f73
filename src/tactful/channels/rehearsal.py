"""Test addresses: what a message to them does is in their name, and nothing is sent.

    delivered@tactful.test   is accepted and delivered
    temp-fail@tactful.test   fails for now, each time it is tried
    perm-fail@tactful.test   is refused for good
    lost@tactful.test        is accepted, and does not arrive

Whatever else there is at `tactful.test` is accepted, too. The top level domain `test` is reserved
(RFC 6761): nobody can have such an address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome, Rejected, Retry
from tactful.ports import Channel

DOMAIN: Final = "tactful.test"


def answer(message: Message) -> Outcome:
    """The outcome that the address of a message names."""
    if not message.may_go():
        return PERMIT_ENDED
    name, _, domain = message.address.lower().rpartition("@")
    if domain != DOMAIN:
        name = ""
    match name:
        case "temp-fail":
            return Retry("temp-fail: a test address that is never in the mood")
        case "perm-fail":
            return Rejected("perm-fail: a test address that refuses everything")
        case "delivered":
            return Accepted(arrived=True)
        case "lost":
            return Accepted(arrived=False)
        case _:
            return Accepted()


class Rehearsal:
    """A channel by which test addresses are answered, and everything else goes on to `channel`.

    With `all_of_it` nothing goes on at all.
    """

    def __init__(self, channel: Channel, *, all_of_it: bool = False) -> None:
        self.name = channel.name
        self.address_kind = channel.address_kind
        self.concurrency = channel.concurrency
        self.batch = channel.batch
        self.inner = channel
        self._all_of_it = all_of_it

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        if self._all_of_it:
            return [answer(message) for message in messages]
        real = [m for m in messages if not m.address.lower().endswith("@" + DOMAIN)]
        if len(real) == len(messages):
            return self.inner.send(messages)
        outcomes = dict(
            zip((m.id for m in real), self.inner.send(real) if real else (), strict=True)
        )
        return [outcomes[m.id] if m.id in outcomes else answer(m) for m in messages]

    def close(self) -> None:
        """See `ports.Channel.close`."""
        self.inner.close()
