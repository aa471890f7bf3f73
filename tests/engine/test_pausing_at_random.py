"""Whatever is submitted, paused and resumed: limits hold, and nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from engine_bench import HOUR, MINUTE, START, Bench

from tactful.core.model import Recipient, Retry, State
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings

PEOPLE = ("ada", "bob", "cy")
WINDOW = 10 * MINUTE
ENDS = {State.DELIVERED, State.DIGESTED, State.SUPERSEDED}


class World:
    """Two engines on one store, of which one pauses and the other may be the one that sends."""

    def __init__(self, bench: Bench, other: Bench, dice: Random) -> None:
        self.engines = (bench, other)
        self.dice = dice
        self.now = START
        self.most = 2
        self.paused: set[str] = set()
        self.asked: list[Receipt] = []
        self.early: list[str] = []
        bench.people.put_many(Recipient(name) for name in PEOPLE)
        self.rule()

    @property
    def one(self) -> Bench:
        return self.engines[self.dice.random() < 0.5]

    def rule(self) -> None:
        """The limit in force is never above three; what is over it waits in one of four ways."""
        bench = self.one
        self.most = self.dice.choice((1, 2, 3))
        for name, way in (("news", "defer"), ("like", "digest"), ("chat", "collapse")):
            bench.rule(name, f"{self.most}/10min", types=[name], on_limit=way)

    def submit(self) -> None:
        type_ = self.dice.choice(("news", "like", "chat", "free"))
        more = {"ttl": "100d"}
        if self.dice.random() < 0.3:
            more["priority"] = self.dice.choice(("low", "high"))
        bench = self.one
        if self.dice.random() < 0.3:
            self.asked.append(bench.broadcast(type_, **more))
        else:
            to = self.dice.choice(PEOPLE)
            self.asked.append(bench.send(type_, to, collapse_key="room", **more))

    def pause(self) -> None:
        wanted = self.dice.choice(self.asked).notification_id
        self.one.pausing.pause(wanted)
        with self.one.store.reading() as reader:
            self.paused = {one.id for one in reader.paused_notifications()}

    def resume(self) -> None:
        if self.paused:
            wanted = self.dice.choice(sorted(self.paused))
            self.one.pausing.resume(wanted)
            self.paused.discard(wanted)

    def work(self) -> None:
        """Whatever is due, on one of the engines; sometimes the other end is busy."""
        bench = self.one
        before = len(bench.messages)
        if self.dice.random() < 0.2:
            bench.outcome = lambda _: (
                Retry("busy", counted=False) if self.dice.random() < 0.5 else None
            )
        bench.run()
        bench.outcome = None
        self.early += [
            message.id
            for message in bench.messages[before:]
            if message.notification_id in self.paused
        ]

    def wait(self) -> None:
        self.later(self.dice.choice((0, MINUTE, 7 * MINUTE, 10 * MINUTE)))

    def end(self) -> None:
        for wanted in sorted(self.paused):
            self.one.pausing.resume(wanted)
        self.paused.clear()
        bench = self.engines[0]
        for _ in range(400):
            self.later(10 * MINUTE)
            bench.run()
            if {row.state for row in bench.deliveries(limit=10_000)} <= ENDS:
                break
        self.later(72 * HOUR)
        bench.run()

    def later(self, span: int) -> None:
        self.now += span
        for bench in self.engines:
            bench.clock.set(self.now)


def crowds(bench: Bench) -> Counter[tuple[str, str]]:
    """The fullest window of each person and type, by the ledger alone."""
    most: Counter[tuple[str, str]] = Counter()
    with bench.store.reading() as reader:
        history = reader.history(PEOPLE, 0)
    for person, entries in history.items():
        for at, kind in entries:
            inside = sum(
                at - WINDOW < other.at <= at and other.kind.type == kind.type for other in entries
            )
            most[person, kind.type] = max(most[person, kind.type], inside)
    return most


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(6, 40))]
)
def test_nothing_is_over_the_limit_lost_or_sent_while_it_is_paused(
    bench: Bench, make_bench: Callable[[Settings], Bench], seed: int
) -> None:
    dice = Random(seed)
    world = World(bench, make_bench(Settings()), dice)
    allowed = world.most
    world.submit()
    moves = (world.submit, world.submit, world.pause, world.resume, world.work, world.wait)
    for _ in range(60):
        dice.choice(moves)()
        if dice.random() < 0.05:
            world.rule()
            allowed = max(allowed, world.most)
    assert world.early == [], f"seed {seed}"
    world.end()

    assert world.early == [], f"seed {seed}"
    rows = bench.deliveries(limit=10_000)
    assert {row.state for row in rows} <= ENDS, f"seed {seed}"
    reached = Counter(row.notification_id for row in rows)
    for asked in world.asked:
        expected = 1 if asked.delivery_id else len(PEOPLE)
        assert reached[asked.notification_id] == expected, f"seed {seed}"
    messages = [message.id for engine in world.engines for message in engine.messages]
    arrived = Counter(row.id for row in rows if row.state is State.DELIVERED)
    assert arrived <= Counter(messages), f"seed {seed}"
    for (person, type_), most in crowds(bench).items():
        assert type_ == "free" or most <= allowed, f"seed {seed}: {person} had {most} {type_}"


def test_pausing_and_resuming_beside_those_who_send_loses_and_repeats_nothing(
    bench: Bench, make_bench: Callable[[Settings], Bench]
) -> None:
    """Two engines send while a third changes its mind again and again."""
    people = [f"p{n:03}" for n in range(120)]
    bench.people.put_many(Recipient(name) for name in people)
    receipt = bench.broadcast(text="all", ttl="100d")
    senders = [make_bench(Settings(batch=7)) for _ in range(2)]
    done = threading.Event()
    wrong: list[BaseException] = []

    def work(engine: Bench) -> None:
        try:
            while not done.is_set():
                engine.fanout.step(9)
                engine.recording.record(engine.hand_over(engine.claim()))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(engine,)) for engine in senders]
    for thread in threads:
        thread.start()
    for _ in range(15):
        bench.pausing.pause(receipt.notification_id)
        at_rest = {d.id for d in bench.deliveries(state=State.QUEUED)}
        at_rest |= {d.id for d in bench.deliveries(state=State.DEFERRED)}
        before = len(at_rest & {m.id for one in senders for m in one.messages})
        assert all(bench.delivery(one).paused for one in at_rest)
        assert before == len(at_rest & {m.id for one in senders for m in one.messages})
        bench.pausing.resume(receipt.notification_id)
    done.set()
    for thread in threads:
        thread.join()
    bench.clock.set(START + HOUR)
    bench.run()

    assert wrong == []
    everybody = [m.recipient for one in (bench, *senders) for m in one.messages]
    assert sorted(everybody) == people
