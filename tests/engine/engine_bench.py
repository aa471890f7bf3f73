"""An engine in its parts: no worker, no thread, and a clock that stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from tactful.core.model import Message, Millis, NotificationType, Outcome, Recipient
from tactful.core.rules import Rule
from tactful.engine.admission import Admission
from tactful.engine.compose import Composer
from tactful.engine.context import Context
from tactful.engine.delivering import Sent, batches, deliver
from tactful.engine.directory import Directory
from tactful.engine.dispatch import Dispatch, Job
from tactful.engine.fanout import Fanout
from tactful.engine.feedback.facts import Feedback
from tactful.engine.identity import Ids
from tactful.engine.insight import Insight
from tactful.engine.listeners import Listeners
from tactful.engine.pausing import Pausing
from tactful.engine.policies import rules_of, templates_of, types_of
from tactful.engine.recording import Recording
from tactful.engine.requests import Receipt, Request, parse_request
from tactful.engine.rulebook import Book, Rulebook
from tactful.engine.settings import Settings
from tactful.engine.timekeeper import Timekeeper
from tactful.engine.upkeep import Upkeep
from tactful.ports import Channel, Delivery, Store, Tx
from tactful.runtime.entropy import random_bits
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_225_600_000
"""2026-01-01 00:00 UTC, a Thursday."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SEEDS = count(1)  # two engines on one store must not make the same ids


class Bench:
    """All parts of one engine on one store.

    Three channels: `post` reaches everybody, `mail` those with an e-mail address, `sms` those with
    a number. `outcome` says what becomes of each message, over whichever channel it goes.
    """

    def __init__(self, store: Store, settings: Settings | None = None) -> None:
        self.store = store
        self.clock = ManualClock(START)
        self.running = 0
        self.changes = 0
        self.outcome: Callable[[Message], Outcome | None] | None = None
        self.post = CaptureChannel("post", self._answer)
        self.mail = CaptureChannel("mail", self._answer, address_kind="email")
        self.sms = CaptureChannel("sms", self._answer, address_kind="sms")
        self.channels: dict[str, Channel] = {c.name: c for c in (self.post, self.mail, self.sms)}
        self.context = Context(
            store,
            Rulebook(),
            self.channels,
            "post",
            Timekeeper(self.clock),
            Ids(random_bits(next(SEEDS))),
            settings if settings is not None else Settings(),
            self._changed,
            running=lambda: self.running,
        )
        self.composer = Composer()
        self.admission = Admission(self.context)
        self.dispatch = Dispatch(self.context)
        self.recording = Recording(self.context)
        self.fanout = Fanout(self.context)
        self.feedback = Feedback(self.context)
        self.listeners = Listeners(self.context)
        self.upkeep = Upkeep(self.context)
        self.pausing = Pausing(self.context)
        self.insight = Insight(self.context, self.composer, self.feedback)
        self.rules = rules_of(self.context)
        self.types = types_of(self.context)
        self.templates = templates_of(self.context)
        self.people = Directory(self.context)

    # What tests say most ----------------------------------------------------------------------

    def rule(self, name: str, limit: str | None, **fields: Any) -> int:
        return self.rules.put(Rule(name=name, limit=limit, **fields))

    def type(self, name: str, **fields: Any) -> int:
        return self.types.put(NotificationType(name, **fields))

    def person(self, key: str, **fields: Any) -> Recipient:
        return self.people.put(Recipient(key, **fields))

    def send(self, type_: str = "news", to: str = "ada", text: str = "w", **more: Any) -> Receipt:
        (receipt,) = self.send_all([asked(type_, to, text, **more)])
        return receipt

    def send_all(self, requests: Sequence[Request]) -> list[Receipt]:
        return self.admission.submit(requests)

    def broadcast(self, type_: str = "news", text: str = "w", **more: Any) -> Receipt:
        return self.admission.broadcast(
            parse_request(type=type_, text=text, broadcast=True, **more)
        )

    # Work -------------------------------------------------------------------------------------

    def claim(self, **how: Any) -> list[Job]:
        return self.dispatch.claim(**how).jobs

    def hand_over(self, jobs: Iterable[Job]) -> list[Sent]:
        """Send jobs, and keep what came of it from the store."""
        done: list[Sent] = []
        listed = list(jobs)
        for name, channel in self.channels.items():
            mine = [job for job in listed if job.delivery.channel == name]
            for portion in batches(mine, channel):
                done += deliver(portion, channel, self.composer, self.book, self.store)
        return done

    def vanish(self) -> list[Job]:
        """A worker claims what is due, begins to hand it over, and is never heard of again."""
        jobs = self.claim()
        with self.store.transaction() as tx:
            heads = [(job.delivery.id, job.number) for job in jobs]
            members = [(m.id, m.attempts + 1) for job in jobs for m in job.members]
            tx.begin([*heads, *members])
        return jobs

    def run(self) -> Counter[str]:
        """Everything that is due now."""
        done: Counter[str] = Counter()
        busy = True
        while busy:
            busy = self.fanout.step() > 0
            claim = self.dispatch.claim()
            if claim.jobs:
                done += self.recording.record(self.hand_over(claim.jobs))
            busy = busy or claim.seen > 0
        return done

    def at(self, offset: Millis) -> Counter[str]:
        """Be `offset` ms after the start and do what is due."""
        self.clock.set(START + offset)
        return self.run()

    # What came of it --------------------------------------------------------------------------

    @property
    def book(self) -> Book:
        with self.store.reading() as reader:
            return self.context.rulebook.current(reader)

    @property
    def now(self) -> Millis:
        return self.clock.now()

    def delivery(self, of: Receipt | str | None) -> Delivery:
        wanted = of.delivery_id if isinstance(of, Receipt) else of
        with self.store.reading() as reader:
            found = reader.delivery(wanted or "")
        assert found is not None
        return found

    def deliveries(self, **wanted: Any) -> list[Delivery]:
        with self.store.reading() as reader:
            return reader.deliveries(**wanted)

    def events(self, of: Receipt | str | None = None, **wanted: Any) -> list[str]:
        """The names of events, of one delivery or of all."""
        if of is not None:
            wanted["delivery_id"] = of.delivery_id if isinstance(of, Receipt) else of
        with self.store.reading() as reader:
            return [event.name for event in reader.events(**wanted)]

    @property
    def messages(self) -> list[Message]:
        """All that went over `post`."""
        return self.post.messages

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    @property
    def sent(self) -> list[tuple[int, str]]:
        """When (ms after the start) each text went over `post`."""
        return [(message.at - START, message.text) for message in self.messages]

    def _answer(self, message: Message) -> Outcome | None:
        return self.outcome(message) if self.outcome is not None else None

    def _changed(self) -> None:
        self.changes += 1


class Meanwhile(Store):
    """A store at whose transactions something happens first."""

    def __init__(self, store: Store, happen: Callable[[], object]) -> None:
        self._store = store
        self._happen = happen
        self.reading = store.reading  # type: ignore[method-assign]

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        self._happen()
        with self._store.transaction(durable=durable) as tx:
            yield tx


def asked(type_: str = "news", to: str = "ada", text: str = "w", **more: Any) -> Request:
    """One request in normal form."""
    return parse_request(type=type_, to=to, text=text, **more)
