"""Faithful mode: the production engine on a virtual clock.

Only four things are replaced: where submissions come from, the clock, the channels, and the people
behind them. Admission, rules, deferral, digests, retries and recording are the engine that runs in
production, on the memory store. Time jumps from one event to the next, so an idle week costs
nothing, and what happens at one instant happens in one order. The seed decides everything, also
the ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final, TypeAlias

from tactful.app import Tactful
from tactful.core.model import NEVER, Event, Millis
from tactful.core.rules import Rule
from tactful.engine.requests import Receipt
from tactful.ports import Delivery
from tactful.runtime.clock import ManualClock
from tactful.sim.draws import Draws
from tactful.sim.scenario import Scenario
from tactful.sim.traffic import Arrival, arrivals
from tactful.sim.world import Fact, World

Progress: TypeAlias = Callable[[float], None]
"""Is told from time to time which part of the traffic is through, from 0 to 1."""

_PORTION: Final = 10_000
_TOGETHER: Final = 1_000
_PAGE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Submitted:
    """One submission and what was decided at once; `to` is None for a broadcast."""

    arrival: Arrival
    receipt: Receipt


@dataclass(slots=True)
class Run:
    """What came of a scenario.

    `sent` has the instant of each hand-over that was accepted and whom it was to, by delivery; a
    message that carried a digest counts once. `muted` has who unsubscribed from which category.
    """

    scenario: Scenario
    submitted: list[Submitted] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    sent: dict[str, tuple[Millis, str]] = field(default_factory=dict)
    muted: list[tuple[Millis, str, str, str]] = field(default_factory=list)
    ended_at: Millis = 0


def simulate(scenario: Scenario, progress: Progress | None = None) -> Run:
    """Run a scenario to its end; raises RequestError for traffic that the engine refuses."""
    return _Simulation(scenario).run(progress or (lambda _: None))


def rules_of(scenario: Scenario) -> list[Rule]:
    """The scenario's rules and the providers' own limits."""
    return [
        *scenario.policies.rules,
        *(
            Rule(f"throughput-{way.name}", way.throughput, channels=[way.name], per="channel")
            for way in scenario.channels
            if way.throughput is not None
        ),
    ]


class _Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._clock = ManualClock(scenario.start)
        self._draws = Draws(scenario.seed)
        self._world = World(scenario, self._draws, self._clock.now)
        self._app = Tactful(
            "memory://",
            channels=self._world.channels,
            clock=self._clock,
            settings=replace(scenario.settings, batch=_TOGETHER),
            seed=scenario.seed,
        )
        self._run = Run(scenario)
        self._categories = {one.name: one.category for one in scenario.policies.types}
        self._mutes: Counter[str] = Counter()

    def run(self, progress: Progress) -> Run:
        """From the first instant to the last."""
        self._prepare()
        scenario, clock = self._scenario, self._clock
        traffic = arrivals(scenario, self._world.everyone, self._draws)
        following = next(traffic, None)
        last = scenario.start + scenario.horizon_ms + scenario.patience_ms
        steps = 0
        while True:
            at = self._next_at(following)
            if at is None or at > last:
                break
            clock.set(max(at, clock.now()))
            batch: list[Arrival] = []
            while following is not None and following.at <= at:
                batch.append(following)
                following = next(traffic, None)
            self._submit(batch)
            self._tell(at)
            self._app.tick()
            steps += 1
            if steps % 64 == 0:
                progress(min(1.0, (at - scenario.start) / max(1, scenario.horizon_ms)))
        progress(1.0)
        return self._finish()

    def _prepare(self) -> None:
        app, policies = self._app, self._scenario.policies
        rules = rules_of(self._scenario)
        if policies.types:
            app.types.put(*policies.types)
        if policies.templates:
            app.templates.put(*policies.templates)
        if rules:
            app.rules.put(*rules)
        people = iter(self._world.everyone.people)
        while portion := list(islice(people, _PORTION)):
            app.recipients.put_many(portion)

    def _next_at(self, following: Arrival | None) -> Millis | None:
        with self._app.store.reading() as reader:
            due = reader.next_due()
        instants = [
            at
            for at in (following and following.at, self._world.next_at(), due)
            if at is not None and at < NEVER
        ]
        return min(instants, default=None)

    def _submit(self, batch: list[Arrival]) -> None:
        for group in _grouped(batch):
            if group[0].to is None:
                receipts = [self._app.broadcast(**dict(group[0].fields))]
            else:
                items: Any = [{**arrival.fields, "to": arrival.to} for arrival in group]
                receipts = self._app.send_many(items)
            for arrival, receipt in zip(group, receipts, strict=True):
                self._world.names[receipt.notification_id] = arrival.name
                self._run.submitted.append(Submitted(arrival, receipt))

    def _tell(self, at: Millis) -> None:
        """Tell the engine what has happened in the world."""
        facts = self._world.happened(at)
        if not facts:
            return
        self._app.record_many(
            [Event(f.name, f.delivery_id, f.at) for f in facts if f.name != "unsubscribed"]
        )
        for fact in facts:
            if fact.name == "unsubscribed":
                self._mute(fact)

    def _mute(self, fact: Fact) -> None:
        person = self._app.recipients.get(fact.person)
        category = self._categories.get(fact.type, "default")
        wish = f"category:{category}"
        if person is None or wish in person.mute:
            return
        self._app.recipients.put(replace(person, mute=(*person.mute, wish)))
        self._run.muted.append((fact.at, fact.person, fact.type, category))

    def _finish(self) -> Run:
        run = self._run
        run.sent = self._world.sent
        run.ended_at = self._clock.now()
        after = ""
        while True:
            page = self._app.deliveries(after=after, limit=_PAGE)
            run.deliveries += page
            if len(page) < _PAGE:
                break
            after = page[-1].id
        self._app.close()
        return run


def _grouped(batch: list[Arrival]) -> Iterator[list[Arrival]]:
    """Single submissions together, each broadcast by itself."""
    group: list[Arrival] = []
    for arrival in batch:
        if group and (arrival.to is None or len(group) == _TOGETHER):
            yield group
            group = []
        group.append(arrival)
        if arrival.to is None:
            yield group
            group = []
    if group:
        yield group
