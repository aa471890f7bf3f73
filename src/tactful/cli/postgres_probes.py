"""The checks of `tactful doctor` for a store on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tactful.cli.instants import span
from tactful.cli.probes import CLOCK_FUZZ_MS, Finding, Verdict
from tactful.core.errors import ConfigError, TactfulError
from tactful.core.model import MINUTE, SECOND, Millis
from tactful.runtime.clock import SystemClock, running
from tactful.stores.chosen import postgres, schema_of

if TYPE_CHECKING:
    from tactful.stores.postgres.health import Examination, Facts

ROUND_TRIPS: Final = 20
FAR_MS: Final = 10
"""A round trip that takes longer: the server is not near, and each batch waits for several."""

IDLE_LONG_MS: Final = 30 * SECOND
OPEN_LONG_MS: Final = 10 * MINUTE
DEAD_MANY: Final = 500_000


def of_server(url: str, shown: str) -> Iterator[Finding]:
    """The server, the database and what goes on in it, read only; `shown` has no password."""
    try:
        with postgres("health:Examination")(url) as examination:
            facts = examination.facts()
            yield Finding("ok", "server", f"PostgreSQL {facts.version}")
            yield from of_facts(facts)
            yield from _way_there(examination)
        yield _tables(url, shown)
    except ConfigError as error:
        yield Finding("fail", "database", str(error), "correct that, or the key store")
    except TactfulError as error:
        advice = "check host, port, user, password, pg_hba.conf, and whether the server runs"
        yield Finding("fail", "database", f"{shown}: {error}", advice)


def of_facts(facts: Facts) -> Iterator[Finding]:
    """What is to be said about how a server is set up and what goes on in it."""
    if facts.standby:
        yield Finding("fail", "standby", "the server takes no changes", "connect to the primary")
    yield from _durability(facts)
    yield from _vacuum(facts)


def _durability(facts: Facts) -> Iterator[Finding]:
    lost = [
        (name, value, advice)
        for name, value, advice in (
            ("synchronous_commit", facts.synchronous_commit, "ALTER ROLE ... SET it to on"),
            ("fsync", facts.fsync, "set it to on in postgresql.conf, and reload"),
            ("full_page_writes", facts.full_page_writes, "set it to on, and reload"),
        )
        if value == "off"
    ]
    for name, value, advice in lost:
        found = f"{name} is {value}: a crash loses what was accepted, or damages the database"
        yield Finding("fail", "durability", found, advice)
    if not lost:
        found = f"synchronous_commit {facts.synchronous_commit}, fsync on, full_page_writes on"
        yield Finding("ok", "durability", found)


def _vacuum(facts: Facts) -> Iterator[Finding]:
    if facts.longest_idle_ms > IDLE_LONG_MS:
        many = f"{facts.idle_in_transaction} idle in transaction"
        found = f"{many}, the longest for {span(facts.longest_idle_ms)}"
        advice = "end them: they hold locks; see pg_stat_activity, set a timeout for their role"
        yield Finding("warn", "sessions", found, advice)
    else:
        yield Finding("ok", "sessions", "none stays idle in a transaction")
    if facts.oldest_transaction_ms > OPEN_LONG_MS:
        found = f"the oldest is open for {span(facts.oldest_transaction_ms)}"
        advice = "end it: dead rows cannot go before it ends; see pg_stat_activity"
        yield Finding("warn", "transactions", found, advice)
    else:
        yield Finding("ok", "transactions", "none is open for long")
    dead = f"{facts.queue_dead_rows:,} dead rows beside {facts.queue_rows:,}".replace(",", " ")
    if facts.autovacuum == "off":
        advice = "set autovacuum to on: without it the queue becomes slower and slower"
        yield Finding("warn", "queue table", f"autovacuum is off; {dead}", advice)
    elif facts.queue_dead_rows > max(DEAD_MANY, facts.queue_rows):
        advice = "end old transactions; then VACUUM due, or let autovacuum run more often"
        yield Finding("warn", "queue table", dead, advice)
    else:
        yield Finding("ok", "queue table", dead)


def _way_there(examination: Examination) -> Iterator[Finding]:
    clock = SystemClock()
    before = running()
    for _ in range(ROUND_TRIPS):
        theirs = examination.time()
    ours = clock.now()
    trip_ms = (running() - before) / ROUND_TRIPS
    found = f"{trip_ms:.1f} ms"
    if trip_ms > FAR_MS:
        yield Finding("warn", "round trip", found, "run workers near the database")
    else:
        yield Finding("ok", "round trip", found)
    yield _clocks(theirs - ours)


def _clocks(ahead_ms: Millis) -> Finding:
    verdict: Verdict = "warn" if abs(ahead_ms) > CLOCK_FUZZ_MS else "ok"
    if verdict == "ok":
        return Finding(verdict, "server's clock", "agrees with this machine's")
    found = f"{span(abs(ahead_ms))} {'ahead of' if ahead_ms > 0 else 'behind'} this machine's"
    return Finding(
        verdict, "server's clock", found, "check time synchronisation; the server's counts"
    )


def _tables(url: str, shown: str) -> Finding:
    schema = schema_of(url)
    assert schema is not None
    if schema.found == 0:
        return Finding("warn", "database", f"{shown} has no tables yet", "run tactful init")
    if schema.found < schema.newest:
        found = f"{shown} has schema {schema.found}, this program needs {schema.newest}"
        return Finding("fail", "database", found, "run tactful migrate")
    return Finding("ok", "database", shown)
