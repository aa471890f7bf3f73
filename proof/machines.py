"""`machines`: four workers on two machines, whose clocks do not agree, and one PostgreSQL.

Two of the clocks are right, one is an hour ahead and one ten minutes behind: what a machine thinks
that the time is has no say. One of five rules is changed each second meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from proof.fleet import RULES, Fleet, database, wanted
from proof.networks import FAKETIME, NETWORKS, Network, clock_moved_by
from proof.trial import LINUX, ROOT, Scenario, Tally, Trial
from tactful import Rule
from tactful.testing.servers.postgres import PostgresServer

CLOCKS = ("", "+1h", "-10m", "")
SECONDS = (0, 3_600, -600, 0)
MACHINES = 2
RATE = 250
"""Submissions in a second, on average."""

PATIENCE_S = 300.0


@contextmanager
def fleet(
    trial: Trial,
    network: Network,
    rules: Sequence[Rule] = RULES,
    ledger: str = "",
    before: Callable[[Fleet], object] = lambda _: None,
) -> Iterator[Fleet]:
    """Four workers, started, on the machines; what comes `before` the rules is done first."""
    settings = {"listen_addresses": f"127.0.0.1,{network.address}"}
    with PostgresServer(settings=settings) as server:
        admit(server, network.address)
        with (
            database(server) as name,
            Fleet(
                server.url(name),
                trial.folder,
                trial.seed,
                network.address,
                rules=rules,
                ledger=ledger,
                before=before,
            ) as workers,
        ):
            far = server.url(name).replace("127.0.0.1", network.address)
            for place, clock in enumerate(CLOCKS):
                within = network.on(place % MACHINES)
                workers.start(far, within, clock_moved_by(clock))
            require_off(workers.await_begun())
            yield workers


def require_off(clocks: Sequence[int]) -> None:
    """Raise AssertionError unless the clocks really are off by what they were put to."""
    if any(abs(seen - set_) > 1 for seen, set_ in zip(clocks, SECONDS, strict=True)):
        raise AssertionError(f"the clocks are off by {clocks}, not by {SECONDS}")


def admit(server: PostgresServer, address: str) -> None:
    """Let the machines in, with the password."""
    allowed = f"host all all {address.rpartition('.')[0]}.0/24 scram-sha-256\n"
    with (server.folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as file:
        file.write(allowed)
    server.reload()


def load() -> str:
    return f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def play(trial: Trial, tally: Tally) -> None:
    with Network(MACHINES) as network, fleet(trial, network) as workers:
        changing = workers.change_rules()
        workers.submit(wanted(trial.size, Random(trial.seed)), trial.size / RATE).join()
        workers.drain(PATIENCE_S + trial.size / RATE)
        changing.join()
        tally.points += workers.changes
        report = workers.judge(trial.size, "machines", tally)
    used = {name: rule.used for name, rule in report.rules.items() if rule.used is not None}
    tally.notes.append(f"{trial.size:,} deliveries, {workers.changes} changes of rules, {load()}")
    tally.notes.append("used: " + ", ".join(f"{name} {share:.1%}" for name, share in used.items()))


SCENARIO = Scenario(
    "machines",
    "Limits hold over several machines, whatever their clocks show and however rules change.",
    {"small": 2_000, "full": 200_000, "soak": 1_000_000},
    play,
    (LINUX, ROOT, NETWORKS, FAKETIME),
)
