"""Processes that are killed, and what they have sent."""

from __future__ import annotations

import email
import email.policy
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tactful.testing.smtp_sink import Received, SmtpSink

PROGRAM = Path(__file__).with_name("sending_process.py")


class Killer:
    """An SMTP server that kills the process that sends to it.

    With `kill_at`, the sender is killed with SIGKILL while it waits for the answer to that
    message, counted from 1 over all senders; the answer never reaches it. With `kill_for`, it is
    killed at every message to that address.
    """

    def __init__(self) -> None:
        self.kill_at: int | None = None
        self.kill_for: str | None = None
        self.sink = SmtpSink(on_message=self._took)
        self._lock = threading.Lock()
        self._taken = 0
        self._sender: subprocess.Popen[str] | None = None

    def __enter__(self) -> Killer:
        self.sink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.close()

    def run(
        self,
        url: str,
        wanted: Sequence[Mapping[str, Any]] = (),
        *,
        kill_at: int | None = None,
        timeout_s: float = 60,
    ) -> int:
        """Let one sender run to its end, gives its exit code: negative if it was killed."""
        self.kill_at = kill_at
        command = [sys.executable, str(PROGRAM), url, str(self.sink.port), json.dumps(wanted)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
            self._sender = sender
            try:
                sender.communicate(timeout=timeout_s)
            finally:
                sender.kill()
        return sender.returncode

    def recipients(self) -> list[str]:
        """Whom the server took mail for, in order."""
        return [to for message in self.sink.messages for to in message.rcpt_tos]

    def _took(self, message: Received) -> None:
        with self._lock:
            self._taken += 1
            counted = self.kill_at is not None and self._taken >= self.kill_at
            if counted or self.kill_for in message.rcpt_tos:
                assert self._sender is not None
                self._sender.kill()
                self._sender.wait()


def parsed(message: Received) -> email.message.EmailMessage:
    """A mail as a receiver reads it."""
    found = email.message_from_bytes(message.data, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found
