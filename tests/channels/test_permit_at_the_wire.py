"""A permit is looked at last: a process may stand still at any call of the kernel before a write.

What a process finds when it goes on is played by sockets at whose calls the permit ends.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tactful.channels.egress.wire import Wire as EgressWire
from tactful.channels.smtp.wire import Wire as SmtpWire


class Freezing(socket.socket):
    """Whoever sets a limit on it stands still there until a permit has ended."""

    ended = False

    def setsockopt(self, *given: Any) -> None:
        self.ended = True
        super().setsockopt(*given)

    def settimeout(self, value: float | None) -> None:
        self.ended = True
        super().settimeout(value)


class TooLateError(Exception):
    pass


@pytest.fixture
def ends() -> Iterator[tuple[Freezing, socket.socket]]:
    """A connection: our end and that of the peer."""
    with contextlib.ExitStack() as stack:
        ours, theirs = socket.socketpair()
        frozen = stack.enter_context(Freezing(fileno=ours.detach()))
        theirs.setblocking(False)
        yield frozen, stack.enter_context(theirs)


def got(peer: socket.socket) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return peer.recv(100)
    return b""


def test_no_mail_is_written_after_its_permit_ended(ends: tuple[Freezing, socket.socket]) -> None:
    ours, theirs = ends
    wire = SmtpWire(ours)

    assert wire.write(b"late", 5, lambda: not ours.ended) is None
    assert (wire.took_part, got(theirs)) == (False, b"")
    assert wire.write(b"in time", 5) is True
    assert got(theirs) == b"in time"


def test_no_request_is_written_after_its_permit_ended(
    ends: tuple[Freezing, socket.socket],
) -> None:
    ours, theirs = ends

    def look() -> None:
        if ours.ended:
            raise TooLateError

    wire = EgressWire(ours, time.monotonic, 1_000)
    wire.arm(time.monotonic() + 5, look)
    with pytest.raises(TooLateError):
        wire.sendall(b"late")
    assert got(theirs) == b""

    wire.arm(time.monotonic() + 5)
    wire.sendall(b"in time")
    assert got(theirs) == b"in time"
