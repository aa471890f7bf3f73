"""The submission port: mail in, notifications out, so that an application changes three settings.

    host, port   of this service
    user name    the type of what comes in, unless a mail says `X-Tactful-Type`
    password     an API key with the scope send

Each recipient of a mail gets a submission under the same rules as any other. The answer to DATA is
what was decided, and is given when it is on disk; see `session` for the replies.

Whatever asks the store is handed to other threads than that of the sessions, and the engine puts
what they submit at once into one commit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from contextlib import suppress
from typing import Final

from tactful.core.errors import ConfigError
from tactful.frontdoors.session import Doorkeeping, SubmissionSession
from tactful.runtime.server_thread import ServerThread

SESSIONS_MAX: Final = 100
IDLE_S: Final = 60.0
STRANGER_S: Final = 30.0
GRACE_S: Final = 10.0


class SubmissionPort(ServerThread):
    """Takes mail in; see `ServerThread` for how it is started and stopped.

    `tls` is a context with a certificate; with it, nobody can log in before STARTTLS. Without it
    any other `host` than a loopback address raises ConfigError: no key may travel in the clear.
    `hostname` is how the server introduces itself. A session may be silent for `idle_s`, take as
    long for one mail, and be nobody's for `stranger_s`.
    """

    def __init__(
        self,
        door: Doorkeeping,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        hostname: str = "localhost",
        sessions_max: int = SESSIONS_MAX,
        idle_s: float = IDLE_S,
        stranger_s: float = STRANGER_S,
    ) -> None:
        if tls is None and not is_loopback(host):
            raise ConfigError(
                f"submission.certificate: is needed to take keys on {host!r}, not only on loopback"
            )
        super().__init__("submission", host, port)
        self._door = door
        self._tls = tls
        self._hostname = hostname
        self._sessions_max = sessions_max
        self._idle_s = idle_s
        self._stranger_s = stranger_s
        self._sessions: set[SubmissionSession] = set()

    async def finish(self) -> None:
        """Answer the mails that are complete, for a while, and end all sessions."""
        for session in list(self._sessions):
            if not session.busy:
                session.hang_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._answered()
        for session in list(self._sessions):
            session.hang_up()

    async def _answered(self) -> None:
        while any(session.busy for session in self._sessions):
            await asyncio.sleep(0.01)

    def greet(self) -> asyncio.Protocol:
        """A session, or a word of regret where there are too many."""
        if len(self._sessions) >= self._sessions_max:
            return _Full()
        return SubmissionSession(
            self._door,
            self._sessions,
            hostname=self._hostname,
            tls=self._tls,
            idle_s=self._idle_s,
            stranger_s=self._stranger_s,
        )


class _Full(asyncio.Protocol):
    """For who comes when there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 4.3.2 too many sessions; try again\r\n")
        transport.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(certificate: str, private_key: str) -> ssl.SSLContext:
    """A context for STARTTLS from two PEM files; raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, private_key, password="")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"submission.certificate: cannot use {certificate} with {private_key}: {why}"
        ) from None
    return context
