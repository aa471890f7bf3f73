"""The way to the servers: scripts are run on one Valkey or on the nodes of a cluster.

A script is sent by its hash, so that it costs a few bytes a call. A server that does not know it
(it was restarted, or its scripts were flushed), or that says that a slot is elsewhere, has done
nothing; such a call is made again with the whole text. A call whose answer is lost is never made
again: it may have been carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha1
from importlib.resources import files
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import valkey
from valkey.cluster import ValkeyCluster
from valkey.exceptions import (
    AskError,
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
    ValkeyClusterException,
    ValkeyError,
)

from tactful.core.errors import ConfigError, Unavailable

_SCHEMES: Final = ("valkey", "valkeys", "redis", "rediss")
_CLUSTER: Final = "+cluster"
_PORT: Final = 6379
_cluster: Final[Any] = ValkeyCluster.from_url  # the driver does not say its types
_UNDONE: Final = (NoScriptError, AskError, TryAgainError)  # a MovedError is an AskError, too
_TROUBLE: Final = (ValkeyError, ValkeyClusterException, OSError)
_NOT_LET_IN: Final = (AuthenticationError, NoPermissionError)


class Script:
    """A script and the hash that servers know it by."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.hash = sha1(self.text, usedforsecurity=False).hexdigest()


def script(*names: str) -> Script:
    """The script that these files beside this one make up, one behind the other."""
    folder = files("tactful.ledgers")
    return Script("".join(folder.joinpath(name).read_text("utf-8") for name in names))


class Call(NamedTuple):
    """One call of a script, over keys of one slot."""

    slot: int
    keys: list[bytes]
    arguments: tuple[bytes, ...]


Reply: TypeAlias = bytes | Unavailable


class Nodes:
    """The servers that a URL names; may be used from many threads. Connects when it is used.

    Each step on a connection takes `timeout_ms` at most. Raises ConfigError for a URL that is
    none, and at the first use if a server may evict keys, unless `evicting` accepts that.
    """

    def __init__(self, url: str, *, timeout_ms: int, evicting: bool) -> None:
        self._url, self.clustered = _checked(url)
        place = urlsplit(self._url)
        self.shown = f"{place.scheme}://{place.hostname}:{place.port or _PORT}"
        self._timeout_s = timeout_ms / 1000
        self._evicting = evicting
        self._lock = Lock()
        self._client: Any = None
        self._stale = False  # whether the cluster may look different from what is known

    def run(self, script: Script, calls: Iterable[Call]) -> list[Reply]:
        """Run the script for each call: the answers, or why there is none, in order.

        While servers work on the first calls, `calls` may still make further ones. Raises
        ConfigError if this client is not let in, Unavailable if no server is found at all.
        """
        made: list[Call] = []
        found: dict[int, bytes | Exception] = {}
        lines: dict[Any, _Line] = {}
        client = self._connected()
        try:
            for call in calls:
                pool = self._pool(client, call.slot)
                if pool not in lines:
                    lines[pool] = _Line(pool)
                parts = (len(call.keys), *call.keys, *call.arguments)
                lines[pool].send(len(made), "EVALSHA", script.hash, *parts)
                made.append(call)
            for line in lines.values():
                found.update(line.answers())
        finally:
            for line in lines.values():
                line.close()
        for number, answer in found.items():
            if isinstance(answer, _UNDONE):
                found[number] = _again(client, script, made[number])
        return [self._reply(found[number]) for number in range(len(made))]

    def close(self) -> None:
        """Let go of all connections; harmless when repeated, a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Any:
        with self._lock:
            try:
                if self._client is None:
                    self._client = self._opened()
                elif self._stale:
                    self._client.nodes_manager.initialize()
                self._stale = False
            except _TROUBLE as error:
                raise self._told(error) from None
            return self._client

    def _opened(self) -> Any:
        limits = {"socket_timeout": self._timeout_s, "socket_connect_timeout": self._timeout_s}
        client: Any
        if self.clustered:
            client = _cluster(self._url, cluster_error_retry_attempts=0, **limits)
        else:
            client = valkey.Valkey.from_url(self._url, **limits)
        if not self._evicting:
            try:
                self._require_all_kept(client)
            except BaseException:
                client.close()
                raise
        return client

    def _require_all_kept(self, client: Any) -> None:
        try:
            if self.clustered:
                answers = client.info("memory", target_nodes=ValkeyCluster.PRIMARIES).values()
            else:
                answers = [client.info("memory")]
        except NoPermissionError:
            return  # who may not ask has to know
        for answer in answers:
            policy = answer.get("maxmemory_policy", "noeviction")
            if answer.get("maxmemory", 0) and policy != "noeviction":
                raise ConfigError(
                    f"{self.shown}: maxmemory-policy is {policy}, so that a full server forgets "
                    "histories; it must be noeviction, or evicting=True accept that"
                )

    def _pool(self, client: Any, slot: int) -> Any:
        if not self.clustered:
            return client.connection_pool
        try:
            node = client.nodes_manager.get_node_from_slot(slot)
        except ValkeyClusterException as error:
            raise self._told(error) from None
        return client.get_valkey_connection(node).connection_pool

    def _reply(self, answer: bytes | Exception) -> Reply:
        if isinstance(answer, bytes):
            return answer
        told = self._told(answer)
        if isinstance(told, Unavailable):
            return told
        raise told

    def _told(self, error: Exception) -> ConfigError | Unavailable:
        self._stale = self.clustered
        if isinstance(error, _NOT_LET_IN):
            return ConfigError(f"{self.shown}: {error}")
        return Unavailable(f"{self.shown}: {error or type(error).__name__}")


class _Line:
    """A connection that calls are sent on, and the numbers of those whose answers are due."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._due: list[int] = []
        self._error: Exception | None = None

    def send(self, number: int, *command: object) -> None:
        self._due.append(number)
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection("EVALSHA")
            if self._error is None:
                self._connection.send_command(*command)
        except _TROUBLE as error:
            self._error = error

    def answers(self) -> Iterator[tuple[int, bytes | Exception]]:
        while self._due:
            answer: bytes | Exception
            try:
                answer = self._error or self._connection.read_response()
            except ReadOnlyError as error:  # it is the primary no more; ask who is, next time
                answer = self._error = error
            except ResponseError as error:
                answer = error
            except _TROUBLE as error:
                answer = self._error = error
            yield self._due.pop(0), answer

    def close(self) -> None:
        if self._connection is not None:
            if self._due or self._error:
                self._connection.disconnect()
            self._pool.release(self._connection)


def _again(client: Any, script: Script, call: Call) -> bytes | Exception:
    try:
        answer: bytes = client.execute_command(
            "EVAL", script.text, len(call.keys), *call.keys, *call.arguments
        )
        return answer
    except _TROUBLE as error:
        return error


def _checked(url: object) -> tuple[str, bool]:
    """The URL as the driver takes it, and whether it names a cluster; raises ConfigError."""
    shape = "must be a URL such as valkey://host:6379/0 or valkey+cluster://host:6379"
    try:
        place = urlsplit(url) if isinstance(url, str) else None
        known = place is not None and place.hostname and (place.port is None or place.port)
    except ValueError:
        known = False
    if not known or place is None:
        raise ConfigError(f"url: {shape}")
    scheme, clustered = place.scheme.removesuffix(_CLUSTER), place.scheme.endswith(_CLUSTER)
    database = place.path.strip("/")
    if scheme not in _SCHEMES:
        raise ConfigError(f"url: {shape}, not {place.scheme}://")
    if database and not database.isdecimal():
        raise ConfigError(f"url: the database must be a number, not {database!r}")
    if clustered and database not in ("", "0"):
        raise ConfigError("url: a cluster has one database only, 0")
    return place._replace(scheme=scheme).geturl(), clustered
