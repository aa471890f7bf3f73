"""The PostgreSQL store behind PgBouncer, which gives each transaction another session.

It has to be installed, so these are left out of `make test`: `make foreign` runs them.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tactful import Rule, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.core.errors import ConfigError
from tactful.ports import Store
from tactful.stores.postgres.locks import SENDERS
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.contracts.store import StoreContract
from tactful.testing.servers.process import PrivateServer

pytestmark = pytest.mark.foreign

SESSIONS = 3
"""So few that threads have to share them."""


class PgBouncer(PrivateServer):
    """A PgBouncer in transaction mode before one PostgreSQL server."""

    name = "pgbouncer"
    stop_signal = signal.SIGTERM
    parent_died_signal = signal.SIGQUIT

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = urlsplit(server)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://anybody@127.0.0.1:{self.port}/{database}"

    def _prepare(self) -> None:
        """All there is to it is a file, in which its port stands."""

    def _command(self) -> Sequence[str | Path]:
        server = self._server
        way = (
            f"host={server.hostname} port={server.port} user={server.username}"
            f" password={unquote(server.password or '')}"
        )
        settings = self._write_secret(
            "pgbouncer.ini",
            f"[databases]\n* = {way}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 500\n",
        )
        return [_program(), settings]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def _program() -> str:
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert found, "install pgbouncer (apt-get install pgbouncer)"
    return found


@pytest.fixture(scope="module")
def bouncer(postgres: str) -> Iterator[PgBouncer]:
    with PgBouncer(postgres) as running:
        yield running


class Databases(Protocol):
    """What the fixture `store_databases` gives."""

    def take(self) -> str: ...
    def give_back(self, url: str) -> None: ...


class TestPooledStore(StoreContract):
    """Every promise of the port."""

    databases: Databases
    bouncer: PgBouncer
    urls: list[str]

    @pytest.fixture(autouse=True)
    def _databases(self, store_databases: Databases, bouncer: PgBouncer) -> Iterator[None]:
        self.databases, self.bouncer, self.urls = store_databases, bouncer, []
        yield
        for url in self.urls:
            store_databases.give_back(url)

    def make_store(self, tmp_path: Path) -> Store:
        self.urls.append(self.databases.take())
        return pooled(self.bouncer, self.urls[-1])

    def reopen(self, store: Store) -> Store | None:
        store.close()
        return pooled(self.bouncer, store.url)


def pooled(bouncer: PgBouncer, url: str) -> PostgresStore:
    return PostgresStore(url, pool=bouncer.url(urlsplit(url).path[1:]))


def test_two_engines_share_a_few_sessions(bouncer: PgBouncer, used_store_url: str) -> None:
    """Everything goes once and within the limit."""
    channel = CaptureChannel("email", address_kind="email")
    engines = [Tactful(pooled(bouncer, used_store_url), channels=[channel]) for _ in range(2)]
    engines[0].rules.put(Rule("some", limit="3/day"))
    people = [f"person{number}@example.com" for number in range(100)]
    for engine in engines:
        engine.start()
    for turn in range(5):
        for engine in engines:
            engine.send_many([{"type": "news", "to": to, "text": f"{turn}"} for to in people])
    for engine in engines:
        engine.drain()
    with psycopg.connect(used_store_url) as look:
        sessions = look.execute(
            "SELECT count(*), count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid = %s AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            (SENDERS,),
        ).fetchall()
    for engine in engines:
        engine.close()

    assert Counter(m.address for m in channel.messages) == dict.fromkeys(people, 3)
    assert sessions == [(2, 2)], "the two senders hold their locks in sessions of their own"


def test_a_pool_of_another_database_is_refused(
    bouncer: PgBouncer, used_store_url: str, postgres_url: str
) -> None:
    elsewhere = bouncer.url(urlsplit(postgres_url).path[1:])
    with pytest.raises(ConfigError, match="store_pool: leads to another database than store"):
        PostgresStore(used_store_url, pool=elsewhere)
