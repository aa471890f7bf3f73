"""Requests to places that somebody else named, without being led astray.

    with egress.session() as session:
        answer = session.post(egress.target(url), headers, body)

What may be asked is decided here and nowhere else. The name is looked up once; if any of its
addresses may not be reached, none is; and the connection goes to exactly the address that was
checked, while the Host header, TLS's server name and the certificate check keep the name. A name
that answers differently the second time (DNS rebinding) is not asked a second time. Redirects are
answers like any other and are not followed. No proxy, cookie, password or setting is taken from
the environment.

The protocol is `http.client`'s, over a socket that we have connected. The alternatives were
weighed: `urllib3` and `requests` look names up themselves, so a checked address would have to be
forced on them from behind; `aiohttp` is for an event loop, and lanes are threads; and neither
bounds the time of an exchange as a whole. What `http.client` lacks for that is in `wire`.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from ipaddress import ip_address
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias, cast

from tactful.channels.egress.reach import Address, closed, parse_networks
from tactful.channels.egress.target import PORTS, Target, parse_url
from tactful.channels.egress.wire import LimitError, Wire
from tactful.channels.tcp import prepare
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import SECOND, Millis

TIMEOUT_MS: Final = 15 * SECOND
MAX_BYTES: Final = 64 * 1024
_CHUNK: Final = 8_192

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
"""From a host name and a port to its addresses as texts; raises OSError where there are none."""


class EgressError(Exception):
    """No answer; the text says why, and holds no path, query or header."""


class ForbiddenError(EgressError):
    """We do not go there. Nothing was sent."""


class UnreachableError(EgressError):
    """No connection came about. Nothing was sent."""


class WithheldError(EgressError):
    """When all was ready to be sent, it was not to go any more. No whole request was sent."""


class LostError(EgressError):
    """No answer that can be read came back, and the request may have arrived."""


class Answer(NamedTuple):
    """What came back. The names in `headers` are in lower case; of several, the first counts.

    `complete` is False where the body goes on beyond `body`, which was as much as may be read, or
    broke off.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, in the order in which the system wants them tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def wall_clock() -> Millis:
    """Now, for what a receiver compares with its own clock; rules never see it."""
    return time.time_ns() // 1_000_000


class Egress:
    """What may be asked, and how long for. Any thread may use it.

    `allow_networks` are reached besides all that is global unicast: the operator's own, such as
    `10.1.0.0/16`. `allow_http` lets requests go unencrypted. `ports` are those that may be
    connected to, by default 443, and 80 with `allow_http`. `timeout_ms` is for an exchange as a
    whole, from looking up the name to the last byte read, and `max_bytes` for an answer as a
    whole. `resolver`, `tls` and `monotonic` replace the system's.

    Raises ConfigError for what cannot be.
    """

    def __init__(
        self,
        *,
        allow_networks: Sequence[str] = (),
        allow_http: bool = False,
        ports: Sequence[int] = (),
        timeout_ms: Millis = TIMEOUT_MS,
        max_bytes: int = MAX_BYTES,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if timeout_ms < 1 or max_bytes < 1:
            raise ConfigError("egress: timeout_ms and max_bytes must be at least 1")
        if any(not 0 < port < 65_536 for port in ports):
            raise ConfigError(f"egress: ports must be 1 to 65535 (got {list(ports)!r})")
        self._networks = parse_networks(allow_networks, "egress.allow_networks")
        self._schemes = ("https", "http") if allow_http else ("https",)
        self._ports = frozenset(ports or (PORTS[scheme] for scheme in self._schemes))
        self._timeout_s = timeout_ms / 1_000
        self._max_bytes = max_bytes
        self._resolver = resolver
        self._tls = tls
        self._monotonic = monotonic

    def target(self, url: str, field: str = "url") -> Target:
        """Read a URL that may be asked; raises RequestError naming `field`, not the path.

        The address is not checked here, because only the one that is connected to counts.
        """
        target = parse_url(url, field)
        if target.scheme not in self._schemes:
            raise RequestError(field, target.origin, "must begin with https://")
        if target.port not in self._ports:
            known = ", ".join(map(str, sorted(self._ports)))
            raise RequestError(field, target.origin, f"port must be one of {known}")
        return target

    def session(self) -> Session:
        """Room for requests in a row, for one thread; close it soon."""
        return Session(self)

    def deadline(self) -> float:
        """The end, on the monotonic clock, of an exchange that begins now."""
        return self._monotonic() + self._timeout_s

    def connect(self, target: Target, deadline: float) -> Wire:
        """A connection to `target`; raises ForbiddenError, UnreachableError."""
        addresses = self._look_up(target, deadline)
        for address in addresses:
            self._check(address, target.host)
        why = "the name has no address"
        for tried, address in enumerate(addresses):
            # Each gets its share of the time, so that a silent first one does not use it up.
            share = (deadline - self._monotonic()) / (len(addresses) - tried)
            try:
                return Wire(self._dial(address, target, share), self._monotonic, self._max_bytes)
            except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot carry
                why = _told(error)
        raise UnreachableError(f"no connection to {target.authority}: {why}")

    def _look_up(self, target: Target, deadline: float) -> list[Address]:
        """The addresses of the target, by one question to the resolver at most.

        That is put in a thread of its own, since the system's resolver knows no deadline: the name
        server of whoever chose the name could hold us up.
        """
        if target.address is not None:
            return [target.address]
        answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(target.host, target.port))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=ask, name="tactful-resolver", daemon=True).start()
        try:
            found = answers.get(timeout=max(0.0, deadline - self._monotonic()))
        except queue.Empty:
            raise UnreachableError(f"cannot look up {target.host}: no answer in time") from None
        if isinstance(found, Exception):
            raise UnreachableError(f"cannot look up {target.host}: {_told(found)}")
        return [ip_address(text) for text in found]

    def _check(self, address: Address, host: str) -> None:
        what = closed(address)
        if what is not None and not any(address in network for network in self._networks):
            # Not the address: whoever gave us the name could learn from it what is inside.
            raise ForbiddenError(f"{host} has an address that may not be reached ({what})")

    def _dial(self, address: Address, target: Target, seconds: float) -> socket.socket:
        if seconds <= 0:
            raise TimeoutError
        until = self._monotonic() + seconds
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect((str(address), target.port))
            prepare(sock)
            if target.scheme == "http":
                return sock
            # Python holds a handshake as a whole to this time.
            sock.settimeout(max(0.001, until - self._monotonic()))
            return (self._tls or _default_tls()).wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise


class Session:
    """Some requests in a row. The connection to an origin is used for the next request to it.

    Connections are not kept beyond that: the longer one is idle, the more likely its other end
    closes it just when a request is on its way, and then nobody knows whether that arrived.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._wires: dict[str, Wire] = {}

    def get(self, target: Target, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one GET; raises ForbiddenError, UnreachableError, LostError."""
        return self._ask("GET", target, headers or {}, None)

    def post(
        self,
        target: Target,
        headers: Mapping[str, str],
        body: bytes,
        may_go: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """Send one POST, if it still `may_go` right before it is written.

        Raises ForbiddenError, UnreachableError, WithheldError, LostError.
        """
        return self._ask("POST", target, headers, body, may_go)

    def _ask(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str],
        body: bytes | None,
        may_go: Callable[[], bool] = lambda: True,
    ) -> Answer:
        deadline = self._egress.deadline()
        wire = self._wires.pop(target.origin, None)
        if wire is not None and not wire.quiet:
            wire.hang_up()
            wire = None
        if wire is None:
            wire = self._egress.connect(target, deadline)
        reusable = False
        try:
            wire.arm(deadline, partial(_look, may_go, target))
            answer, reusable = _exchange(wire, _Request(method, target, headers, body))
            return answer
        finally:
            if reusable:
                self._wires[target.origin] = wire
            else:
                wire.hang_up()

    def close(self) -> None:
        """Close the connections; harmless when repeated."""
        while self._wires:
            self._wires.popitem()[1].hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Request(NamedTuple):
    method: str
    target: Target
    headers: Mapping[str, str]
    body: bytes | None


def _look(may_go: Callable[[], bool], target: Target) -> None:
    if not may_go():
        raise WithheldError(f"not sent to {target.authority}: it was too late")


def _exchange(wire: Wire, request: _Request) -> tuple[Answer, bool]:
    """One request and its answer, and whether the connection can take another."""
    target = request.target
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = cast(socket.socket, wire)
    fixed = {"Host": target.authority, "Accept-Encoding": "identity"}
    try:
        connection.request(request.method, target.path, request.body, {**request.headers, **fixed})
        response = connection.getresponse()
    except (OSError, LimitError, http.client.HTTPException) as error:
        raise LostError(f"no answer from {target.authority}: {_told(error)}") from None
    if response.status < 200:
        # An interim answer; http.client skips 100 only, and we have asked for no other.
        raise LostError(f"no answer from {target.authority}: {response.status} and no more")
    found, complete = _body(response)
    named: dict[str, str] = {}
    for name, value in response.getheaders():
        named.setdefault(name.lower(), value)
    return Answer(response.status, named, found, complete), complete and not response.will_close


def _body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """The body as far as it may be read, and whether that is all of it."""
    parts = []
    try:
        while part := response.read(_CHUNK):
            parts.append(part)
    except (OSError, LimitError, ValueError, http.client.HTTPException):
        return b"".join(parts), False
    return b"".join(parts), not response.length


@cache
def _default_tls() -> ssl.SSLContext:
    """For the whole process and made when it is first needed: reading the roots takes 30 ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _told(error: Exception) -> str:
    if isinstance(error, LimitError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ConnectionError):
        return "the connection was closed"
    # Not the text of any other: it may quote what came over the wire.
    return type(error).__name__
