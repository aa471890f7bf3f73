"""The N-th call fails on PostgreSQL, and the server itself dies at the N-th call.

The scenario and the verdict are those of `test_nth_fault`. To start it anew for each of its calls
takes a while: the short tests let one run meet a whole series of faults instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from observed import DAY, World, postgres
from test_nth_fault import failing, play

from tactful import Settings
from tactful.core.retry import RetryPolicy
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.faults import Crash, Fault, Plan, When
from tactful.testing.servers.postgres import (
    PostgresServer,
    create_database,
    database_url,
    drop_database,
)

CALM = 30 * DAY
"""What has met faults again and again waits for long: each time it may have used up a slot."""

PATIENT = RetryPolicy(tries_max=100, crashes_max=100)

WAYS: list[tuple[When, type[BaseException]]] = [
    ("before", Fault),
    ("after", Crash),
    ("before", Crash),
    ("after", Fault),
]


class Series(Plan):
    """Something happens before the call with the number `first`, and again and again after it.

    Each distance is greater than the one before, by one: no step is met for ever.
    """

    def __init__(self, first: int, distance: int, strike: Callable[[], None]) -> None:
        super().__init__()
        self.strikes = 0
        self._next = first
        self._distance = distance
        self._strike = strike

    def rest(self) -> None:
        super().rest()
        self._next = 0

    def enter(self, call: str) -> int:
        number = super().enter(call)
        if number == self._next:
            self.strikes += 1
            self._distance += 1
            self._next = number + self._distance
            self._strike()
        return number


class FaultSeries(Plan):
    """As `Series`, with the faults of a `Plan`; the next is counted from the one before."""

    def __init__(self, first: int, distance: int, when: When, error: type[BaseException]) -> None:
        super().__init__(first, when=when, error=error)
        self.strikes = 0
        self._distance = distance

    def enter(self, call: str) -> int:
        if self.fired:
            self.fired = ""
            self.strikes += 1
            self._distance += 1
            self.at = self.calls + self._distance
        return super().enter(call)


def run(url: str, plan: Plan) -> list[str]:
    world = World(postgres(url), plan, Settings(history_ms=2 * DAY, retry=PATIENT))
    try:
        play(world)
        fired = plan.fired
        plan.rest()
        world.settle(CALM)
        plan.fired = fired
        return world.findings()
    finally:
        world.close()


@pytest.mark.parametrize(("when", "error"), WAYS)
def test_call_after_call_may_fail_on_postgres(
    when: When, error: type[BaseException], postgres_store_url: str
) -> None:
    """About every 25th, one after the other in one run; each by itself in the long tests."""
    plan = FaultSeries(7, 15, when, error)

    assert run(postgres_store_url, plan) == []
    assert plan.strikes > 20


@pytest.fixture
def run_on_postgres(postgres: str, postgres_template: str) -> Callable[[Plan], list[str]]:
    """Runs the scenario on a new database each time."""

    def run_one(plan: Plan) -> list[str]:
        name = f"tactful_{uuid4().hex}"
        create_database(postgres, name, template=postgres_template)
        try:
            return [f"{plan.fired}: {text}" for text in run(database_url(postgres, name), plan)]
        finally:
            drop_database(postgres, name)

    return run_one


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("when", "error"), WAYS)
def test_every_call_may_fail_on_postgres(
    run_on_postgres: Callable[[Plan], list[str]], when: When, error: type[BaseException]
) -> None:
    assert failing(run_on_postgres, when, error) > 900


# The server dies -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        server.create_database("template")
        PostgresStore(server.url("template")).close()
        yield server


def run_on_mortal(server: PostgresServer, first: int, distance: int) -> int:
    """Gives how often the server was killed, and started again at once."""

    def crash() -> None:
        server.kill()
        server.start()

    plan = Series(first, distance, crash)
    name = f"tactful_{uuid4().hex}"
    server.create_database(name, template="template")
    assert run(server.url(name), plan) == []
    server.drop_database(name)
    return plan.strikes


def test_the_server_may_die_at_call_after_call(mortal_server: PostgresServer) -> None:
    assert run_on_mortal(mortal_server, 10, 55) > 8


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_server_may_die_at_every_call(mortal_server: PostgresServer) -> None:
    """Every call is met: the runs begin one call after the other."""
    kills = [run_on_mortal(mortal_server, first, 30) for first in range(1, 31)]

    assert sum(kills) > 500
