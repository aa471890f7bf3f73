"""The other ends: a mail server and a webhook's receiver, with one log of all that arrived.

Each line is in the log before its sender hears that it arrived, so whatever a sender was told is
there. One address is refused for a moment the first time, and one call of the webhook: retries.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tactful.testing.smtp_sink import Envelope, Fault, SmtpSink

BUSY = "busy@example.org"


class Wire:
    """A context manager; `log` is the file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.sink = SmtpSink(log=log, faults=self._fault)
        self._refused = False
        self._hook = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._hook.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Wire:
        self.sink.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.close()
        self._hook.shutdown()
        self._hook.server_close()

    @property
    def ports(self) -> tuple[int, int]:
        """Of the mail server and of the webhook's receiver."""
        return self.sink.port, self._hook.server_port

    def _fault(self, _number: int, envelope: Envelope) -> Fault | None:
        if envelope.rcpt_tos == (BUSY,) and not self._refused:
            self._refused = True
            return Fault.reply("rcpt", "451 4.3.0 busy")
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        log = self.log
        calls: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                text = self.rfile.read(length)
                if len(text) < length:
                    return  # its sender is gone
                body = json.loads(text)
                calls.append(self.headers["webhook-id"])
                taken = len(calls) > 1
                if taken:
                    entry = {
                        "message_id": f"<{self.headers['webhook-id']}@hook>",
                        "rcpt": [body["address"]],
                        "wall_ms": time.time_ns() // 1_000_000,
                    }
                    with log.open("ab", buffering=0) as file:
                        file.write(json.dumps(entry).encode() + b"\n")
                self.send_response(200 if taken else 503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

        return Handler
