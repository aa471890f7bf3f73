"""What the tests of the e-mail channel share: messages, timeouts, scripted servers."""

import contextlib
import socket
import threading
from typing import Any

from tactful.channels.smtp import Timeouts
from tactful.core.model import Message
from tactful.testing.smtp_sink import Fault

SENDER = "Tactful <tactful@example.org>"
QUICK = Timeouts(connect=0.2, command=0.2, dot=0.2)
PASSWORD = "hunter2 ü\\"
AT = 1_700_000_000_000


def message(number: int = 1, **changes: Any) -> Message:
    given: dict[str, Any] = {
        "id": f"m{number}",
        "notification_id": "n",
        "recipient": f"u{number}",
        "address": f"u{number}@example.org",
        "type": "status",
        "subject": f"Subject {number}",
        "text": f"Text {number}\n.\n..dots\n",
        "html": None,
        "at": AT,
    }
    return Message(**(given | changes))


def messages(count: int) -> list[Message]:
    return [message(number) for number in range(count)]


def only_second(fault: Fault):
    return lambda n, _: fault if n == 1 else None


def scripted(*turns: bytes) -> tuple[threading.Thread, int]:
    """A server that says each of `turns` in turn: the first at once, each other after input."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:  # takes one connection, and refuses any other from then on
            sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            for turn in turns:
                sock.sendall(turn)
                if not sock.recv(65_536):
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, listener.getsockname()[1]
