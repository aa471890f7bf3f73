"""One SMTP session of the submission port: who it is, what they hand in, and what they are told.

Replies follow what was decided, because the sender of a mail sees nothing else:

    250 2.0.0   stored; the text says send, defer until when, digest, ...
    452 4.7.1   a rule with on_limit = "reject" says no for now; the text says until when
    550 5.7.1   such a rule never says yes
    451 4.3.0   the store is out of reach: nothing was stored, hand it in again
    535 5.7.8   no key in force, or one that may not send
    553 5.1.3   an address that is none
    554 5.6.0   the mail is refused: the text names the field and the bound

aiosmtpd speaks the protocol. Corrected here is what it takes more liberally than it should:
addresses are read by our own strict grammar before its parser, which knows comments and quotes and
repairs what it is given, sees them; names of mechanisms are in any case; and a key is looked up
without making all other sessions wait.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tactful.app import Tactful
from tactful.channels.address import parse_email
from tactful.core.errors import RequestError, Unavailable
from tactful.core.model import SECOND, Millis
from tactful.core.names import name_key
from tactful.engine.keys import ApiKey
from tactful.frontdoors.mail import read_mail
from tactful.frontdoors.replies import refusal, reply, submissions

log = logging.getLogger("tactful.frontdoors")

SIZE_MAX: Final = 5_000_000
RECIPIENTS_MAX: Final = 100
# Nobody has to say these often. MAIL, RCPT and DATA are as many as there are mails.
CALLS: Final = {"*": 2**31, "AUTH": 3, "NOOP": 1000, "HELP": 10, "VRFY": 10, "EHLO": 10, "HELO": 10}

STRANGER: Final = "530 5.7.0 log in first: an API key is the password"
REFUSED: Final = "535 5.7.8 send a key in force, with the scope send, as the password"
WAIT_FOR_KEYS: Final = "454 4.7.0 the keys are out of reach; try again"
WAIT: Final = "451 4.3.0 nothing was stored; hand it in again"
CHALLENGES: Final = ("Username:", "Password:")


@dataclass(frozen=True, slots=True)
class Doorkeeping:
    """Who may come in, and to whom they speak then.

    `holder` gives the key that a text opens, or None; it may look into the store and raise
    Unavailable. `engine_of` gives the engine for the key's holder, and may raise the same.
    `wait_ms` counts a mail and says how long the key's holder has to wait with it, mostly 0.
    """

    holder: Callable[[str], ApiKey | None]
    engine_of: Callable[[ApiKey], Tactful]
    wait_ms: Callable[[ApiKey], Millis]


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody logged in with, and the type of what they hand in if the mail names none.

    The key is asked for again with each mail: one that was revoked must open nothing.
    """

    token: str = field(repr=False)
    type: str


class SubmissionSession(SMTP):
    """A session over one connection, which is in `open_sessions` for as long as it lasts."""

    def __init__(
        self,
        door: Doorkeeping,
        open_sessions: set[SubmissionSession],
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        idle_s: float,
        stranger_s: float,
    ) -> None:
        super().__init__(
            self,
            data_size_limit=SIZE_MAX,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="Tactful",
            tls_context=tls,
            timeout=idle_s,
            auth_require_tls=tls is not None,
            command_call_limit=CALLS,
            loop=asyncio.get_running_loop(),
        )
        self._door = door
        self._open_sessions = open_sessions
        self._stranger_s = stranger_s
        self.busy = False

    # Connections ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called once more when TLS has begun, with nothing known of before."""
        if self not in self._open_sessions:
            self._open_sessions.add(self)
            self.loop.call_later(self._stranger_s, self._leave_stranger)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._open_sessions.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()

    def _leave_stranger(self) -> None:
        if self.session is not None and not self.session.authenticated:
            self.hang_up()

    async def handle_exception(self, error: Exception) -> str:
        """What a bug, or a line that breaks the parser, is answered with."""
        log.error("a session met a bug: %s", type(error).__name__, exc_info=error)
        return "451 4.3.0 an error on this side; try again"

    # Who it is --------------------------------------------------------------------------------

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """AUTH, with the name of its mechanism in any case (RFC 4954 section 4)."""
        name, blank, rest = (arg or "").partition(" ")
        await super().smtp_AUTH(f"{name.upper()}{blank}{rest}")

    async def auth_PLAIN(self, _: object, args: list[str]) -> AuthResult:  # noqa: N802
        """User name and key in one piece (RFC 4616)."""
        given = await self._given(args[1:], "")
        parts = [] if given is None else given.split(b"\0")
        if len(parts) != 3:
            return AuthResult(success=False, handled=given is None, message=REFUSED)
        return await self._known(parts[1], parts[2])

    async def auth_LOGIN(self, _: object, args: list[str]) -> AuthResult:  # noqa: N802
        """User name and key one after the other."""
        name = await self._given(args[1:], CHALLENGES[0])
        password = None if name is None else await self._given([], CHALLENGES[1])
        if name is None or password is None:
            return AuthResult(success=False)  # it has been told why
        return await self._known(name, password)

    async def _given(self, args: list[str], challenge: str) -> bytes | None:
        """What came with the command, or what comes when it is asked for."""
        if args:
            try:
                return b64decode(args[0] if args[0] != "=" else "", validate=True)
            except ValueError:
                await self.push("501 5.5.2 this is no base64")
                return None
        answer = await self.challenge_auth(challenge)
        return answer if isinstance(answer, bytes) else None

    async def _known(self, name: bytes, password: bytes) -> AuthResult:
        try:
            kind = name_key(name.decode(), "user name")
            token = password.decode()
            key = await asyncio.to_thread(self._sender, token)
        except (UnicodeDecodeError, RequestError):
            key, kind, token = None, "", ""
        except Unavailable:
            return AuthResult(success=False, handled=False, message=WAIT_FOR_KEYS)
        if key is None:
            return AuthResult(success=False, handled=False, message=REFUSED)
        return AuthResult(success=True, auth_data=Login(token, kind))

    def _sender(self, token: str) -> ApiKey | None:
        """The key that a text opens, if its holder may send."""
        key = self._door.holder(token)
        return key if key is not None and key.allows("send") else None

    # What they hand in ------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Begin a mail; its sender has to be an address, and is not used."""
        assert self.session is not None
        if not self.session.authenticated:
            await self.push(STRANGER)
        elif await self._is_path(arg, "FROM:"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """Name one recipient."""
        assert self.envelope is not None
        if len(self.envelope.rcpt_tos) >= RECIPIENTS_MAX:
            await self.push(f"452 4.5.3 at most {RECIPIENTS_MAX} recipients for one mail")
        elif await self._is_path(arg, "TO:"):
            await super().smtp_RCPT(arg)

    async def _is_path(self, arg: str | None, keyword: str) -> bool:
        """Whether there is exactly one plain address in angle brackets; if not, it is said."""
        text = (arg or "")[len(keyword) :].strip()
        path, closed, _ = text.partition(">")
        if (arg or "")[: len(keyword)].upper() != keyword or not path.startswith("<") or not closed:
            await self.push(f"501 5.5.4 Syntax: {keyword}<address>")
            return False
        try:
            parse_email(path[1:], keyword.rstrip(":").lower())
        except RequestError as error:
            await self.push(f"553 5.1.3 {refusal(error)}")
            return False
        return True

    async def handle_DATA(  # noqa: N802
        self, _: object, session: Session, envelope: Envelope
    ) -> str:
        """The end of a mail: what was decided about it is the answer."""
        self.busy = True
        try:
            return await asyncio.to_thread(self._handed_in, session.auth_data, envelope)
        finally:
            self.busy = False

    def _handed_in(self, login: Any, envelope: Envelope) -> str:
        assert isinstance(login, Login)
        assert isinstance(envelope.content, bytes)
        try:
            mail = read_mail(envelope.content)
            items = submissions(mail, login.type, envelope.rcpt_tos)
            key = self._sender(login.token)
            if key is None:
                return REFUSED
            wait_ms = self._door.wait_ms(key)
            if wait_ms:
                return f"451 4.7.0 the key asks too often; try again in {-(-wait_ms // SECOND)} s"
            engine = self._door.engine_of(key)
            return reply(engine.send_each(items), engine.clock.now())
        except RequestError as error:
            return f"554 5.6.0 {refusal(error)}"
        except Unavailable as error:
            log.warning("a mail could not be stored: %s", error)
            return WAIT
