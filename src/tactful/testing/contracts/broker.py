"""What every broker promises, as tests: subclass `BrokerContract`, give it a broker, run pytest.

    class TestCarrierPigeons(BrokerContract):
        def make_broker(self) -> Broker: ...
        def put(self, body, headers=None): ...      # as a stranger's program would
        def events(self): ...
        def refused(self): ...

Needs pytest. The broker should be wired to an empty server on this machine, and hand out again
after `settled_within_ms` of about a second what was not settled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tactful.core.errors import Unavailable
from tactful.ports import Broker, Incoming, Outgoing

PATIENCE_S = 20.0


def outgoing(*numbers: int) -> list[Outgoing]:
    """Events for a broker."""
    return [
        Outgoing(f"e{number}", "delivered", b'{"n": %d}' % number, "application/json")
        for number in numbers
    ]


class BrokerContract:
    """The promises of `ports.Broker`."""

    secret = "no-secret-was-given"  # noqa: S105 - what must not be shown, if there is anything
    """A password the broker was made with; it must show nowhere."""
    names_messages = True
    """Whether each message has a name, by which it is known when it comes again."""

    def make_broker(self) -> Broker:
        """A broker, each time another connection to the same server; a subclass gives it."""
        raise NotImplementedError

    def make_unreachable(self) -> Broker:
        """A broker whose server is not there, with the same password."""
        raise NotImplementedError

    def put(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Hand in a submission, as a program does that knows nothing of this one."""
        raise NotImplementedError

    def events(self) -> Sequence[tuple[str, bytes]]:
        """What was published, in its order: topics and bodies."""
        raise NotImplementedError

    def refused(self) -> Sequence[bytes]:
        """What was said about messages that were refused."""
        raise NotImplementedError

    @pytest.fixture
    def broker(self) -> Iterator[Broker]:
        """The broker under test, which was asked before anything came in; closed afterwards."""
        broker = self.make_broker()
        assert not broker.take(1, 0)
        yield broker
        broker.close()

    def taken(self, broker: Broker, count: int, limit: int = 100) -> list[Incoming]:
        """So many messages, however many calls that needs."""
        found: list[Incoming] = []
        end = time.monotonic() + PATIENCE_S
        while len(found) < count and time.monotonic() < end:
            found += broker.take(limit, 0.2)
        assert len(found) == count, [message.body for message in found]
        return found

    def test_what_was_put_is_taken_in_order_with_its_headers(self, broker: Broker) -> None:
        """Names of headers come in lower case."""
        for number in range(5):
            self.put(b"m%d" % number, {"Idempotency-Key": f"k{number}"})

        found = self.taken(broker, 5)

        assert [message.body for message in found] == [b"m0", b"m1", b"m2", b"m3", b"m4"]
        assert [m.headers["idempotency-key"] for m in found] == ["k0", "k1", "k2", "k3", "k4"]
        assert [message.tries for message in found] == [1] * 5

    def test_no_more_is_taken_than_was_asked_for(self, broker: Broker) -> None:
        """What is left is for the next call, or for somebody else."""
        for number in range(5):
            self.put(b"m%d" % number)
        other = self.make_broker()

        mine = self.taken(broker, 2, limit=2)
        theirs = self.taken(other, 3)

        assert len({message.body for message in (*mine, *theirs)}) == 5
        other.close()

    def test_what_is_done_never_comes_again(self, broker: Broker) -> None:
        """Not to anybody."""
        self.put(b"once")
        broker.done(self.taken(broker, 1))
        broker.close()

        other = self.make_broker()
        assert not other.take(10, 2.5)
        other.close()

    def test_what_nobody_settles_comes_again_under_its_name(self, broker: Broker) -> None:
        """Whoever took it may have been killed."""
        self.put(b"unsettled")
        (first,) = self.taken(broker, 1)
        broker.close()

        other = self.make_broker()
        (again,) = self.taken(other, 1)

        assert again.body == b"unsettled"
        assert again.name == first.name
        assert (again.name is not None) is self.names_messages
        other.done([again])
        other.close()

    def test_what_is_put_back_comes_again_under_its_name(self, broker: Broker) -> None:
        """And all others are not touched by that."""
        self.put(b"one")
        self.put(b"two")
        one, two = self.taken(broker, 2)
        broker.later([one], 300)
        broker.done([two])

        (again,) = self.taken(broker, 1)

        assert (again.body, again.name) == (b"one", one.name)
        broker.done([again])

    def test_what_is_refused_is_kept_with_what_is_said_about_it(self, broker: Broker) -> None:
        """And does not come again."""
        self.put(b"nonsense")
        (message,) = self.taken(broker, 1)
        broker.refuse([(message, Outgoing("r1", "unreadable", b'{"status":400}', "text/plain"))])

        assert self.refused() == [b'{"status":400}']
        assert not broker.take(10, 2.5)

    def test_equal_messages_have_different_names(self, broker: Broker) -> None:
        """They are two submissions."""
        self.put(b"same")
        self.put(b"same")

        names = {message.name for message in self.taken(broker, 2)}

        assert len(names) == (2 if self.names_messages else 1)

    def test_events_are_there_in_their_order_once_published(self, broker: Broker) -> None:
        """More than one portion of them."""
        broker.publish(outgoing(*range(250)))
        broker.publish([Outgoing("x", "endpoint.failed", b"{}", "application/json")])

        found = self.events()

        assert [body for _, body in found[:-1]] == [b'{"n": %d}' % n for n in range(250)]
        assert found[-1] == ("endpoint.failed", b"{}")

    def test_events_that_are_published_again_do_no_harm(self, broker: Broker) -> None:
        """Whoever repeats a portion repeats all of it; no first copy comes before its time."""
        broker.publish(outgoing(1, 2, 3))
        broker.publish(outgoing(1, 2, 3, 4, 5))

        bodies = [body for _, body in self.events()]

        assert list(dict.fromkeys(bodies)) == [b'{"n": %d}' % n for n in range(1, 6)]

    def test_it_can_be_closed_and_used_again(self, broker: Broker) -> None:
        """Closing lets go of connections; the next call opens what it needs."""
        broker.close()
        broker.close()
        self.put(b"later")

        broker.done(self.taken(broker, 1))
        broker.publish(outgoing(1))

    def test_nothing_to_settle_is_nothing_to_do(self, broker: Broker) -> None:
        """Empty portions are no special case."""
        broker.done([])
        broker.later([], 1)
        broker.refuse([])
        broker.publish([])

    def test_a_broker_that_is_away_is_unavailable_and_keeps_its_secret(self) -> None:
        """Whatever it is asked."""
        broker = self.make_unreachable()
        for call in (
            lambda: broker.take(1, 0),
            lambda: broker.publish(outgoing(1)),
            broker.check,
        ):
            with pytest.raises(Unavailable) as error:
                call()
            assert self.secret not in str(error.value)
        assert self.secret not in f"{broker!r} {broker} {broker.where}"
        broker.close()

    def test_it_says_what_it_is(self, broker: Broker) -> None:
        """For who looks whether all is well; its password is not part of that."""
        assert broker.check()
        assert self.secret not in f"{broker!r} {broker} {broker.where} {broker.check()}"
