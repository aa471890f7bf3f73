"""What every channel promises, as tests: subclass `ChannelContract`, give it a channel, run pytest.

    class TestPigeons(ChannelContract):
        def make_channel(self) -> Channel:
            return PigeonChannel(loft=my_test_loft)

Needs pytest. The channel should be wired to a server on this machine that accepts everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome, Retry, Unknown
from tactful.core.names import name_key
from tactful.ports import Channel

MESSAGE = Message(
    id="0192f0c1a2b37c4d8e5f60718293a4b5",
    notification_id="0192f0c1a2b37c4d8e5f60718293a4b4",
    recipient="ada",
    address="ada@example.com",
    type="news",
    subject="Hello",
    text="It works.",
    html=None,
    at=1_780_315_200_000,
)


def messages(count: int) -> list[Message]:
    """Different messages to the same address."""
    return [
        replace(MESSAGE, id=f"{MESSAGE.id[:-4]}{number:04x}", subject=f"Hello {number}")
        for number in range(count)
    ]


class ChannelContract:
    """The promises of `ports.Channel`."""

    secret = "no-secret-was-given"  # noqa: S105 - what must not be shown, if there is anything
    """A password the channel was made with; it must show nowhere."""

    def make_channel(self) -> Channel:
        """A channel whose server accepts everything; a subclass gives it."""
        raise NotImplementedError

    @pytest.fixture
    def channel(self) -> Iterator[Channel]:
        """The channel under test, closed afterwards."""
        channel = self.make_channel()
        yield channel
        channel.close()

    def test_it_says_what_it_is_and_what_it_takes(self, channel: Channel) -> None:
        """A name in normal form, the kind of address it needs, and how much at once."""
        assert name_key(channel.name, "name") == channel.name
        assert channel.address_kind is None or channel.address_kind
        assert channel.concurrency >= 1
        assert channel.batch >= 1

    @pytest.mark.parametrize("count", [0, 1, 2, 37])
    def test_each_message_has_one_outcome_in_order(self, channel: Channel, count: int) -> None:
        """None is left out and none answered twice."""
        outcomes = channel.send(messages(count))

        assert len(outcomes) == count
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)

    def test_a_message_that_cannot_go_spoils_no_other(self, channel: Channel) -> None:
        """Whatever becomes of a hopeless address, its neighbours are accepted."""
        first, second, third = messages(3)
        outcomes = channel.send([first, replace(second, address="no\r\nsuch address"), third])

        assert isinstance(outcomes[0], Accepted)
        assert isinstance(outcomes[1], Outcome)
        assert not isinstance(outcomes[1], Retry | Unknown), "it will never be better"
        assert isinstance(outcomes[2], Accepted)

    def test_a_second_copy_of_a_message_is_taken_like_the_first(self, channel: Channel) -> None:
        """The engine decides about repetition, not the channel."""
        again = replace(MESSAGE, attempt=2, maybe_duplicate=True)

        assert [type(o) for o in channel.send([MESSAGE, again])] == [Accepted, Accepted]

    def test_a_message_whose_permit_has_ended_is_not_handed_over(self, channel: Channel) -> None:
        """Nothing is known against it, and its neighbours go."""
        first, second, third = messages(3)
        late = replace(second, may_go=lambda: False)

        assert channel.send([first, late, third])[1] == PERMIT_ENDED
        assert [type(outcome) for outcome in channel.send([third])] == [Accepted]

    def test_several_threads_may_send_at_once(self, channel: Channel) -> None:
        """As many as `concurrency` says."""
        with ThreadPoolExecutor(channel.concurrency) as pool:
            found = list(pool.map(channel.send, [messages(5)] * channel.concurrency))

        assert all(isinstance(outcome, Accepted) for some in found for outcome in some)

    def test_it_can_be_closed_again_and_used_again(self, channel: Channel) -> None:
        """Closing lets go of connections; the next message opens what it needs."""
        channel.send([MESSAGE])
        channel.close()
        channel.close()

        assert [type(outcome) for outcome in channel.send([MESSAGE])] == [Accepted]

    def test_it_shows_no_secret(self, channel: Channel) -> None:
        """Neither as text nor in what it answers."""
        shown = f"{channel!r} {channel} {channel.send([MESSAGE])!r}"

        assert self.secret not in shown
