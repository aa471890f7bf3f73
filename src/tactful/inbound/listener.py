"""The bounce address: a small SMTP or LMTP server that takes mail for it and for nothing else.

What it answers is true: 250 when the reports of a mail are on disk, 451 where the sender is to try
again. Mail that reports nothing, such as an out-of-office reply, is taken and forgotten: to refuse
it would only make more of it. One recipient is taken at a time, since LMTP (RFC 2033) would want an
answer for each.

The server is aiosmtpd's, on an event loop in a thread of its own; what asks the store is handed to
other threads.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from types import TracebackType
from typing import Any, Final, Self

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from tactful.app import Tactful
from tactful.channels.address import Address, parse_email
from tactful.config.service import Inbound
from tactful.core.errors import RequestError, Unavailable
from tactful.engine.feedback.reports import Taken
from tactful.inbound.mail import reports_in

log = logging.getLogger("tactful.inbound")

SIZE_MAX: Final = 33_554_432
IDLE_S: Final = 60.0
COMMANDS_MAX: Final = 100
LINE_MAX: Final = 65_536
"""Octets of a line. SMTP allows 1,000; what comes back in a bounce does not always keep to it."""

TAKEN: Final = "250 2.0.0 taken"
AGAIN: Final = "451 4.3.0 not now, try again"
ONE_BY_ONE: Final = "452 4.5.3 one recipient at a time"
NOT_HERE: Final = "550 5.1.1 no such address here"


class _Smtp(SMTP):
    line_length_limit = LINE_MAX


class _Lmtp(LMTP):
    line_length_limit = LINE_MAX


class Listener:
    """Listens from `start` to `stop`; raises RequestError for an address that is none.

    `port` is the one that was given, or found where none was.
    """

    def __init__(self, app: Tactful, settings: Inbound) -> None:
        self.host = settings.host
        self.port = settings.port or 0
        self._kind = _Lmtp if settings.protocol == "lmtp" else _Smtp
        self._handler = _Handler(app, parse_email(settings.address, "inbound.address"))
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._ready = threading.Event()
        self._error: OSError | None = None

    def start(self) -> None:
        """Listen; raises Unavailable if the port cannot be had."""
        # It writes what clients say into its log, addresses included.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._run, name="tactful-inbound", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            why = self._error.strerror
            raise Unavailable(f"inbound: cannot listen on {self.host}:{self.port}: {why}")

    def stop(self) -> None:
        """Take no more; harmless when repeated."""
        if self._thread is None or self._loop is None or self._over is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
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

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve(self._loop))

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._over = asyncio.Event()
        try:
            server = await loop.create_server(self._session, self.host, self.port)
        except OSError as error:
            self._error = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        # A mail that is not answered yet is not lost: its sender has it, and tries again.

    def _session(self) -> SMTP:
        return self._kind(
            self._handler,
            data_size_limit=SIZE_MAX,
            enable_SMTPUTF8=True,
            ident="tactful",
            hostname="localhost",
            timeout=IDLE_S,
            command_call_limit=COMMANDS_MAX,
            loop=self._loop,
        )


class _Handler:
    """What is answered to RCPT and DATA."""

    def __init__(self, app: Tactful, own: Address) -> None:
        self._app = app
        self._own = own

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only the bounce address, and what stands behind a `+` in it."""
        if not self._is_own(address):
            return NOT_HERE
        if envelope.rcpt_tos:
            return ONE_BY_ONE
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 ok"

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """The reports of a mail are stored, or it has to come again."""
        raw = envelope.original_content or b""
        try:
            loop = asyncio.get_running_loop()
            taken = await loop.run_in_executor(None, self._take, raw, list(envelope.rcpt_tos))
        except Unavailable as error:
            log.warning("a mail was sent back for now: %s", error)
            return AGAIN
        return AGAIN if taken.early else TAKEN

    async def handle_exception(self, error: Exception) -> str:
        """A bug is ours, and the sender may try again."""
        log.error("a mail met a bug: %s", type(error).__name__, exc_info=error)
        return AGAIN

    def _take(self, raw: bytes, recipients: list[str]) -> Taken:
        return self._app.reports.take(reports_in(raw, recipients))

    def _is_own(self, address: Any) -> bool:
        try:
            given = parse_email(address)
        except RequestError:
            return False
        local = given.local.partition("+")[0].lower()
        return (local, given.domain) == (self._own.local.lower(), self._own.domain)
