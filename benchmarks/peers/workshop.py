"""Where a measurement is made: servers that start when they are first needed, and programs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
from benchmarks.end_to_end import HTML, TEXT, items, smtp_sink
from benchmarks.on_postgres import SETTINGS
from benchmarks.peers.environments import PROGRAMS, Unavailable, prepare
from benchmarks.peers.programs.measuring import JOB_VARIABLE

from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import ServerError
from tactful.testing.servers.valkey import ValkeyServer

TEMPLATE = {"subject": "Order {{ order }} is on its way", "text": TEXT, "html": HTML}
PER_RECIPIENT = 4
WARM_UP = 100
PATIENCE_S = 600


class Failed(Exception):  # an outcome to print, not a fault of this program
    """A peer was there, but its program did not get to the end."""


class Workshop:
    """Starts what a trial needs and runs its program; a context manager that ends the servers."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._valkey: ValkeyServer | None = None
        self._postgres: PostgresServer | None = None
        self._databases = 0
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def valkey(self) -> ValkeyServer:
        """An empty Valkey that keeps nothing on disk; raises `Unavailable`."""
        if self._valkey is None:
            try:
                self._valkey = self._stack.enter_context(ValkeyServer())
            except ServerError as error:
                raise Unavailable(f"no Valkey: {_first_line(error)}") from error
        told = _told(self._valkey, "FLUSHALL", "INFO server")
        self.versions["valkey"] = told.partition("valkey_version:")[2].partition("\r\n")[0]
        return self._valkey

    def postgres(self) -> PostgresServer:
        """A server that forces its commits to the disk; raises `Unavailable`."""
        if self._postgres is None:
            try:
                self._postgres = self._stack.enter_context(
                    PostgresServer(durable=True, settings=SETTINGS)
                )
            except ServerError as error:
                raise Unavailable(f"no PostgreSQL: {_first_line(error)}") from error
            with psycopg.connect(self._postgres.url()) as connection:
                row = connection.execute("SHOW server_version").fetchone()
                self.versions["postgresql"] = row[0] if row else "unknown"
        return self._postgres

    def pipeline(
        self, program: str, database: str, count: int, variant: str = "", broker: bool = False
    ) -> dict[str, Any]:
        """Runs a program that sends `count` mails; gives its figures, for each mail."""
        every = [
            item for portion in items(count, max(1, count // PER_RECIPIENT)) for item in portion
        ]
        job: dict[str, Any] = {"variant": variant}
        servers = {}
        if broker:
            job["broker"], servers["broker"] = self.valkey().url(), self.valkey().pid
        with tempfile.TemporaryDirectory() as name, smtp_sink("c") as port:
            if database == "PostgreSQL":
                self._databases += 1
                self.postgres().create_database(f"peer{self._databases}")
                job["database"] = self.postgres().url(f"peer{self._databases}")
                servers["database"] = self.postgres().pid
            else:
                job["database"] = str(Path(name) / "peer.db")
            job |= {
                "mails": every,
                "warm_up": [item | {"to": f"warm-{item['to']}"} for item in every[:WARM_UP]],
                "template": TEMPLATE,
                "smtp_port": port,
                "servers": servers,
            }
            found = self.run(program, Path(name), job)
        return {
            "count": count,
            "processes": found["processes"],
            "wall_s": round(found["wall_s"], 2),
            "per_second": round(count / found["wall_s"]),
            "cpu_us_each": {
                what: round(seconds / count * 1e6) for what, seconds in found["cpu_s"].items()
            },
            "python": found["python"],
            "packages": found["packages"],
        }

    def decisions(self, program: str, job: dict[str, Any]) -> dict[str, Any]:
        """Runs a program that decides; gives its figures."""
        if job["store"] == "valkey":
            job = job | {"broker": self.valkey().url()}
        with tempfile.TemporaryDirectory() as name:
            return self.run(program, Path(name), job | {"folder": name})

    def run(self, program: str, folder: Path, job: Mapping[str, Any]) -> dict[str, Any]:
        """The figures that a program prints; raises `Unavailable` or `Failed`."""
        environment = prepare(program)
        file = folder / "job.json"
        file.write_text(json.dumps(job), "utf-8")
        clean = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
        process = subprocess.Popen(
            [environment.python, f"{program}.py"],
            cwd=PROGRAMS,
            env=clean | {JOB_VARIABLE: str(file), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its workers can be ended with it
        )
        try:
            output, trouble = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not done after {PATIENCE_S} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        lines = output.strip().splitlines()
        if process.returncode != 0 or not lines:
            print(trouble, file=sys.stderr)
            ending = trouble.strip().splitlines() or ["it said nothing"]
            raise Failed(f"ended with {process.returncode}: {ending[-1]}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found | {"python": environment.version, "packages": environment.packages}


def _told(server: ValkeyServer, *commands: str) -> str:
    """What the server says to some commands; the libraries to talk to it are the peers'."""
    url = urlsplit(server.url())
    words = "\r\n".join((f"AUTH {url.password}", *commands, "QUIT", ""))
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as line:
        line.sendall(words.encode())
        return b"".join(iter(lambda: line.recv(65_536), b"")).decode()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
