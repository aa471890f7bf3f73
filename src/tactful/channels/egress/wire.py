"""One connected socket with a deadline, in the shape that `http.client` reads from and writes to.

`http.client` knows a timeout for each read only, and a server that sends a byte each second would
restart it for ever; and it takes a hundred header lines of 64 KB. So it gets its bytes from here,
where the time until a deadline and the bytes of an answer are counted, whatever they are used for.

A failed write is not reported at once. The peer may have said why before it hung up, and that
answer is still to be read; if there is none, the read fails.
"""

from __future__ import annotations

import io
import select
import socket
from collections.abc import Callable
from typing import Any


class LimitError(Exception):
    """The answer was longer, or took longer, than is allowed; the text says which."""


class Wire:
    """A socket for exchanges of at most `max_bytes` of answer; each begins with `arm`."""

    def __init__(self, sock: socket.socket, monotonic: Callable[[], float], max_bytes: int) -> None:
        self._sock = sock
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._room = 0
        self._deadline = 0.0
        self._last_look: Callable[[], None] = _nothing

    def arm(self, deadline: float, last_look: Callable[[], None] | None = None) -> None:
        """Allow another answer, to be read until `deadline` (of the monotonic clock).

        `last_look` is taken right before each write, and may raise to prevent it. A request that
        is left in its middle is none.
        """
        self._deadline = deadline
        self._room = self._max_bytes
        self._last_look = last_look or _nothing

    @property
    def quiet(self) -> bool:
        """Whether the peer has said nothing more, not even that it goes away."""
        return not select.select([self._sock], [], [], 0)[0]

    def hang_up(self) -> None:
        """Close the socket; harmless when repeated."""
        self._sock.close()

    def read_into(self, buffer: memoryview) -> int:
        """Read what has come; 0 at the end. Raises LimitError, OSError."""
        if self._room <= 0:
            raise LimitError("the answer is too long")
        try:
            self._wait_at_most()
            got = self._sock.recv_into(buffer[: self._room])
        except TimeoutError:
            raise LimitError("no answer in time") from None
        self._room -= got
        return got

    # The part of a socket that http.client uses -----------------------------------------------

    def sendall(self, data: bytes) -> None:
        """Write `data`, or find that the peer takes no more; raises LimitError at the deadline."""
        view = memoryview(data)
        try:
            while view:
                self._wait_at_most()
                self._last_look()
                view = view[self._sock.send(view) :]
        except TimeoutError:
            raise LimitError("the request was not taken in time") from None
        except OSError:
            return

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bytes of one answer; closing that file leaves the socket open."""
        return io.BufferedReader(_Answering(self))

    def close(self) -> None:
        """Do nothing: `http.client` closes before it has read the body; we hang up ourselves."""

    def _wait_at_most(self) -> None:
        left = self._deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)


def _nothing() -> None:
    """Nobody wants to look."""


class _Answering(io.RawIOBase):
    """A wire as the raw file below a buffered one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.read_into(memoryview(buffer))
