"""An SMTP server on the loopback that accepts everything, or fails exactly as a script says.

    with SmtpSink() as sink:
        channel = SmtpChannel(host=sink.host, port=sink.port, sender="me@example.org")
        channel.send([...])
        assert sink.messages[0].rcpt_tos == ("ann@example.org",)

It is strict where real servers have been fooled: data ends with CRLF . CRLF and with nothing else
(SMTP smuggling, VU#302671), and whoever pipelines commands without being offered PIPELINING is
told off and noted in `violations`.

It is quick, because a demonstration pushes tens of thousands of messages through it: input is
read in large pieces, and all replies to one piece go out in one write.

With `log`, each message is on file (one JSON object a line, flushed to the operating system)
before its 250 goes out. So what a client was told is always in the log, and a test that kills the
client can tell from it what was lost and what came twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tactful.testing.smtp_dialogue import (
    Dialogue,
    Envelope,
    Fault,
    Offers,
    OverError,
    Received,
    Script,
    SessionScript,
)

__all__ = ["Envelope", "Fault", "Received", "SmtpSink"]

_MESSAGE_ID = re.compile(rb"(?:^|\r\n)message-id:[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)", re.IGNORECASE)


class SmtpSink:
    """The server; a context manager, listening from `__enter__` (or `start`) on.

    `pipelining`, `size` (octets), `eight_bit`, `smtputf8` and `ehlo` say what is offered.
    `starttls` and `implicit_tls` are server-side contexts. With `auth=(username, password)` mail
    is refused before a login. With `lenient_data`, DATA is answered 354 even without a recipient
    and the message refused at its end, as RFC 2920 section 3.1 allows.

    `faults(n, envelope)` is asked at MAIL, when `rcpt_tos` is still empty, and, if it said None,
    again at the first RCPT; `n` counts messages from 0 over all connections. It has to be a
    function of its arguments. `session_faults(session)` is asked once for each connection, about
    the stages greeting, ehlo, starttls and auth.

    `on_message` is called in the connection's thread before the 250 goes out. What it or a script
    raises ends the connection and is raised again by `close`.
    """

    def __init__(
        self,
        *,
        pipelining: bool = True,
        size: int | None = 10_485_760,
        eight_bit: bool = True,
        smtputf8: bool = True,
        ehlo: bool = True,
        starttls: ssl.SSLContext | None = None,
        implicit_tls: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        auth_mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
        lenient_data: bool = False,
        on_message: Callable[[Received], None] | None = None,
        faults: Script | None = None,
        session_faults: SessionScript | None = None,
        log: str | os.PathLike[str] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.host: Final = host
        self.offers = Offers(
            pipelining,
            size,
            eight_bit,
            smtputf8,
            ehlo,
            starttls,
            implicit_tls,
            auth,
            auth_mechanisms,
            lenient_data,
        )
        self.faults = faults
        self.session_faults = session_faults
        self.port = port
        self._on_message = on_message
        self._log_path = None if log is None else Path(log)
        self._log: int | None = None
        self._lock = threading.Lock()
        self._messages: list[Received] = []
        self._violations: list[str] = []
        self._errors: list[BaseException] = []
        self._begun = 0
        self._sessions = 0
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.closing = threading.Event()

    def __enter__(self) -> SmtpSink:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> SmtpSink:
        """Listens; `port` is known from here on."""
        self._listener = socket.create_server((self.host, self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        if self._log_path is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._log = os.open(self._log_path, flags, 0o644)
        acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        acceptor.start()
        self._threads.append(acceptor)
        return self

    def close(self) -> None:
        """Stops and cuts every connection; a second time does nothing.

        Raises what a script or `on_message` raised, once.
        """
        self.closing.set()
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        listener.close()
        self._threads[0].join()
        self.drop_connections()
        for thread in self._threads[1:]:
            thread.join()
        if self._log is not None:
            os.close(self._log)
        if self._errors:
            raise self._errors.pop(0)

    def drop_connections(self) -> None:
        """Cuts every open connection, as a restart of the server does; new ones are welcome."""
        with self._lock:
            open_now = list(self._sockets)
        for sock in open_now:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def messages(self) -> list[Received]:
        """All messages accepted by now, in the order of acceptance."""
        with self._lock:
            return self._messages.copy()

    @property
    def violations(self) -> list[str]:
        """Where a client broke the protocol."""
        with self._lock:
            return self._violations.copy()

    @property
    def sessions(self) -> int:
        """How many connections were accepted by now."""
        with self._lock:
            return self._sessions

    def begin(self) -> int:
        """The number of the next message."""
        with self._lock:
            self._begun += 1
            return self._begun - 1

    def violation(self, text: str) -> None:
        """Notes a breach of the protocol."""
        with self._lock:
            self._violations.append(text)

    def take(self, received: Received) -> None:
        """Records an accepted message: log, list, callback."""
        if self._log is not None:
            found = _MESSAGE_ID.search(received.data)
            entry = {
                "message_id": found.group(1).decode("utf-8", "replace").strip() if found else None,
                "rcpt": list(received.rcpt_tos),
                "wall_ms": time.time_ns() // 1_000_000,
            }
            # One write to a file opened for appending: lines of several threads do not mix.
            os.write(self._log, json.dumps(entry).encode() + b"\n")
        with self._lock:
            self._messages.append(received)
        if self._on_message is not None:
            self._on_message(received)

    def _accept(self, listener: socket.socket) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._sessions += 1
                number = self._sessions
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        connection = Dialogue(self, sock, number)
        self.swap(None, sock)
        try:
            if not self.closing.is_set():
                connection.run()
        except (OSError, OverError):
            pass
        except BaseException as error:
            with self._lock:
                self._errors.append(error)
        finally:
            self.swap(connection.sock, None)
            connection.sock.close()

    def swap(self, old: socket.socket | None, new: socket.socket | None) -> None:
        """Keeps track of the sockets to cut when the sink closes."""
        with self._lock:
            if old is not None:
                self._sockets.discard(old)
            if new is not None:
                self._sockets.add(new)
