"""Faults on purpose: the N-th call to a store or a channel fails, before or after its effect.

    plan = Plan(17, when="after", error=Crash)
    app = Tactful(FaultyStore(MemoryStore(), plan), channels=[FaultyChannel(post, plan)])

Run a scenario with 1, 2, 3, ... until `plan.fired` stays empty: then every call has failed once.
After each run a history must still be right (`tactful.testing.checker`).

Counted are all verbs of readings and transactions, their begin and their end, `join`, each `send`
of a channel and each message in it. A commit that fails *after* its effect has happened and its
caller does not know; so has a message that was handed over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, cast

from tactful.core.errors import Unavailable
from tactful.core.model import Message, Millis, Outcome
from tactful.ports import Channel, Hear, Reader, Store, Tx

When: TypeAlias = Literal["before", "after"]


class Fault(Unavailable):
    """A call failed, and its caller goes on living."""


class Crash(BaseException):
    """The process ends here: whoever catches it throws the engine away and opens another one."""


class Plan:
    """Which call fails: the `at`-th (from 1), `before` or `after` its effect; 0 is none.

    `fired` names the call that did, "" as long as none has. Stores and channels that share a plan
    are counted together. Safe to use from many threads.
    """

    def __init__(
        self, at: int = 0, *, when: When = "before", error: type[BaseException] = Fault
    ) -> None:
        self.at = at
        self.when = when
        self.error = error
        self.calls = 0
        self.fired = ""
        self._name = ""
        self._lock = threading.Lock()

    def fail(
        self,
        name: str = "",
        *,
        ahead: int = 1,
        when: When = "before",
        error: type[BaseException] = Fault,
    ) -> None:
        """Let a call fail that is still to come: the next of this name, or the one so far ahead."""
        self._name, self.when, self.error = name, when, error
        self.at = 0 if name else self.calls + ahead
        self.fired = ""

    def rest(self) -> None:
        """Let nothing more fail, and forget what did."""
        self.at, self._name, self.fired = 0, "", ""

    def enter(self, call: str) -> int:
        """A call begins; gives its number."""
        with self._lock:
            self.calls += 1
            number = self.calls
            if call == self._name:
                self.at, self._name = number, ""
        self._fail(number, "before", call)
        return number

    def leave(self, number: int, call: str) -> None:
        """The call of this number has had its effect."""
        self._fail(number, "after", call)

    def _fail(self, number: int, when: When, call: str) -> None:
        if number == self.at and when == self.when:
            self.fired = f"{when} {call} (call {number})"
            raise self.error(self.fired)


class _Verbs:
    """A reading or a transaction whose verbs are counted."""

    def __init__(self, inner: Reader, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._inner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            number = self._plan.enter(name)
            answer = verb(*arguments, **named)
            self._plan.leave(number, name)
            return answer

        return counted


class FaultyStore:
    """A `Store` that works on another one until its plan says otherwise."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.url = store.url
        self.inner = store
        self._plan = plan

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        """See `ports.Store.transaction`."""
        number = self._plan.enter("begin")
        with self.inner.transaction(durable=durable) as tx:
            self._plan.leave(number, "begin")
            yield cast("Tx", _Verbs(tx, self._plan))
            number = self._plan.enter("commit")
        self._plan.leave(number, "commit")

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """See `ports.Store.reading`."""
        number = self._plan.enter("reading")
        with self.inner.reading() as reader:
            yield cast("Reader", _Verbs(reader, self._plan))
        self._plan.leave(number, "reading")

    def time(self) -> Millis | None:
        """See `ports.Store.time`."""
        return self.inner.time()

    def listen(self, hear: Hear) -> None:
        """See `ports.Store.listen`."""
        self.inner.listen(hear)

    def join(self, owner: str) -> None:
        """See `ports.Store.join`."""
        number = self._plan.enter("join")
        self.inner.join(owner)
        self._plan.leave(number, "join")

    def gone(self, owners: Collection[str]) -> set[str]:
        """See `ports.Store.gone`."""
        number = self._plan.enter("gone")
        found = self.inner.gone(owners)
        self._plan.leave(number, "gone")
        return found

    def close(self) -> None:
        """See `ports.Store.close`; never fails."""
        self.inner.close()


class FaultyChannel:
    """A `Channel` that hands over one by one, so that a fault can come between any two messages."""

    def __init__(self, channel: Channel, plan: Plan) -> None:
        self.name = channel.name
        self.address_kind = channel.address_kind
        self.concurrency = channel.concurrency
        self.batch = channel.batch
        self.inner = channel
        self._plan = plan

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `ports.Channel.send`."""
        outcomes: list[Outcome] = []
        call = self._plan.enter("send")
        for place, message in enumerate(messages, 1):
            name = f"message {place} of {len(messages)}"
            number = self._plan.enter(name)
            outcomes += self.inner.send([message])
            self._plan.leave(number, name)
        self._plan.leave(call, "send")
        return outcomes

    def close(self) -> None:
        """See `ports.Channel.close`; never fails."""
        self.inner.close()
