"""What is written to a receiver does not stay in the kernel for long; `make prove` shows it."""

from __future__ import annotations

import socket

from tactful.channels.smtp.wire import dial
from tactful.channels.tcp import UNANSWERED_MS


def test_the_kernel_gives_up_what_a_mail_server_does_not_acknowledge() -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dial("127.0.0.1", server.getsockname()[1], 5) as sock,
    ):
        kept_ms = option and sock.getsockopt(socket.IPPROTO_TCP, option)
    assert kept_ms == (UNANSWERED_MS if option else None)
