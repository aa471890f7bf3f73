"""The bounce address: a small SMTP or LMTP server that takes mail for it and for nothing else.

What it answers is true: 250 when the reports of a mail are on disk, 451 where the sender is to try
again. Mail that reports nothing, such as an out-of-office reply, is taken and forgotten: to refuse
it would only make more of it. One recipient is taken at a time, since LMTP (RFC 2033) would want an
answer for each.

The sessions are aiosmtpd's; what asks the store is handed to other threads than theirs.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from tactful.app import Tactful
from tactful.channels.address import Address, parse_email
from tactful.config.service import Inbound
from tactful.core.errors import RequestError, Unavailable
from tactful.engine.feedback.reports import Taken
from tactful.inbound.mail import reports_in
from tactful.runtime.server_thread import ServerThread

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


class Listener(ServerThread):
    """Takes bounces in; see `ServerThread` for how it is started and stopped.

    A mail that is not answered by then is not lost: its sender has it, and tries again. Raises
    RequestError for an address that is none.
    """

    def __init__(self, app: Tactful, settings: Inbound) -> None:
        super().__init__("inbound", settings.host, settings.port or 0)
        self._kind = _Lmtp if settings.protocol == "lmtp" else _Smtp
        self._handler = _Handler(app, parse_email(settings.address, "inbound.address"))

    def greet(self) -> SMTP:
        """A session; what it says is up to `_Handler`."""
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
