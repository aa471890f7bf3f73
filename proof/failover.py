"""`failover`: PostgreSQL's primary freezes and is killed; a synchronous standby takes over.

Everybody reaches the store by a URL with both hosts, and `target_session_attrs=read-write`. While
the primary stands still commits hang; which of them the standby has, nobody can tell whose answer
was lost. So submissions are made again with their keys.
"""

from __future__ import annotations

import threading
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from proof.fleet import Fleet, wanted
from proof.machines import load
from proof.mail_room import PATIENCE_S
from proof.on_postgres import await_that
from proof.trial import LINUX, Scenario, Tally, Trial
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import ServerError

WORKERS = 4
DELIVERIES = 600
"""For each fail-over."""

RATE = 100


class Standby(PostgresServer):
    """A server that begins as a copy of another one, and follows it."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__()
        self._password = urlsplit(primary.url()).password or ""
        self._primary = primary

    def promote(self) -> None:
        """It follows nobody any more, and takes what is written."""
        with psycopg.connect(self.url(unix_socket=True), autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def _prepare(self) -> None:
        super()._prepare()
        data = self.folder / "copy"
        trouble = self._run(
            self.programs / "pg_basebackup",
            f"--dbname={self._primary.url()}",
            f"--pgdata={data}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        if trouble:
            raise ServerError(trouble)
        (self.folder / "data").rename(self.folder / "empty")
        data.rename(self.folder / "data")


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    for number in range(trial.size):
        history(number, draw.getrandbits(32), trial, tally)
    tally.notes.append(f"{trial.size * DELIVERIES:,} deliveries, {load()}")


def history(number: int, seed: int, trial: Trial, tally: Tally) -> None:
    """One pair of servers, and one fail-over."""
    draw = Random(seed)
    folder = trial.folder / str(number)
    folder.mkdir()
    name = f"proof_{uuid4().hex}"
    with PostgresServer() as primary, Standby(primary) as standby:
        primary.create_database(name)
        PostgresStore(primary.url(name)).close()
        follow(primary)
        with Fleet(both(primary, standby, name), folder, seed) as workers:
            for _ in range(WORKERS):
                workers.start(workers.url)
            workers.await_begun()
            changing = workers.change_rules()
            submitting = workers.submit(wanted(DELIVERIES, draw), DELIVERIES / RATE)
            fail_over(primary, standby, draw)
            tally.points += 1
            submitting.join()
            workers.drain(2 * PATIENCE_S)
            changing.join()
            workers.judge(DELIVERIES, f"seed {seed}", tally)


def follow(primary: PostgresServer) -> None:
    """No commit is answered any more before the standby has it."""
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.reload()
    question = "SELECT count(*) = %s FROM pg_stat_replication WHERE sync_state = 'sync'"
    await_that(primary.url(), question, 1)


def both(primary: PostgresServer, standby: PostgresServer, name: str) -> str:
    """The URL of a database on whichever of the two takes what is written."""
    one, two = (urlsplit(server.url(name)) for server in (primary, standby))
    hosts = f"{one.netloc},{two.hostname}:{two.port}"
    return one._replace(netloc=hosts, query="target_session_attrs=read-write").geturl()


def fail_over(primary: PostgresServer, standby: Standby, draw: Random) -> None:
    never = threading.Event()
    never.wait(draw.uniform(0.5, 4))
    primary.pause()
    never.wait(draw.uniform(0, 2))
    primary.kill()
    standby.promote()


SCENARIO = Scenario(
    "failover",
    "What was accepted before the primary of PostgreSQL died is there on its synchronous standby.",
    {"small": 1, "full": 20, "soak": 200},
    play,
    (LINUX,),
)
