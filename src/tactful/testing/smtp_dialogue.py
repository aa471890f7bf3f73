"""One client of the SMTP sink: the server's half of the dialogue, with its faults.

See `smtp_sink` for what it is good for. A `Dialogue` reads all that has come, answers each command
in order, and writes the replies when no complete command is left, so that a group of pipelined
commands costs one read and one write.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

Stage: TypeAlias = Literal[
    "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot"
]

_PIECE = 65_536
_MAX_COMMAND = 12_288
_PATH = re.compile(
    rb"(?:MAIL FROM|RCPT TO):<([^<>\x00-\x20]*)>((?: [^\x00-\x20]+)*)", re.IGNORECASE
)
_SESSION_STAGES = frozenset({"greeting", "ehlo", "starttls", "auth"})


class Received(NamedTuple):
    """One accepted message. `data` is without dot-stuffing; `session` counts connections from 1."""

    mail_from: str
    rcpt_tos: tuple[str, ...]
    data: bytes
    at_monotonic: float
    session: int


class Envelope(NamedTuple):
    """What is known of a message when the script is asked about it."""

    session: int
    mail_from: str
    rcpt_tos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at `stage`, in place of the good reply (use the class methods).

    Stage `body` is in the middle of the data: after its first bytes, before its end is looked at.
    With `accepted`, which is for stage `dot`, the message is taken and recorded first.
    """

    stage: Stage
    action: Literal["reply", "reset", "close", "stall", "trickle"]
    text: str = ""
    accepted: bool = False
    seconds: float = 0.0

    @classmethod
    def reply(cls, stage: Stage, text: str) -> Fault:
        """Answers `text`, such as `451 4.3.0 later`, and closes after a 421; LF separates lines."""
        return cls(stage, "reply", text)

    @classmethod
    def reset(cls, stage: Stage, *, accepted: bool = False) -> Fault:
        """Breaks the connection off with RST."""
        return cls(stage, "reset", accepted=accepted)

    @classmethod
    def close(cls, stage: Stage, *, accepted: bool = False) -> Fault:
        """Closes the connection in order, without a word."""
        return cls(stage, "close", accepted=accepted)

    @classmethod
    def stall(cls, stage: Stage, *, accepted: bool = False) -> Fault:
        """Says nothing until the client gives up or the sink is closed."""
        return cls(stage, "stall", accepted=accepted)

    @classmethod
    def trickle(cls, stage: Stage, *, seconds: float = 0.05, accepted: bool = False) -> Fault:
        """Begins a reply and sends it on for ever, a byte each `seconds`, until the client goes."""
        return cls(stage, "trickle", accepted=accepted, seconds=seconds)


Script: TypeAlias = Callable[[int, Envelope], Fault | None]
SessionScript: TypeAlias = Callable[[int], Fault | None]


@dataclass(frozen=True, slots=True)
class Offers:
    """What a sink offers to its clients; see `SmtpSink`."""

    pipelining: bool
    size: int | None
    eight_bit: bool
    smtputf8: bool
    ehlo: bool
    starttls: ssl.SSLContext | None
    implicit_tls: ssl.SSLContext | None
    auth: tuple[str, str] | None
    auth_mechanisms: tuple[str, ...]
    lenient_data: bool


class Keeper(Protocol):
    """What a dialogue needs of the server that it belongs to."""

    @property
    def offers(self) -> Offers:
        """What is offered."""

    @property
    def faults(self) -> Script | None:
        """Asked about each message."""

    @property
    def session_faults(self) -> SessionScript | None:
        """Asked about each connection."""

    @property
    def closing(self) -> threading.Event:
        """Set when everything has to end."""

    def begin(self) -> int:
        """The number of the next message."""

    def violation(self, text: str) -> None:
        """Notes a breach of the protocol."""

    def take(self, received: Received) -> None:
        """Records an accepted message."""

    def swap(self, old: socket.socket | None, new: socket.socket | None) -> None:
        """Told when a socket takes the place of another."""


class OverError(Exception):
    """The good end of a dialogue."""


class Dialogue:
    """One client, served in its own thread: a buffer, a position in it, and replies to go out."""

    def __init__(self, sink: Keeper, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self._sink = sink
        self._offers = sink.offers
        self._number = number
        self._buffer = bytearray()
        self._replies: list[bytes] = []
        self._encrypted = False
        self._logged_in = sink.offers.auth is None
        self._session_fault: Fault | None = None
        self._message = 0
        self._mail_from: str | None = None
        self._rcpt_tos: list[str] = []
        self._fault: Fault | None = None
        self._content = b""
        self._verbs: dict[bytes, Callable[[bytes], None]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._helo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": lambda _: self._say("250 2.0.0 ok"),
            b"QUIT": self._quit,
            b"STAR": self._starttls,
            b"AUTH": self._auth,
        }

    def run(self) -> None:
        """Serves the client to the end; raises OverError or OSError there."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._sink.session_faults is not None:
            self._session_fault = self._sink.session_faults(self._number)
        if self._offers.implicit_tls is not None:
            self._encrypt(self._offers.implicit_tls)
        self._answer("greeting", "220 sink.example ESMTP")
        while True:
            self._flush()
            self._command(self._line())

    # Input and output

    def _line(self) -> bytes:
        end = self._buffer.find(b"\r\n")
        while end < 0:
            if len(self._buffer) > _MAX_COMMAND:
                self._finish("500 5.5.2 line too long")
            self._more()
            end = self._buffer.find(b"\r\n")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if b"\n" in line or b"\r" in line:
            self._sink.violation("bare CR or LF in a command")
        return line

    def _more(self) -> None:
        self._flush()
        got = self.sock.recv(_PIECE)
        if not got:
            raise OverError
        self._buffer += got

    def _flush(self) -> None:
        # While there is input left to answer, its replies may join these.
        if self._replies and b"\r\n" not in self._buffer:
            self._flush_now()

    def _flush_now(self) -> None:
        if self._replies:
            out = b"".join(self._replies)
            self._replies.clear()
            self.sock.sendall(out)

    def _say(self, text: str) -> None:
        *first, last = text.split("\n")
        for line in first:
            self._replies.append(f"{line[:3]}-{line[4:]}\r\n".encode())
        self._replies.append(f"{last}\r\n".encode())

    def _finish(self, text: str) -> None:
        self._say(text)
        self._flush_now()
        raise OverError

    # Faults

    def _answer(self, stage: Stage, text: str) -> bool:
        """The good reply, or what the script wants instead; True for the good one."""
        fault = self._session_fault if stage in _SESSION_STAGES else self._fault
        if fault is None or fault.stage != stage:
            self._say(text)
            return True
        if fault.accepted:
            self._accept()
        self._act(fault)
        return False

    def _act(self, fault: Fault) -> None:
        if fault.action == "reply":
            if fault.text.startswith("421"):
                self._finish(fault.text)
            self._say(fault.text)
            return
        self._flush_now()
        if fault.action == "stall":
            while self.sock.recv(_PIECE):
                pass
        elif fault.action == "trickle":
            self.sock.sendall(b"250-")
            while not self._sink.closing.wait(fault.seconds):
                self.sock.sendall(b"x")
        elif fault.action == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise OverError

    # Commands

    def _command(self, line: bytes) -> None:
        verb = self._verbs.get(line[:4].upper())
        if verb is None:
            self._say("500 5.5.1 unknown command")
            return
        if self._buffer and not self._offers.pipelining:
            self._sink.violation(f"pipelined after {line[:4].decode()} without being offered it")
            self._buffer.clear()
            self._finish("503 5.5.0 improper pipelining")
        verb(line)

    def _ehlo(self, _: bytes) -> None:
        offers = self._offers
        if not offers.ehlo:
            self._say("502 5.5.1 not here")
            return
        lines = ["250 sink.example"]
        if offers.pipelining:
            lines.append("250 PIPELINING")
        if offers.size is not None:
            lines.append(f"250 SIZE {offers.size}")
        if offers.eight_bit:
            lines.append("250 8BITMIME")
        if offers.smtputf8:
            lines.append("250 SMTPUTF8")
        if offers.starttls is not None and not self._encrypted:
            lines.append("250 STARTTLS")
        if offers.auth is not None:
            lines.append("250 AUTH " + " ".join(offers.auth_mechanisms))
        lines.append("250 ENHANCEDSTATUSCODES")
        self._forget()
        self._answer("ehlo", "\n".join(lines))

    def _helo(self, _: bytes) -> None:
        self._forget()
        self._answer("ehlo", "250 sink.example")

    def _starttls(self, _: bytes) -> None:
        context = self._offers.starttls
        if context is None or self._encrypted:
            self._say("502 5.5.1 not offered")
        elif self._answer("starttls", "220 2.0.0 go ahead"):
            self._flush_now()
            if self._buffer:
                self._sink.violation("bytes behind STARTTLS")
                raise OverError
            self._encrypt(context)

    def _encrypt(self, context: ssl.SSLContext) -> None:
        plain = self.sock
        wrapped = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self.sock = wrapped
        self._sink.swap(plain, wrapped)
        wrapped.do_handshake()
        self._encrypted = True

    def _auth(self, line: bytes) -> None:
        wanted = self._offers.auth
        words = line.decode("utf-8", "replace").split()
        mechanism = words[1].upper() if len(words) > 1 else ""
        if wanted is None or mechanism not in self._offers.auth_mechanisms:
            self._say("504 5.5.4 no such mechanism")
            return
        if mechanism == "PLAIN":
            given = words[2] if len(words) > 2 else self._ask("")
            parts = _decoded(given).split("\0")
        else:
            parts = ["", _decoded(self._ask("Username:")), _decoded(self._ask("Password:"))]
        if tuple(parts[1:]) == wanted:
            self._logged_in = self._answer("auth", "235 2.7.0 welcome")
        else:
            self._say("535 5.7.8 wrong: " + " ".join(parts))  # a client must not repeat this

    def _ask(self, prompt: str) -> str:
        self._say(f"334 {base64.b64encode(prompt.encode()).decode()}")
        self._flush_now()
        return self._line().decode("utf-8", "replace")

    def _mail(self, line: bytes) -> None:
        found = _PATH.fullmatch(line)
        offers = self._offers
        if not self._logged_in:
            self._say("530 5.7.0 authentication required")
        elif self._mail_from is not None:
            self._say("503 5.5.1 nested MAIL")
        elif found is None:
            self._say("501 5.5.4 syntax")
        else:
            words = found.group(2).decode("utf-8", "replace").upper().split()
            declared = [int(word[5:]) for word in words if word.startswith("SIZE=")]
            if offers.size is not None and declared and declared[0] > offers.size:
                self._say("552 5.3.4 too big")
                return
            self._mail_from = found.group(1).decode("utf-8", "replace")
            if self._sink.faults is not None:
                self._message = self._sink.begin()
                self._ask_script()
            if not self._answer("mail", "250 2.1.0 ok"):
                self._forget()

    def _rcpt(self, line: bytes) -> None:
        found = _PATH.fullmatch(line)
        if self._mail_from is None:
            self._say("503 5.5.1 MAIL first")
        elif found is None:
            self._say("501 5.5.4 syntax")
        else:
            self._rcpt_tos.append(found.group(1).decode("utf-8", "replace"))
            if self._fault is None and len(self._rcpt_tos) == 1:
                self._ask_script()
            if not self._answer("rcpt", "250 2.1.5 ok"):
                self._rcpt_tos.pop()

    def _ask_script(self) -> None:
        if self._sink.faults is not None:
            envelope = Envelope(self._number, self._mail_from or "", tuple(self._rcpt_tos))
            self._fault = self._sink.faults(self._message, envelope)

    def _data(self, _: bytes) -> None:
        if self._mail_from is None:
            self._say("503 5.5.1 MAIL first")
            return
        if not self._rcpt_tos and not self._offers.lenient_data:
            self._say("554 5.5.1 no valid recipients")
            return
        if self._buffer:
            self._sink.violation("pipelined behind DATA")
        if not self._answer("data", "354 go on"):
            return
        self._flush_now()
        self._body()

    def _body(self) -> None:
        searched = 0
        while not self._buffer.startswith(b".\r\n"):
            if self._fault is not None and self._fault.stage == "body" and self._buffer:
                self._act(self._fault)
            end = self._buffer.find(b"\r\n.\r\n", searched)
            if end >= 0:
                data = bytes(self._buffer[: end + 2])
                del self._buffer[: end + 5]
                break
            searched = max(len(self._buffer) - 4, 0)
            self._more()
        else:
            data = b""
            del self._buffer[:3]
        if b"\r\n.." in data:
            data = data.replace(b"\r\n..", b"\r\n.")
        self._content = data[1:] if data.startswith(b"..") else data
        if not self._rcpt_tos:
            self._say("554 5.5.1 no valid recipients")
        elif self._offers.size is not None and len(data) > self._offers.size:
            self._say("552 5.3.4 too big")
        else:
            if self._fault is None or self._fault.stage != "dot":
                self._accept()
            self._answer("dot", "250 2.0.0 accepted")
        self._forget()

    def _accept(self) -> None:
        self._sink.take(
            Received(
                self._mail_from or "",
                tuple(self._rcpt_tos),
                self._content,
                time.monotonic(),
                self._number,
            )
        )

    def _rset(self, _: bytes) -> None:
        self._forget()
        self._say("250 2.0.0 ok")

    def _quit(self, _: bytes) -> None:
        self._finish("221 2.0.0 bye")

    def _forget(self) -> None:
        self._mail_from = None
        self._rcpt_tos = []
        self._fault = None
        self._content = b""


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
