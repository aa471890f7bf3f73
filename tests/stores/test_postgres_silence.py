"""A process that stands still in the middle of its commit holds up the others for seconds."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tactful.core.errors import Unavailable
from tactful.core.model import Event
from tactful.stores.postgres.locks import EVENTS
from tactful.stores.postgres.store import PostgresStore

T0 = 1_767_225_600_000
WRITES = b"INSERT INTO events"
PATIENCE_S = 30
HELD = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"


class _Cable:
    """Between one client and the server; nothing more comes through once events were written.

    What is let through last is the statement that writes them, with a sync if one follows at once.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self.silent = threading.Event()
        self._sockets: list[socket.socket] = [self._door]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(self._to)
                self._sockets += [client, server]
                threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
                threading.Thread(target=self._asks, args=(client, server), daemon=True).start()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while got := server.recv(65_536):
                client.sendall(got)

    def _asks(self, client: socket.socket, server: socket.socket) -> None:
        """Message by message: a byte that says its kind, but for the first, and its length."""
        with contextlib.suppress(OSError, EOFError):
            first = True
            writing = written = False
            stream = client.makefile("rb")
            while True:
                kind = b"" if first else _read(stream.read(1), 1)
                size = _read(stream.read(4), 4)
                rest = stream.read(int.from_bytes(size) - 4)
                if written and kind != b"S":
                    self.silent.set()
                    return
                server.sendall(kind + size + rest)
                if written:
                    self.silent.set()
                    return
                first = False
                writing = writing or (kind == b"P" and WRITES in rest)
                written = writing and kind == b"E"


def _read(got: bytes, size: int) -> bytes:
    if len(got) < size:
        raise EOFError
    return got


@contextmanager
def cable(url: str) -> Iterator[tuple[_Cable, str]]:
    """A cable to the server of a URL, and the URL through it."""
    place = conninfo_to_dict(url)
    made = _Cable(str(place["host"]), int(str(place["port"])))
    try:
        yield made, url.replace(f":{place['port']}/", f":{made.port}/") + "?sslmode=disable"
    finally:
        made.cut()


def test_who_falls_silent_with_the_lock_of_the_events_lets_go_of_it(used_store_url: str) -> None:
    """Its server process was waiting for the commit, for as long as it would take to come."""

    def commits_in_vain() -> None:
        with contextlib.suppress(Unavailable), silent.transaction() as tx:
            tx.add_events([Event("first", "", T0)])

    with cable(used_store_url) as (between, through):
        silent, other = PostgresStore(through), PostgresStore(used_store_url)
        thread = threading.Thread(target=commits_in_vain)
        thread.start()
        assert between.silent.wait(PATIENCE_S)
        with psycopg.connect(used_store_url, autocommit=True) as look:
            while not look.execute(HELD, [EVENTS & 0xFFFFFFFF]).fetchall():
                assert thread.is_alive(), "it was to wait for its commit"
        for _ in range(2):  # who waits for a lock gives up after as long as the silent one has
            with contextlib.suppress(Unavailable), other.transaction() as tx:
                tx.add_events([Event("second", "", T0)])
                break
        with other.reading() as reader:
            said = [event.name for event in reader.events()]
    thread.join(PATIENCE_S)
    silent.close()
    other.close()

    assert said == ["second"]
