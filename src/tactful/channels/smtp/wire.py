"""A blocking socket that reads replies and never waits longer than it was told.

Every wait has a deadline on the monotonic clock, not a timeout per call: a peer that sends one
byte each second would restart the latter for ever. Replies are bounded too, in line length and
in the number of lines (RFC 5321 section 4.5.3.1.5 allows 512 octets a line; some servers send
more, none sends 8 KB).

The kernel keeps the time limit of a plain socket (SO_RCVTIMEO, SO_SNDTIMEO). A time limit of
Python's would cost a poll before each call, a fifth of what the dialogue costs. TLS needs Python's:
its library takes a kernel's limit for "try again".

A failed write is not reported at once. The peer may have said why before it hung up, and that
reply is still in the receive buffer: the next read finds it, or reports the end.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from tactful.channels.smtp.replies import Reply
from tactful.channels.tcp import prepare

MAX_LINE: Final = 8_192
MAX_LINES: Final = 256

_CHUNK = 16_384
_CODE_DIGITS = 3
_NOT_IN_TIME = (TimeoutError, BlockingIOError)


class LostError(Exception):
    """The connection is of no more use; the text says why."""


class Wire:
    """One connected socket with its receive buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._limit = math.inf
        self._buffer = b""
        self._at = 0
        self._failed: str | None = None
        self._closed = False

    @property
    def encrypted(self) -> bool:
        """True where everything that is written is encrypted."""
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def pending(self) -> bool:
        """True where the peer has said more than was read: out of turn, at certain points."""
        return self._at < len(self._buffer)

    @property
    def local_ip(self) -> str:
        """Our own address on this connection."""
        return str(self._sock.getsockname()[0])

    @property
    def healthy(self) -> bool:
        """False where an idle connection has anything to read: its end, or a farewell."""
        if self.pending or self._closed or self._failed:
            return False
        try:
            self._limit = math.inf
            self._sock.settimeout(0)
            got = self._sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        self._buffer, self._at = got, 0
        return False

    def write(
        self, data: bytes, seconds: float, may_go: Callable[[], bool] = lambda: True
    ) -> bool | None:
        """Hands `data` to the socket within `seconds`; True where all of it was taken.

        None, with nothing written, where it may not go: that is asked last, with no other call of
        the kernel before the one that writes, at which this process could stand still.

        Raises LostError when the time is over; see `took_part` for what was taken by then.
        Any other failure is kept for the next read.
        """
        self.took_part = False
        if self._failed is not None:
            return False
        deadline = time.monotonic() + seconds
        view = memoryview(data)
        try:
            while view:
                self._wait_at_most(max(deadline - time.monotonic(), 0.001))
                if not self.took_part and not may_go():
                    return None
                # A TLS record that failed on its way may have arrived all the same.
                self.took_part = self.took_part or self.encrypted
                sent = self._sock.send(view)
                self.took_part = True
                view = view[sent:]
        except _NOT_IN_TIME:
            self._failed = f"no room to write for {seconds:g} s"
            raise LostError(self._failed) from None
        except OSError as error:
            self._failed = _told(error)
            return False
        return True

    took_part = False
    """True where the last write may have put any of its bytes on the way."""

    def read(self, deadline: float) -> Reply:
        """The next reply; raises LostError at `deadline` (monotonic), at the end, or for a
        line that is no reply.
        """
        line = self._line(deadline)
        if line[3:4] != b"-":
            return _one_line(line)
        code = _code(line)
        lines = [line[4:].decode("utf-8", "replace")]
        while line[3:4] == b"-":
            if len(lines) == MAX_LINES:
                raise LostError(f"a reply of more than {MAX_LINES} lines")
            line = self._line(deadline)
            if _code(line) != code:
                raise LostError("a reply whose lines carry different codes")
            lines.append(line[4:].decode("utf-8", "replace"))
        return Reply(code, tuple(lines))

    def start_tls(self, context: ssl.SSLContext, hostname: str, seconds: float) -> None:
        """Turns encryption on, in place; raises LostError where that fails.

        Whatever the peer (or somebody in between) said in the clear after its go-ahead would be
        read as if it came through the encrypted channel: the flaw of CVE-2011-0411. So the
        buffer must be empty, else the connection is given up.
        """
        if self.pending:
            raise LostError("TLS failed: the server spoke in the clear after its go-ahead")
        self._limit = math.inf
        self._sock.settimeout(seconds)
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=hostname)
        except TimeoutError:
            raise LostError(f"TLS failed: no handshake within {seconds:g} s") from None
        except (OSError, ValueError) as error:  # ValueError: a host name that TLS cannot carry
            raise LostError(f"TLS failed: {_told(error)}") from None

    def close(self) -> None:
        """Closes the socket; a second time does nothing."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.close()

    def _wait_at_most(self, seconds: float) -> None:
        """Limits the next calls, to within a twentieth: setting it is a call of the kernel."""
        if seconds <= self._limit <= seconds * 1.05:
            return
        self._limit = seconds
        if self.encrypted:
            self._sock.settimeout(seconds)
            return
        self._sock.settimeout(None)
        # A limit of zero would be none at all.
        limit = struct.pack("@ll", int(seconds), max(1_000, int(seconds % 1 * 1e6)))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def _line(self, deadline: float) -> bytes:
        end = self._buffer.find(b"\n", self._at)
        while end < 0:
            if len(self._buffer) - self._at > MAX_LINE:
                raise LostError(f"a reply line of more than {MAX_LINE} bytes")
            self._fill(deadline)
            end = self._buffer.find(b"\n", self._at)
        line = self._buffer[self._at : end]
        self._at = end + 1
        if len(line) > MAX_LINE:
            raise LostError(f"a reply line of more than {MAX_LINE} bytes")
        return line.removesuffix(b"\r")

    def _fill(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LostError("no reply in time")
        try:
            self._wait_at_most(left)
            got = self._sock.recv(_CHUNK)
        except _NOT_IN_TIME:
            raise LostError("no reply in time") from None
        except OSError as error:
            raise LostError(_told(error)) from None
        if not got:
            raise LostError(self._failed or "the server closed the connection")
        self._buffer = self._buffer[self._at :] + got
        self._at = 0


def dial(host: str, port: int, seconds: float) -> socket.socket:
    """A connected socket to the first address of `host` that answers, all within `seconds`.

    Each address gets its share of what is left, so that a silent first one does not use it up.
    Raises LostError where none answers. Looking up the name is the system's matter and has
    its own time limit (resolv.conf).
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is no host name
        raise LostError(f"cannot look up {host}: {_told(error)}") from None
    deadline = time.monotonic() + seconds
    why = "no address"
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        left = (deadline - time.monotonic()) / (len(found) - tried)
        if left <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(address)
            prepare(sock)
        except TimeoutError:
            why = f"no answer within {seconds:g} s"
            sock.close()
        except OSError as error:
            why = _told(error)
            sock.close()
        else:
            return sock
    raise LostError(f"cannot connect to {host}:{port}: {why}")


@lru_cache(maxsize=256)
def _one_line(line: bytes) -> Reply:
    """A reply of one line. Most replies of a server are one of a few."""
    return Reply(_code(line), (line[4:].decode("utf-8", "replace"),))


def _code(line: bytes) -> int:
    digits = line[:_CODE_DIGITS]
    if len(digits) < _CODE_DIGITS or not digits.isdigit() or line[3:4] not in {b"", b" ", b"-"}:
        raise LostError("a line that is no SMTP reply")
    return int(digits)


def _told(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the server reset the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
