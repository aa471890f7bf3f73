"""A private RabbitMQ: one node with its own folder, port and Erlang port mapper.

    with RabbitServer() as server:
        connection = pika.BlockingConnection(pika.URLParameters(server.url()))

It needs RabbitMQ's programs, as Debian's `rabbitmq-server` installs them; nothing of that
installation is used but its files. A start takes about ten seconds.
"""

from __future__ import annotations

import secrets
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tactful.testing.servers.process import PrivateServer, ServerError, free_port

__all__ = ["RabbitServer"]

PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
_ANSWER_S: Final = 1.0
_GREETING: Final = b"AMQP\x00\x00\x09\x01"


class RabbitServer(PrivateServer):
    """A RabbitMQ node with one user, `test`, who may do anything."""

    name = "rabbitmq"
    stop_signal = signal.SIGTERM
    parent_died_signal = signal.SIGKILL

    def __init__(self) -> None:
        super().__init__()
        self.password = secrets.token_hex(16)
        self._ports = (0, 0)

    def url(self) -> str:
        """Where clients reach it, password included."""
        return f"amqp://test:{self.password}@127.0.0.1:{self.port}/%2F"

    def has_noted(self, name: str) -> bool:
        """Whether a quorum queue, or whatever else takes part in its log, survives a crash.

        RabbitMQ writes down where a new one lies up to a second after it has said that it is made.
        `rabbit_stream_coordinator` stands for all streams.
        """
        notes = (self.folder / "data").glob("**/names.dets")
        return any(name.encode() in file.read_bytes() for file in notes)

    def close(self) -> None:
        """Stops the server and its port mapper, and removes their folder."""
        if self._temporary is not None and self._ports[0]:
            self.stop()
            self._run(*self._environment(), "epmd", "-kill")
        super().close()

    def _prepare(self) -> None:
        if not (PROGRAMS / "rabbitmq-server").is_file():
            raise ServerError(f"no RabbitMQ found in {PROGRAMS}: install rabbitmq-server")
        self._ports = (free_port(), free_port())
        for name in ("data", "logs"):
            self._make_folder(name)
        self._own(self._write_secret("plugins", "[].\n"))
        cookie = self._write_secret(".erlang.cookie", secrets.token_hex(10))
        cookie.chmod(0o400)

    def _environment(self) -> Sequence[str]:
        mapper, distribution = self._ports
        settings = {
            "HOME": self.folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper,
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_CONF_ENV_FILE": self.folder / "none",
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOG_BASE": self.folder / "logs",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        return ["/usr/bin/env", *(f"{name}={value}" for name, value in settings.items())]

    def _command(self) -> Sequence[str | Path]:
        lines = (
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "default_user = test",
            f"default_pass = {self.password}",
            "log.console = true",
            "log.file = false",
        )
        self._write_secret("rabbitmq.conf", "".join(f"{line}\n" for line in lines))
        return [*self._environment(), PROGRAMS / "rabbitmq-server"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_S) as client:
                client.sendall(_GREETING)
                return client.recv(1) == b"\x01"
        except OSError:
            return False
