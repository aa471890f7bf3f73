"""How a connection to a mail server begins and ends: RFC 5321, 3207 (STARTTLS), 4954 (AUTH).

`connect` comes back with a `Session` that is greeted, encrypted and authenticated as asked, or
raises `RefusedError`, which holds the outcome for every message that was to go over it. No failure
before the first message says anything about a message, so none of them uses up a try.

Credentials are bytes that are written to the wire and appear nowhere else: not in a repr, not in
an error, not in an outcome. What the server says to AUTH is not shown either, as it may echo them.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from tactful.channels.smtp.replies import (
    MISCONFIGURED_WAIT_MS,
    Reply,
    Stage,
    outcome,
)
from tactful.channels.smtp.wire import LostError, Wire, dial
from tactful.core.model import Outcome, Retry

Security: TypeAlias = Literal["none", "starttls", "tls"]

QUIT_SECONDS: Final = 1.0
"""How long the answer to QUIT is waited for; nothing depends on it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds, each for one step as a whole.

    `connect` is for the TCP connection, `command` for a TLS handshake or a group of pipelined
    commands with their replies, `dot` for handing over a message's data and again for the answer
    to its end. RFC 5321 section 4.5.3.2 wants ten minutes for the latter: a client that gives up
    earlier sends again what the server is about to accept.
    """

    connect: float = 10.0
    command: float = 30.0
    dot: float = 600.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the server; neither part is ever shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    def plain(self) -> str:
        """The one response of AUTH PLAIN (RFC 4616)."""
        return _base64(f"\0{self.username}\0{self.password}")


@dataclass(frozen=True, slots=True)
class Server:
    """Which server, and how to talk to it. `security="starttls"` means encrypted or not at all."""

    host: str
    port: int
    security: Security = "none"
    credentials: Credentials | None = None
    local_hostname: str | None = None
    tls: ssl.SSLContext | None = None
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the server said it can do. `size` is its largest message in octets, None for no limit
    that it tells.
    """

    pipelining: bool = False
    size: int | None = None
    takes_size: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    auth: frozenset[str] = frozenset()


class RefusedError(Exception):
    """No session came about; `outcome` is what that means for each message."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


@dataclass(slots=True)
class Session:
    """A connection that is ready for messages. `handled` counts those that it was given."""

    wire: Wire
    capabilities: Capabilities
    timeouts: Timeouts
    handled: int = 0
    idle_since: float = 0.0
    usable: bool = True

    def close(self) -> None:
        """Says QUIT where the server still listens and closes; a second time does nothing."""
        if self.usable:
            self.usable = False
            seconds = min(QUIT_SECONDS, self.timeouts.command)
            with contextlib.suppress(LostError):
                self.wire.write(b"QUIT\r\n", seconds)
                self.wire.read(time.monotonic() + seconds)
        self.wire.close()


def connect(server: Server) -> Session:
    """Opens a session; raises RefusedError where the server is out of reach or refuses us."""
    seconds = server.timeouts.command
    try:
        wire = Wire(dial(server.host, server.port, server.timeouts.connect))
        try:
            if server.security == "tls":
                wire.start_tls(_context(server), server.host, seconds)
            _expect(Stage.GREETING, wire.read(time.monotonic() + seconds))
            capabilities = _hello(wire, server)
            if server.security == "starttls":
                capabilities = _encrypt(wire, server, capabilities)
            if server.credentials is not None:
                _authenticate(wire, server.credentials, capabilities, seconds)
        except BaseException:
            wire.close()
            raise
    except LostError as error:
        raise RefusedError(Retry(f"no session: {error}", counted=False)) from None
    return Session(wire, capabilities, server.timeouts)


def parse_capabilities(lines: Sequence[str]) -> Capabilities:
    """What an answer to EHLO offers; `lines` are its lines without codes, the greeting first.

    Keywords and mechanisms are compared without case (RFC 5321 section 4.1.1.1). `AUTH=LOGIN`,
    which old servers write, is understood. A SIZE of 0, or one that is no number, is no limit.
    """
    words: set[str] = set()
    size = None
    mechanisms: set[str] = set()
    for line in lines[1:]:
        keyword, *values = line.upper().replace("=", " ", 1).split() or [""]
        words.add(keyword)
        if keyword == "SIZE" and values and values[0].isascii() and values[0].isdigit():
            size = int(values[0][:20]) or None
        if keyword == "AUTH":
            mechanisms.update(values)
    return Capabilities(
        pipelining="PIPELINING" in words,
        size=size,
        takes_size="SIZE" in words,
        eight_bit="8BITMIME" in words,
        smtputf8="SMTPUTF8" in words,
        starttls="STARTTLS" in words,
        auth=frozenset(mechanisms),
    )


def _hello(wire: Wire, server: Server) -> Capabilities:
    name = server.local_hostname or _literal(wire.local_ip)
    seconds = server.timeouts.command
    reply = _ask(wire, f"EHLO {name}", seconds)
    if reply.code // 100 == 5:
        # A server from before 1995, or one that pretends: RFC 5321 section 3.2.
        _expect(Stage.EHLO, _ask(wire, f"HELO {name}", seconds))
        return Capabilities()
    _expect(Stage.EHLO, reply)
    return parse_capabilities(reply.lines)


def _encrypt(wire: Wire, server: Server, offered: Capabilities) -> Capabilities:
    if not offered.starttls:
        raise _misconfigured("the server does not offer STARTTLS")
    seconds = server.timeouts.command
    _expect(Stage.STARTTLS, _ask(wire, "STARTTLS", seconds))
    wire.start_tls(_context(server), server.host, seconds)
    # What was offered in the clear may be forged and is forgotten: RFC 3207 section 4.2.
    return _hello(wire, server)


def _authenticate(
    wire: Wire, credentials: Credentials, offered: Capabilities, seconds: float
) -> None:
    if "PLAIN" in offered.auth:
        _expect(Stage.AUTH, _ask(wire, f"AUTH PLAIN {credentials.plain()}", seconds))
    elif "LOGIN" in offered.auth:
        answers = (_base64(credentials.username), _base64(credentials.password))
        reply = _ask(wire, "AUTH LOGIN", seconds)
        for answer in answers:
            if reply.code != 334:
                break
            reply = _ask(wire, answer, seconds)
        _expect(Stage.AUTH, reply)
    else:
        raise _misconfigured("the server offers neither AUTH PLAIN nor AUTH LOGIN")


def _ask(wire: Wire, line: str, seconds: float) -> Reply:
    deadline = time.monotonic() + seconds
    wire.write(f"{line}\r\n".encode(), seconds)
    return wire.read(deadline)


def _expect(stage: Stage, reply: Reply) -> None:
    refusal = outcome(stage, reply)
    if refusal is not None:
        raise RefusedError(refusal)


def _misconfigured(why: str) -> RefusedError:
    return RefusedError(Retry(why, after_ms=MISCONFIGURED_WAIT_MS, counted=False))


def _context(server: Server) -> ssl.SSLContext:
    return server.tls if server.tls is not None else ssl.create_default_context()


def _literal(ip: str) -> str:
    """An address literal of RFC 5321 section 4.1.3, for a machine that has no name to tell."""
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
