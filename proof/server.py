"""`server`: PostgreSQL is killed, frozen or restarted while four workers send and others submit.

Whoever works on it goes on by itself when it is back. A submission whose answer was lost is made
again with its key.
"""

from __future__ import annotations

import threading
from random import Random

from proof.fleet import Fleet, database, wanted
from proof.machines import load
from proof.trial import LINUX, Scenario, Tally, Trial
from tactful.testing.servers.postgres import PostgresServer

WORKERS = 4
DELIVERIES = 150
"""For each time that it breaks."""

RATE = 100
WAYS = ("kill", "freeze", "restart")
PATIENCE_S = 300.0


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    size = trial.size * DELIVERIES
    never = threading.Event()
    with (
        PostgresServer() as server,
        database(server) as name,
        Fleet(server.url(name), trial.folder, trial.seed) as workers,
    ):
        for _ in range(WORKERS):
            workers.start(workers.url)
        workers.await_begun()
        changing = workers.change_rules()
        submitting = workers.submit(wanted(size, draw), size / RATE)
        for number in range(trial.size):
            never.wait(draw.uniform(0.3, 1.5))
            strike(server, WAYS[number % len(WAYS)], draw.uniform(0.0, 1.5))
            tally.points += 1
        submitting.join()
        workers.drain(PATIENCE_S + size / RATE)
        changing.join()
        workers.judge(size, "server", tally)
    tally.notes.append(f"{size:,} deliveries, {load()}")


def strike(server: PostgresServer, way: str, for_s: float) -> None:
    """Break it for so long."""
    never = threading.Event()
    if way == "freeze":
        server.pause()
        never.wait(for_s)
        server.resume()
        return
    if way == "kill":
        server.kill()
    else:
        server.stop()
    never.wait(for_s)
    server.start()


SCENARIO = Scenario(
    "server",
    "PostgreSQL may be killed, frozen and restarted: nothing is lost, and nothing is over.",
    {"small": 3, "full": 20, "soak": 1_000},
    play,
    (LINUX,),
)
