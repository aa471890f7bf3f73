"""A case is played: production engines on one store, a clock that jumps, and stubborn callers.

Whoever meets an error asks again, with the same idempotency key; after a crash a new engine is
opened on the same store first. Time at the other end is the one that nobody turns: it goes on
whenever the engines' clock does, and does not go back with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, TypeVar

from tactful.app import Tactful
from tactful.core.errors import NotFound, Unavailable
from tactful.core.model import NEVER, Event, Millis, Recipient, State
from tactful.core.rules import Rule
from tactful.engine.requests import Receipt
from tactful.ports import Delivery, Store
from tactful.runtime.clock import ManualClock
from tactful.sim.draws import Draws
from tactful.sim.traffic import Arrival, arrivals
from tactful.sim.world import Fact, World
from tactful.stores.memory import MemoryStore
from tactful.testing.checker import Reign
from tactful.testing.faults import Crash, Fault, FaultyStore, Plan
from tactful.testing.swarm.archive import Archive
from tactful.testing.swarm.drawing import Case
from tactful.testing.swarm.incidents import (
    AskAgain,
    Cancel,
    ChangeRules,
    Fail,
    Freeze,
    Incident,
    Pause,
    Prune,
    Redrive,
    Register,
    Restart,
    Resume,
    Stall,
    TurnBack,
)
from tactful.testing.swarm.post import NoRest, OtherEnd, Post
from tactful.testing.swarm.seat import Seat

T = TypeVar("T")

STEPS_MAX: Final = 20_000
CALLS_MAX: Final = 100_000
"""Of the stores and channels of one run; 3,000 are usual, and 20,000 a lot."""
_PAGE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an engine: at which instant of its clock, what was asked, what was answered."""

    at: Millis
    what: str
    told: Any
    answer: Any


@dataclass(slots=True)
class Submission:
    """One submission and what its caller was told; `audience` are those of a broadcast.

    `tries` is how often it was asked for, `order` its place among all.
    """

    name: str
    fields: Mapping[str, Any]
    receipt: Receipt
    order: int
    audience: tuple[str, ...] = ()
    tries: int = 1
    replayed: bool = False
    cancelled: bool = False
    paused: bool = False


class _Bounded(Plan):
    """A plan that ends a run that would not end by itself."""

    def enter(self, call: str) -> int:
        """See `Plan.enter`; raises NoRest."""
        if self.calls >= CALLS_MAX:
            raise NoRest(f"there is still something to do after {CALLS_MAX} calls")
        return super().enter(call)


class Stage:
    """One case, its engines, and everything that can be known of it from outside."""

    def __init__(
        self,
        case: Case,
        store: Store | None = None,
        breaking: Callable[[Store], Store] = lambda store: store,
    ) -> None:
        self.case = case
        self.store = store if store is not None else MemoryStore()
        self.plan = _Bounded()
        self.clock = ManualClock(case.scenario.start)
        self.turned_ms = 0
        draws = self._draws = Draws(case.scenario.seed)
        self.world = World(case.scenario, draws, self.felt)
        self.end = OtherEnd(case, draws, self.felt)
        self.end.stand_still = self._stand_still
        self.end.claimed_at = lambda message: message.at + self.turned_ms
        self.archive = Archive(self.store)
        self.calls: list[Call] = []
        self.submissions: list[Submission] = []
        self.reigns: list[Reign] = []
        self.again: list[tuple[Submission, Receipt]] = []
        self.heard: set[int] = set()
        self.muted: list[tuple[int, str, str]] = []
        self.redriven: set[str] = set()
        self.faults = 0
        self._broken = breaking(self.store)
        self._seats: set[str] = set()
        self._opened = 0
        self._known: list[Recipient] = []
        self._traffic = arrivals(case.scenario, self.world.everyone, draws)
        self._incidents = list(case.incidents)
        self._working_since: int | None = None
        self._turn = 0
        self._engines: list[Tactful] = []
        for _ in range(case.engines):
            self._engines.append(self._open())

    def felt(self) -> Millis:
        """The instant on the clock that nobody turns."""
        return self.clock.now() + self.turned_ms

    def digest(self) -> str:
        """What happened, as a number: the same case gives the same one."""
        what = [*map(repr, self.calls), *map(repr, self.end.copies), *self.archive.lines()]
        return blake2b("\n".join(what).encode(), digest_size=16).hexdigest()

    # Engines ----------------------------------------------------------------------------------

    def _open(self) -> Tactful:
        self._opened += 1
        name = f"engine {self._opened}"
        ways = [
            Post(way, self.case.batches.get(way.name, 50), self.end, self.plan)
            for way in self.world.channels
        ]
        app = Tactful(
            FaultyStore(Seat(self._broken, name, self._seats), self.plan),
            channels=ways,
            clock=self.clock,
            settings=self.case.scenario.settings,
            seed=self.case.engine_seed(self._opened),
            owner=name,
        )
        while True:
            try:
                app.listen(self._hears, name="audit")
                return app
            except (Unavailable, Crash):
                self._fired()

    def _hears(self, event: Event) -> None:
        self.heard.add(event.seq)

    def _replace(self, place: int) -> None:
        """The engine is gone without a word, and another one takes its place."""
        gone = self._engines[place].store
        gone.close()
        self._engines[place] = self._open()

    def _fired(self) -> None:
        self.faults += 1
        self.plan.rest()

    def call(
        self, what: str, told: Any, step: Callable[[Tactful], T], place: int | None = None
    ) -> tuple[T, int]:
        """What an engine answers, and how many tries it took; the engines take turns."""
        if place is None:
            self._turn += 1
            place = self._turn % len(self._engines)
        tries = 0
        while True:
            tries += 1
            first = len(self.end.copies)
            try:
                answer = step(self._engines[place])
                break
            except Unavailable:
                self._doubt(first)
                self._fired()
            except Crash:
                self._doubt(first)
                self._fired()
                self._replace(place)
        if self.plan.fired:  # the engine has coped with it
            self._fired()
        self.calls.append(Call(self.clock.now(), what, told, answer))
        return answer, tries

    def _doubt(self, first: int) -> None:
        """Of what was handed over without an outcome that is stored, nobody knows anything."""
        places = range(first, len(self.end.copies))
        with self.store.reading() as reader:
            stored = [
                {one.number: one.outcome for one in reader.attempts(self.end.copies[place].message)}
                for place in places
            ]
        numbers = self.end.numbers
        self.end.in_doubt(
            [
                place
                for place, outcomes in zip(places, stored, strict=True)
                if outcomes.get(numbers[place]) is None
            ]
        )

    def _stand_still(self, freeze: Freeze) -> None:
        """A worker freezes; somebody new goes on, and takes over what is past its lease."""
        settings = self.case.scenario.settings
        if freeze.long:
            self._doubt(self._working_since or 0)
            self.clock.advance(settings.lease_ms + 1)
        else:
            self.clock.advance(settings.permitted_until(0) // 2)
        self.faults += 1
        self._engines.append(self._open())
        self._tick(len(self._engines) - 1)

    # Time -------------------------------------------------------------------------------------

    def play(self) -> None:
        """From the first instant to where nothing is left to do; raises NoRest."""
        scenario = self.case.scenario
        self._prepare()
        following = next(self._traffic, None)
        last = scenario.start + scenario.horizon_ms + scenario.patience_ms
        for _ in range(STEPS_MAX):
            at = self._next_at(following)
            if at is None or at > last:
                break
            self.clock.set(max(at + self._lateness(at), self.felt()) - self.turned_ms)
            while self._incidents and scenario.start + self._incidents[0].at <= self.felt():
                self._happen(self._incidents.pop(0))
            batch: list[Arrival] = []
            while following is not None and following.at <= self.felt():
                batch.append(following)
                following = next(self._traffic, None)
            self._submit(batch)
            self._tell()
            self._tick()
        else:
            raise NoRest(f"there is still something to do after {STEPS_MAX} steps")
        self.archive.look()

    def _lateness(self, at: Millis) -> Millis:
        """By how much whoever should act at this instant comes late."""
        late_ms = self.case.late_ms
        return int(self._draws.about("late", str(at))[0] * (late_ms + 1)) if late_ms else 0

    def _next_at(self, following: Arrival | None) -> Millis | None:
        with self.store.reading() as reader:
            due = reader.next_due()
        start = self.case.scenario.start
        instants = (
            following and following.at,
            self.world.next_at(),
            None if due is None else due + self.turned_ms,
            start + self._incidents[0].at if self._incidents else None,
        )
        return min((at for at in instants if at is not None and at < NEVER), default=None)

    def _tick(self, place: int | None = None) -> None:
        outer = self._working_since
        if outer is None:
            self._working_since = len(self.end.copies)
        self.call("tick", (), lambda app: dict(app.tick()), place)
        self._working_since = outer

    # Callers ----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        policies = self.case.scenario.policies
        self.call("types", policies.types, lambda app: app.types.put(*policies.types))
        self.call(
            "templates", policies.templates, lambda app: app.templates.put(*policies.templates)
        )
        self._rule(policies.rules)
        self._register(self.world.everyone.people[: self.case.registered])

    def _register(self, people: Sequence[Recipient]) -> None:
        self.call("people", tuple(people), lambda app: app.recipients.put_many(people))
        self._known += people
        for person in people:
            self.muted += [(len(self.end.copies), person.id, wish) for wish in person.mute]

    def _rule(self, rules: Sequence[Rule]) -> None:
        # A change has a millisecond of its own, also where engines wait for a clock to catch up:
        # nobody can tell afterwards on which side of it something of the same instant was.
        with self.store.transaction() as tx:
            self.clock.set(max(self.clock.now(), tx.clock()) + 1)
        self.call("rules", tuple(rules), lambda app: app.rules.apply(rules))
        self.reigns.append(Reign(len(self.end.copies), tuple(rule.to_dict() for rule in rules)))

    def _submit(self, batch: Sequence[Arrival]) -> None:
        singles = [arrival for arrival in batch if arrival.to is not None]
        for start in range(0, len(singles), 20):
            group = singles[start : start + 20]
            items: Any = [self._fields(arrival) for arrival in group]
            receipts, tries = self.call("send", items, lambda app: app.send_many(items))  # noqa: B023
            for arrival, fields, receipt in zip(group, items, receipts, strict=True):
                self._note(arrival, fields, receipt, tries)
        for arrival in batch:
            if arrival.to is None:
                everybody = tuple(person.id for person in self._known)
                fields = self._fields(arrival)
                receipt, tries = self.call(
                    "broadcast",
                    fields,
                    lambda app: app.broadcast(**fields),  # noqa: B023
                )
                self._note(arrival, fields, receipt, tries, everybody)

    def _fields(self, arrival: Arrival) -> dict[str, Any]:
        """What is submitted: each text tells which submission it is of."""
        fields = {**arrival.fields, "text": f"<{arrival.name}>"}
        if arrival.to is not None:
            fields["to"] = arrival.to
        if self.case.keyed:
            fields["idempotency_key"] = arrival.name
        return fields

    def _note(
        self,
        arrival: Arrival,
        fields: Mapping[str, Any],
        receipt: Receipt,
        tries: int,
        audience: tuple[str, ...] = (),
    ) -> None:
        self.world.names[receipt.notification_id] = arrival.name
        order = len(self.submissions)
        self.submissions.append(
            Submission(arrival.name, fields, receipt, order, audience, tries, receipt.replayed)
        )

    def _tell(self) -> None:
        """Tell the engines what has happened in the world."""
        facts = self.world.happened(self.felt())
        events = [Event(f.name, f.delivery_id, f.at) for f in facts if f.name != "unsubscribed"]
        if events:
            self.call("facts", events, lambda app: app.record_many(events))
        for fact in facts:
            if fact.name == "unsubscribed":
                self._mute(fact)

    def _mute(self, fact: Fact) -> None:
        place = next((n for n, one in enumerate(self._known) if one.id == fact.person), None)
        wish = f"category:{self.category(fact.type)}"
        if place is None or wish in self._known[place].mute:
            return
        person = replace(self._known[place], mute=(*self._known[place].mute, wish))
        self.call("wish", person, lambda app: app.recipients.put(person))
        self._known[place] = person
        self.muted.append((len(self.end.copies), person.id, wish))

    def category(self, type_: str) -> str:
        """The category of a type."""
        declared = self.case.scenario.policies.types
        return next((one.category for one in declared if one.name == type_), "default")

    # Incidents --------------------------------------------------------------------------------

    def _happen(self, incident: Incident) -> None:
        match incident:
            case ChangeRules(rules=rules):
                self._rule(rules)
            case Cancel() | Pause() | Resume():
                self._hold_back(incident)
            case Redrive(which=which):
                self._redrive(which)
            case AskAgain(which=which):
                self._ask_again(which)
            case Register(person=person):
                self._register([person])
            case Prune(keep_ms=keep_ms):
                self._prune(keep_ms)
            case Restart(which=which):
                place = int(which * len(self._engines))
                self._engines[place].close()
                self._engines[place] = self._open()
            case Fail():
                error: type[BaseException] = Crash if incident.crash else Fault
                name, ahead = (
                    (incident.call, 1) if isinstance(incident.call, str) else ("", incident.call)
                )
                self.plan.fail(name, ahead=ahead, when=incident.when, error=error)
            case Freeze():
                self.end.freeze = incident
            case TurnBack(by_ms=by_ms):
                self.clock.advance(-by_ms)
                self.turned_ms += by_ms
            case Stall(for_ms=for_ms):
                self.clock.advance(for_ms)

    def _hold_back(self, incident: Cancel | Pause | Resume) -> None:
        if isinstance(incident, Resume):
            wanted = incident.wanted
            self.call("resume", wanted, lambda app: _if_known(app.resume, wanted))
            return
        if not self.submissions:
            return
        one = self.submissions[int(incident.which * len(self.submissions))]
        wanted = one.receipt.notification_id
        if one.receipt.decision in ("reject", "suppress", "expire"):
            return
        if isinstance(incident, Cancel):
            self.call("cancel", wanted, lambda app: _if_known(app.cancel, wanted))
            one.cancelled = True
            return
        self.call("pause", wanted, lambda app: _if_known(app.pause, wanted))
        one.paused = True
        until = self.felt() - self.case.scenario.start + incident.for_ms
        self._incidents.append(Resume(until, wanted))
        self._incidents.sort(key=lambda other: other.at)

    def _prune(self, keep_ms: Millis) -> None:
        self.archive.look()
        self.call("prune", keep_ms, lambda app: app.prune(keep_ms))
        with self.store.reading() as reader:
            left = {event.seq for event in reader.events(limit=_PAGE)}
        # What was forgotten before it was told is not told any more.
        self.heard |= {event.seq for event in self.archive.events} - left

    def _redrive(self, which: float) -> None:
        given_up = [row for row in self.rows() if row.state in (State.FAILED, State.UNKNOWN)]
        if given_up:
            wanted = given_up[int(which * len(given_up))].id
            self.redriven.add(wanted)
            self.call("retry", wanted, lambda app: app.retry(wanted))

    def _ask_again(self, which: float) -> None:
        """The same key and the same body: the same answer, and nothing new."""
        if self.submissions:
            one = self.submissions[int(which * len(self.submissions))]
            fields: Any = one.fields
            receipt, tries = self.call(
                "again",
                fields,
                lambda app: app.send(**fields) if "to" in fields else app.broadcast(**fields),
            )
            one.tries += tries
            one.replayed = one.replayed or receipt.replayed
            self.again.append((one, receipt))

    def rows(self) -> list[Delivery]:
        """All deliveries that are stored."""
        with self.store.reading() as reader:
            return reader.deliveries(limit=_PAGE)


def _if_known(step: Callable[[str], int], wanted: str) -> int:
    """How many it was done to; none if it is forgotten already."""
    try:
        return step(wanted)
    except NotFound:
        return 0
