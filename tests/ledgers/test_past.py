"""Histories through a ledger are those of the store, whatever happens to either of them.

On a real PostgreSQL and a real Valkey. The oracle is the table of attempts itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import psycopg
import pytest
import valkey

from tactful import Rule, Settings, Tactful
from tactful.core.errors import ConfigError, Contended, Unavailable
from tactful.core.model import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Entry,
    Kind,
    Message,
    Millis,
    Recipient,
    State,
)
from tactful.engine.histories import MOST, REST_MS, Histories, Past
from tactful.ledgers.settled import SettledHistories
from tactful.ports import SETTLED_MS, Ledger, Settled, Verdict
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.store import PostgresStore
from tactful.telemetry.samples import Samples
from tactful.telemetry.timings import Timings
from tactful.testing import CaptureChannel, ManualClock
from tactful.testing.contracts.store.rows import T0, add, delivery, result, row_id, send
from tactful.testing.servers.valkey import ValkeyServer

PEOPLE = ("ada", "bob", "cy@example.com", "dan@example.com")
WINDOW = 2 * HOUR
SEEDS = range(12)
STEPS = 500


@pytest.fixture
def store(used_store_url: str) -> Iterator[PostgresStore]:
    opened = PostgresStore(used_store_url)
    yield opened
    opened.close()


@pytest.fixture
def ledger(server: ValkeyServer, client: valkey.Valkey) -> Iterator[SettledHistories]:
    client.flushdb()  # the databases of the tests are emptied by hand, and used again
    made = SettledHistories(server.url(), timeout_ms=1_000)
    yield made
    made.close()


class World:
    """A store to which everything happens that changes histories, and readers of two processes."""

    def __init__(self, store: PostgresStore, ledger: Ledger, seed: int) -> None:
        self.store, self.random = store, Random(seed)
        self.now, self.count = T0, 0
        self.readers = [Past(ledger, least=1), Past(ledger, least=3)]
        self.late: list[tuple[Past, Histories]] = []
        self.attempts: list[tuple[int, int, str, Millis]] = []
        self.owned: dict[str, str] = {}
        self.pruned: Millis = 0

    def step(self, forget: Callable[[], object]) -> None:
        happens = [self.send] * 9 + [self.wait] * 6 + [self.read] * 20
        happens += [self.refuse, self.refuse, self.give_back, self.take_over, self.turn_back]
        happens += [self.keep_late, self.prune]
        if self.random.random() < 0.02:
            forget()
        self.random.choice(happens)()

    def wait(self) -> None:
        self.now += self.random.choice((1, SECOND, MINUTE, SETTLED_MS, 10 * MINUTE))

    def send(self) -> None:
        who = self.random.choice(PEOPLE)
        self.count += 1
        owner = self.owned.get(who, who)
        add(self.store, delivery(self.count, recipient=owner))
        kind = Kind(self.random.choice(("news", "offer")), "default", "post", 1)
        with self.store.transaction() as tx:
            tx.guard([owner])
            tx.set_clock(self.now)
            send(tx, self.count, recipient=owner, at=self.now, kind=kind)
        self.attempts.append((self.count, 1, owner, self.now))

    def refuse(self) -> None:
        self._judge(known=True)

    def give_back(self) -> None:
        self._judge(known=False)

    def _judge(self, *, known: bool) -> None:
        """An attempt counts no more, an old one or a young one."""
        if self.attempts:
            place = self.random.choice((-1, self.random.randrange(len(self.attempts))))
            number, attempt, who, at = self.attempts.pop(place)
            said = Verdict(row_id(number), attempt, who, at if known else 0, "x", None, False)
            with self.store.transaction() as tx:
                tx.set_clock(self.now)
                tx.settle([result(number, State.FAILED, at=self.now)], [said])

    def take_over(self) -> None:
        """An address gets an owner: what was sent there counts for them."""
        free = [who for who in PEOPLE if "@" in who and who not in self.owned]
        if free:
            who = self.random.choice(free)
            owner = self.owned[who] = self.random.choice(("ada", "bob"))
            mine = {a: o for a, o in self.owned.items() if o == owner}
            addresses = {f"post{place}": address for place, address in enumerate(mine)}
            with self.store.transaction() as tx:
                tx.put_recipients([Recipient(owner, addresses=addresses)])
            self.attempts = [(n, a, owner if w == who else w, t) for n, a, w, t in self.attempts]

    def turn_back(self) -> None:
        """The clock was wrong by this much."""
        ahead = self.random.choice((MINUTE, HOUR))
        if self.now - ahead - WINDOW < self.pruned:
            return  # what was pruned is needed again: the engine keeps a day more for that
        with self.store.transaction() as tx:
            self.now -= ahead
            tx.turn_back(self.now, ahead_ms=ahead)
            tx.set_clock(self.now)

    def prune(self) -> None:
        before = self.now - WINDOW - HOUR
        self.pruned = max(self.pruned, before)
        with self.store.transaction() as tx:
            tx.prune(0, before, 10)

    def keep_late(self) -> None:
        """What was read a while ago is kept only now."""
        while self.late:
            past, found = self.late.pop()
            past.keep(found, HOUR)

    def read(self) -> None:
        past = self.random.choice(self.readers)
        people = self.random.sample(PEOPLE, self.random.randint(1, 4))
        reach = self.random.choice((MINUTE, HOUR))
        longest = self.random.choice((HOUR, HOUR, WINDOW))
        with self.store.transaction() as tx:
            tx.guard(people)
            tx.set_clock(self.now)
            found = past.read(tx, people, self.now, reach, longest)
            expected = tx.history(people, self.now - longest)
        assert in_order(found.of) == in_order(expected)
        if self.random.random() < 0.3:
            self.late.append((past, found))
        else:
            past.keep(found, HOUR)


def in_order(histories: Mapping[str, Sequence[Entry]]) -> Mapping[str, Sequence[Entry]]:
    """Those of one instant come in any order; that instants ascend is for the contract to say."""
    return {who: sorted(entries) for who, entries in histories.items() if entries}


class Counting:
    """A ledger that counts what it could say."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self.hits, self.asked = ledger, 0, 0
        self.where = ledger.where

    def load(self, editions: Mapping[str, int]) -> dict[str, Settled]:
        found = self._ledger.load(editions)
        self.asked += len(editions)
        self.hits += sum(1 for part in found.values() if part.entries)
        return found

    def keep(self, histories: Mapping[str, tuple[int, Settled]], for_ms: Millis) -> None:
        self._ledger.keep(histories, for_ms)

    def close(self) -> None:
        self._ledger.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_read_through_a_ledger_is_what_counts(
    store: PostgresStore, ledger: SettledHistories, client: valkey.Valkey, seed: int
) -> None:
    counting = Counting(ledger)
    world = World(store, counting, seed)
    for _ in range(STEPS):
        world.step(client.flushdb)

    assert counting.hits > 30, f"seed {seed}: the ledger was hardly believed"
    assert counting.asked > counting.hits


class Steps:
    """A clock that only runs when it is told to."""

    def __init__(self) -> None:
        self.now: Millis = 0

    def __call__(self) -> Millis:
        return self.now


class Broken:
    """A ledger that cannot be reached."""

    where = "nowhere"

    def __init__(self) -> None:
        self.asked = 0

    def load(self, editions: Mapping[str, int]) -> dict[str, Settled]:
        self.asked += 1
        raise Unavailable("ledger: nobody there")

    def keep(self, histories: Mapping[str, tuple[int, Settled]], for_ms: Millis) -> None:
        self.asked += 1
        raise Unavailable("ledger: nobody there")

    def close(self) -> None:
        pass


def read(store: PostgresStore, past: Past, now: Millis) -> Histories:
    with store.transaction() as tx:
        tx.guard(["ada"])
        tx.set_clock(now)
        return past.read(tx, ["ada"], now, DAY, DAY)


def fill(store: PostgresStore, count: int) -> None:
    """So many attempts for ada, a minute apart, the last one at T0."""
    add(store, *(delivery(number) for number in range(count)))
    with store.transaction() as tx:
        for number in range(count):
            send(tx, number, at=T0 - number * MINUTE)


def test_what_is_out_of_reach_is_left_alone_for_a_while(
    store: PostgresStore, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 40)
    broken, clock = Broken(), Steps()
    past = Past(broken, clock)
    found = read(store, past, T0 + HOUR)
    assert (len(found.of["ada"]), broken.asked) == (40, 1)
    past.keep(found, HOUR)
    clock.now = REST_MS - 1
    assert len(read(store, past, T0 + HOUR).of["ada"]) == 40
    assert broken.asked == 1
    assert "ledger: nobody there; histories are read from the store for 5 s" in caplog.text

    clock.now = REST_MS
    assert len(read(store, past, T0 + HOUR).of["ada"]) == 40
    assert broken.asked == 2
    clock.now = 2 * REST_MS
    past.keep(found, HOUR)
    assert broken.asked == 3


def test_few_are_not_kept_and_what_came_is_kept_once_it_is_enough(store: PostgresStore) -> None:
    now = T0 + SETTLED_MS
    fill(store, 15)
    past = Past(Broken(), Steps())
    assert read(store, past, now).worth_keeping == {}
    add(store, delivery(100))
    with store.transaction() as tx:
        send(tx, 100, at=T0)
    ((edition, part),) = read(store, past, now).worth_keeping.values()
    assert (part.since, part.until, len(part.entries)) == (now - DAY, now - SETTLED_MS, 16)
    assert isinstance(edition, int)


def test_a_clock_that_is_set_forward_meanwhile_is_noticed(store: PostgresStore) -> None:
    past = Past(Broken(), Steps())
    with store.transaction() as tx:
        tx.guard(["ada"])
        tx.set_clock(T0 + HOUR)
        with pytest.raises(Contended, match="the clock was set forward"):
            past.read(tx, ["ada"], T0, DAY, DAY)


def test_a_store_without_editions_is_read_as_ever() -> None:
    store, broken = MemoryStore(), Broken()
    add(store, delivery(1))
    with store.transaction() as tx:
        send(tx, 1)
        found = Past(broken, Steps()).read(tx, ["ada"], T0, DAY, DAY)
    assert (len(found.of["ada"]), found.worth_keeping, broken.asked) == (1, {}, 0)


@pytest.mark.parametrize("trouble", ["none", "dies", "hangs", "forgets"])
def test_an_engine_keeps_its_limits_whatever_becomes_of_its_ledger(
    used_store_url: str, trouble: str
) -> None:
    """Under long windows, of which most is settled."""
    clock, post, timings = ManualClock(T0), CaptureChannel("post"), Timings()
    with ValkeyServer() as server:
        ledger = SettledHistories(server.url(), timeout_ms=200 if trouble == "hangs" else 1_000)
        app = Tactful(used_store_url, channels=[post], clock=clock, ledger=ledger, probe=timings)
        app.rules.put(Rule("all", "40/2h"), Rule("news", "25/3h", types=["news"]))
        for step in range(60):
            if step == 30 and trouble == "dies":
                server.kill()
            elif step == 30 and trouble == "hangs":
                server.pause()
            elif step == 30 and trouble == "forgets":
                valkey.Valkey.from_url(server.url()).flushdb()
            app.send_many(
                {"type": type_, "to": who, "text": str(step)}
                for who in ("ada", "bob")
                for type_ in ("news", "news", "offer")
            )
            app.tick()
            clock.advance(4 * MINUTE)
        counts = app.counts()
        app.close()

    for who in ("ada", "bob"):
        mine = [m for m in post.messages if m.recipient == who]
        assert full(mine, 2 * HOUR) == 40
        assert full([m for m in mine if m.type == "news"], 3 * HOUR) == 25
    assert counts[State.DELIVERED] == len(post.messages)
    assert sum(counts.values()) == 360
    samples = Samples()
    timings.tell(samples)
    read, errors = (samples.values[f"tactful_ledger_{n}_total"] for n in ("histories", "errors"))
    assert read["ledger",] > 20
    assert errors[()] == (1 if trouble in ("dies", "hangs") else 0)


def full(messages: Sequence[Message], window: Millis) -> int:
    """How many the fullest window holds, counted by brute force."""
    instants = sorted(message.at for message in messages)
    return max(sum(at - window < other <= at for other in instants) for at in instants)


def test_permits_must_end_before_anything_settles(used_store_url: str) -> None:
    settings = Settings(permit_ms=61_000)
    with pytest.raises(ConfigError, match=r"engine.permit \(ms\): must be at most 60000"):
        Tactful(used_store_url, settings=settings, ledger=Broken())


def test_not_all_is_kept_at_once(store: PostgresStore) -> None:
    """A call for megabytes would only end at the timeout, again and again."""
    people = [f"p{number}" for number in range(30)]
    with psycopg.connect(store.url) as connection:
        connection.execute(
            "INSERT INTO attempts SELECT 'p' || who, %s - at, who || '.' || at, 1, 'news',"
            " 'default', 'post', 1, TRUE"
            " FROM generate_series(0, 29) who, generate_series(1, 1000) at",
            (T0,),
        )
    past = Past(Broken(), Steps())
    with store.transaction() as tx:
        tx.guard(people)
        found = past.read(tx, people, T0 + HOUR, DAY, DAY)
    assert sum(map(len, found.of.values())) == 30_000
    kept = [len(part.entries) for _, part in found.worth_keeping.values()]
    assert MOST < sum(kept) <= MOST + 1_000
