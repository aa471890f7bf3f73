"""The submission port: mail in, notifications out, so that an application changes three settings.

    host, port   of this service
    user name    the type of what comes in, unless a mail says `X-Tactful-Type`
    password     an API key with the scope send

Each recipient of a mail gets a submission under the same rules as any other. The answer to DATA is
what was decided, and is given when it is on disk; see `session` for the replies.

All sessions run on one event loop in a thread of its own; whatever asks the store is handed to
other threads, and the engine puts what they submit at once into one commit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from tactful.core.errors import ConfigError, Unavailable
from tactful.frontdoors.session import Doorkeeping, SubmissionSession

SESSIONS_MAX: Final = 100
IDLE_S: Final = 60.0
STRANGER_S: Final = 30.0
THREADS: Final = 16
GRACE_S: Final = 10.0


class SubmissionPort:
    """Listens from `start` to `stop`; `port` is the one that was given, or found where 0 was.

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
        self._door = door
        self._tls = tls
        self._hostname = hostname
        self._sessions_max = sessions_max
        self._idle_s = idle_s
        self._stranger_s = stranger_s
        self._sessions: set[SubmissionSession] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._error: OSError | None = None
        self.host = host
        self.port = port

    def start(self) -> None:
        """Listen; raises Unavailable if the port cannot be had."""
        # It writes what clients say into its log, addresses included, and a warning at each login.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._run, name="tactful-submission", daemon=True)
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            self._thread.join()
            raise Unavailable(
                f"submission: cannot listen on {self.host}:{self.port}: {self._error}"
            )

    def stop(self) -> None:
        """Take no more; mails that are complete are answered first. Harmless when repeated."""
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Inside -----------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.set_default_executor(
                ThreadPoolExecutor(THREADS, thread_name_prefix="tactful-submission")
            )
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._greeter, self.host, self.port)
            self.port = server.sockets[0].getsockname()[1]
        except OSError as error:
            self._error = error
            return
        finally:
            self._listening.set()
        await self._stopping.wait()
        server.close()
        await self._finish()

    async def _finish(self) -> None:
        """Answer what is complete, for a while, and end all sessions."""
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

    def _greeter(self) -> asyncio.Protocol:
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
