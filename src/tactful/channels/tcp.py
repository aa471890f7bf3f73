"""How TCP carries what must not arrive long after it was allowed to go.

What is written to a socket is the kernel's from then on. While the network is away, it keeps it
and tries again and again, for a quarter of an hour and after the socket was closed, too. A mail
that was written within its permit would then arrive when the network is back, beside the copy that
another worker has sent meanwhile. So the kernel gives up what nobody has acknowledged for 10
seconds (RFC 5482), and the hand-over is one without an answer.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

UNANSWERED_MS: Final = 10_000
"""The kernel keeps nothing longer than that which the other end has not acknowledged."""


def prepare(sock: socket.socket) -> None:
    """Set what every connection to a receiver has."""
    # Commands are written in whole groups; waiting for more to send would only delay.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
