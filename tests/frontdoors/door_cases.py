"""What the tests of the submission port share: the port, clients of several kinds, and mails."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from tactful import State, Tactful
from tactful.engine.keys import ApiKey
from tactful.frontdoors.session import Doorkeeping
from tactful.frontdoors.submission import SubmissionPort
from tactful.http.keyring import Keyring
from tactful.testing import CaptureChannel, ManualClock

NOON = 1_800_000_000_000


class House:
    """An engine, a key that may send, and the port through which mail comes in."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.clock = ManualClock(NOON)
        self.sent = CaptureChannel("email")
        self.app = Tactful("memory://", channels=[self.sent], clock=self.clock, seed=1)
        _, self.token = self.app.keys.create("application", ("send",), author="test")
        # A key is looked up anew each time: the ring's clock always says that time has passed.
        self.ring = Keyring(self.app, iter(range(0, 10**9, 10_000)).__next__)
        self.port = SubmissionPort(
            Doorkeeping(self.holder, self.engine_of, self.throttled),
            tls=tls,
            hostname="mx.example.org",
            **options,
        )
        self.wait_ms = 0
        self.engine_of_key: Callable[[ApiKey], Tactful] = lambda _: self.app

    def holder(self, token: str) -> ApiKey | None:
        return self.ring.holder(token)

    def throttled(self, key: ApiKey) -> int:
        return self.wait_ms

    def engine_of(self, key: ApiKey) -> Tactful:
        return self.engine_of_key(key)

    def __enter__(self) -> Self:
        self.port.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.port.stop()
        self.app.close()

    def hold(self) -> tuple[threading.Event, threading.Event]:
        """Keep who hands in a mail waiting: (somebody waits, they may go on)."""
        begun, go_on = threading.Event(), threading.Event()

        def waiting(_: ApiKey) -> Tactful:
            begun.set()
            assert go_on.wait(30)
            return self.app

        self.engine_of_key = waiting
        return begun, go_on

    def client(self, user: str = "status", *, login: bool = True) -> smtplib.SMTP:
        """The standard library's client, logged in."""
        made = smtplib.SMTP("127.0.0.1", self.port.port, timeout=30)
        if login:
            made.login(user, self.token)
        return made

    def stored(self) -> list[tuple[str, str, State]]:
        """Type, address and state of all that was accepted."""
        return [(row.type, row.address, row.state) for row in self.app.deliveries()]

    def words(self, recipient: str = "ada@example.com") -> list[str]:
        """What somebody has been sent, when all that is due has gone out."""
        self.app.tick()
        return [message.text for message in self.sent.messages if message.address == recipient]


class Wire:
    """A client that sends exactly the octets it is given, and reads one reply at a time."""

    def __init__(self, house: House) -> None:
        self._socket = socket.create_connection(("127.0.0.1", house.port.port), timeout=30)
        self._replies = self._socket.makefile("rb")
        self.greeting = self.reply()

    def secure(self, trusting: ssl.SSLContext) -> None:
        """Go on over TLS."""
        self._replies.close()
        self._socket = trusting.wrap_socket(self._socket, server_hostname="localhost")
        self._replies = self._socket.makefile("rb")

    def say(self, octets: bytes) -> str:
        """Send, and give the whole reply."""
        self._socket.sendall(octets)
        return self.reply()

    def reply(self) -> str:
        lines = []
        while True:
            line = self._replies.readline().decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def mail(text: str = "It works.", subject: str = "Hi", **headers: str) -> EmailMessage:
    """A mail with some of our headers, such as `type="news"`."""
    made = EmailMessage()
    made["From"] = "app@example.com"
    made["To"] = "ada@example.com"
    made["Subject"] = subject
    for name, value in headers.items():
        made["X-Tactful-" + name.replace("_", "-").title()] = value
    made.set_content(text)
    return made


def answer(client: smtplib.SMTP, content: EmailMessage | bytes, *to: str) -> tuple[int, str]:
    """The reply to the end of a mail."""
    policy_bytes = content if isinstance(content, bytes) else wire_form(content)
    assert client.mail("app@example.com")[0] == 250
    for address in to or ("ada@example.com",):
        assert client.rcpt(address)[0] == 250
    code, said = client.data(policy_bytes)
    return code, said.decode()


def wire_form(content: EmailMessage) -> bytes:
    return content.as_bytes(policy=content.policy.clone(linesep="\r\n"))
