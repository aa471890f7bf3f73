"""The private servers side by side, and how to look at each of them."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

import psycopg
import valkey

from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import PrivateServer
from tactful.testing.servers.valkey import ValkeyServer

PATIENCE_S = 60.0


class Case(NamedTuple):
    """A kind of server; `client` gives a question to ask over one connection, again and again."""

    make: Callable[[], PrivateServer]
    client: Callable[[str], Iterator[Callable[[], object]]]
    processes: Callable[[str], list[int]]

    def connect(self, url: str) -> AbstractContextManager[Callable[[], object]]:
        return contextmanager(self.client)(url)


def _postgres_client(url: str) -> Iterator[Callable[[], object]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda: connection.execute("SELECT 'here'").fetchone()


def _postgres_processes(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity")]


def _valkey_client(url: str) -> Iterator[Callable[[], object]]:
    with valkey.Valkey.from_url(url, single_connection_client=True) as client:
        yield client.ping


CASES = {
    "postgres": Case(PostgresServer, _postgres_client, _postgres_processes),
    "valkey": Case(ValkeyServer, _valkey_client, lambda _: []),
}


@contextmanager
def ends_of(pids: Sequence[int]) -> Iterator[Callable[[float], bool]]:
    """Gives a question: are all these processes gone, within so many seconds each?"""
    with ExitStack() as stack:
        polls = []
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:  # such as the one that served who asked for the numbers
                continue
            stack.callback(os.close, descriptor)
            polls.append(select.poll())
            polls[-1].register(descriptor, select.POLLIN)
        yield lambda seconds: all(poll.poll(seconds * 1000) for poll in polls)
