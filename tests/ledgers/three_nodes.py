"""A cluster of three private Valkey servers, each with a third of the slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event
from urllib.parse import urlsplit

import valkey

from tactful.testing.servers.process import free_port
from tactful.testing.servers.valkey import ValkeyServer

SLOTS = 16_384
_PASSWORD = "shared"


class ThreeNodes:
    """The nodes in the order of their slots, and a connection to each."""

    def __init__(self, servers: list[ValkeyServer], clients: list[valkey.Valkey]) -> None:
        self.servers = servers
        self.clients = clients
        self.url = f"valkey+cluster://:{_PASSWORD}@127.0.0.1:{servers[0].port}"
        self.ids = [client.execute_command("CLUSTER MYID").decode() for client in clients]

    def holder(self, slot: int) -> int:
        """Which node was given this slot in the beginning."""
        return slot * len(self.servers) // SLOTS

    def begin_to_move(self, slot: int, source: int, target: int) -> None:
        """From now on the source sends whoever asks for keys that it lacks to the target."""
        order = "CLUSTER SETSLOT"
        self.clients[target].execute_command(order, slot, "IMPORTING", self.ids[source])
        self.clients[source].execute_command(order, slot, "MIGRATING", self.ids[target])

    def move_keys(self, slot: int, source: int, target: int) -> None:
        keys = self.clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 1000)
        port = self.servers[target].port
        self.clients[source].execute_command(
            "MIGRATE", "127.0.0.1", port, "", 0, 5000, "AUTH", _PASSWORD, "KEYS", *keys
        )

    def end_to_move(self, slot: int, source: int, target: int) -> None:
        for node in (target, source):
            order = "CLUSTER SETSLOT"
            self.clients[node].execute_command(order, slot, "NODE", self.ids[target])


def wait_until(holds: Callable[[], bool]) -> None:
    never = Event()
    while not holds():
        never.wait(0.01)


def _is_whole(info: dict[str, str]) -> bool:
    return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", "3")


def _settings(bus: int) -> dict[str, str]:
    return {
        "cluster-enabled": "yes",
        "cluster-node-timeout": "2000",
        "cluster-port": str(bus),
    }


@contextmanager
def three_nodes() -> Iterator[ThreeNodes]:
    with ExitStack() as stack:
        # By themselves nodes talk on their port and 10,000, among those of outgoing connections.
        buses = [free_port() for _ in range(3)]
        servers = [stack.enter_context(ValkeyServer(settings=_settings(bus))) for bus in buses]
        clients = []
        for number, server in enumerate(servers):
            with valkey.Valkey.from_url(server.url()) as first:
                first.config_set("requirepass", _PASSWORD)
            port = urlsplit(server.url()).port
            client = stack.enter_context(valkey.Valkey(port=port or 0, password=_PASSWORD))
            edges = [-(-SLOTS * third // 3) for third in (number, number + 1)]
            client.execute_command("CLUSTER ADDSLOTSRANGE", edges[0], edges[1] - 1)
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            clients.append(client)
        for server, bus in zip(servers[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER MEET", "127.0.0.1", server.port, bus)
        for client in clients:
            wait_until(lambda c=client: _is_whole(c.execute_command("CLUSTER INFO")))
        yield ThreeNodes(servers, clients)
