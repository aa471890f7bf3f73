"""The e-mail channel: messages in, one outcome each, over connections that are kept open.

A `send` takes a kept connection or opens one; it never shares one with another call, so one
message at most is in doubt per call (`delivery`). A server may close a kept connection at any
time. That is noticed before it is used again where possible, and where it is noticed only at the
first command, a second connection is opened for the same messages: nothing was sent over the
first, so nothing can arrive twice.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from tactful.channels.address import parse_email
from tactful.channels.dkim import DkimSigner
from tactful.channels.mime import MailError, MailWriter
from tactful.channels.smtp.delivery import Mail, StaleError, deliver
from tactful.channels.smtp.protocol import (
    Credentials,
    RefusedError,
    Security,
    Server,
    Session,
    Timeouts,
    connect,
)
from tactful.channels.smtp.replies import served
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Message, Outcome, Rejected

MAX_IDLE_SECONDS: Final = 60.0
"""A connection unused for longer is not used again; servers wait for 5 minutes, some for one."""

ID: Final = "{id}"
ID_LENGTH: Final = 32
"""What stands for a message's id in a return address, and how long the engine's ids are."""

_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,253}")
_SCHEMES: Final[dict[str, tuple[Security, int]]] = {"smtp": ("none", 25), "smtps": ("tls", 465)}
_PORTS: Final[dict[Security, int]] = {"none": 25, "starttls": 587, "tls": 465}


class SmtpChannel:
    """Sends mail through one SMTP server. Any thread may use it.

    `security` is `none`, `starttls` (encrypted or not at all) or `tls` (encrypted from the first
    byte). A password is refused with `none`, unless the server is on this machine. `sender` and
    `reply_to` are `address` or `name <address>`; bounces go to `bounce_address`, by default the
    sender's; where that holds `{id}`, each message has its own (VERP). `connections` is how many
    are opened at most, `batch` how many messages a caller
    should give to one `send`. `ssl_context` replaces the default one, which checks the server's
    certificate and name against the system's authorities. `dkim` signs each mail.

    Raises ConfigError for a combination that cannot work, RequestError for an address that is
    none.
    """

    address_kind: str | None = "email"

    def __init__(
        self,
        *,
        host: str,
        port: int | None = None,
        security: Security = "none",
        username: str | None = None,
        password: str | None = None,
        sender: str,
        reply_to: str | None = None,
        bounce_address: str | None = None,
        message_id_domain: str | None = None,
        connections: int = 4,
        batch: int = 50,
        timeouts: Timeouts | None = None,
        local_hostname: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        dkim: DkimSigner | None = None,
        name: str = "email",
    ) -> None:
        _check(host, security, username, password, local_hostname)
        if connections < 1 or batch < 1:
            raise ConfigError("smtp: connections and batch must be at least 1")
        port = _PORTS[security] if port is None else port
        if not 0 < port < 65_536:
            raise ConfigError(f"smtp: port must be 1 to 65535, not {port}")
        if ssl_context is None and security != "none":
            ssl_context = ssl.create_default_context()
        self.name = name
        self.concurrency = connections
        self.batch = batch
        self._server = Server(
            host=host,
            port=port,
            security=security,
            credentials=None if username is None else Credentials(username, password or ""),
            local_hostname=local_hostname,
            tls=ssl_context,
            timeouts=timeouts or Timeouts(),
        )
        self._writer = MailWriter(sender, message_id_domain=message_id_domain, reply_to=reply_to)
        self._dkim = dkim
        bounce = self._writer.sender
        if bounce_address is not None:
            bounce = parse_email(bounce_address, "bounce_address")
            parse_email(bounce_address.replace(ID, "0" * ID_LENGTH), "bounce_address")
        self._bounce = bounce.mailbox
        self._free = threading.BoundedSemaphore(connections)
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._closings = 0

    @classmethod
    def from_url(cls, url: str, *, sender: str, **options: Any) -> SmtpChannel:
        """A channel for `smtp://user:password@host:587?security=starttls` or `smtps://...`.

        User and password are percent-decoded. After `?` may stand `security` (`smtp` only),
        `connections`, `batch`, `local_hostname`, `reply_to`, `bounce_address` and
        `message_id_domain`; `options` are those of the constructor and win over the URL. Raises
        ConfigError for anything else; its text never holds the password.
        """
        return cls(sender=sender, **(_read_url(url) | options))

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Sends each message; one outcome for each, in order.

        Never raises for trouble with a message or the server. Blocks while as many calls as
        there are connections are under way, and then no longer than the timeouts allow.
        """
        outcomes: list[Outcome | None] = [None] * len(messages)
        mails: list[Mail] = []
        places: list[int] = []
        for place, message in enumerate(messages):
            made = self._compose(message)
            if isinstance(made, Mail):
                mails.append(made)
                places.append(place)
            else:
                outcomes[place] = made
        if mails:
            with self._free:
                for place, found in zip(places, self._deliver(mails), strict=True):
                    outcomes[place] = found
        return [found for found in outcomes if found is not None]

    def served(self, outcome: Outcome) -> bool | None:
        """What one of our outcomes says about the server; see `replies.served`."""
        return served(outcome)

    def close(self) -> None:
        """Closes the connections; those in use are closed when their call ends. Idempotent.

        A later `send` opens a new one.
        """
        with self._lock:
            self._closings += 1
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def __repr__(self) -> str:
        server = self._server
        account = ""
        if server.credentials is not None:
            account = f"{server.credentials.username}:***@"
        scheme = "smtps" if server.security == "tls" else "smtp"
        query = "?security=starttls" if server.security == "starttls" else ""
        return f"<SmtpChannel {self.name} {scheme}://{account}{server.host}:{server.port}{query}>"

    def _compose(self, message: Message) -> Mail | Rejected:
        try:
            to = parse_email(message.address, "address")
            data = self._writer.write(message, to)
        except RequestError as error:
            # Not the value: an outcome is stored and shown, and the text may be confidential.
            return Rejected(f"{error.field}: {error.bound}")
        except MailError as error:
            return Rejected(f"cannot be written as mail: {error}")
        if self._dkim is not None:
            data = self._dkim.sign(data, message.at)
        mailbox, bounce = to.mailbox, self._bounce.replace(ID, message.id)
        ascii_only = data.isascii() and mailbox.isascii() and bounce.isascii()
        return Mail(bounce, mailbox, data, not ascii_only, message.may_go)

    def _deliver(self, mails: Sequence[Mail]) -> list[Outcome]:
        """Over a kept connection where there is one that lives, else over a new one."""
        closings = self._closings
        session = self._take()
        try:
            try:
                session = session or connect(self._server)
                return deliver(session, mails)
            except StaleError:
                assert session is not None
                session.close()
                session = None
                session = connect(self._server)
                return deliver(session, mails)
        except RefusedError as refused:
            return [refused.outcome] * len(mails)
        except BaseException:
            # An interrupt in the middle of a dialogue: nobody knows what the next reply answers.
            if session is not None:
                session.usable = False
            raise
        finally:
            if session is not None:
                self._give_back(session, closings)

    def _take(self) -> Session | None:
        """The kept connection that was used last, if it is still good."""
        oldest = time.monotonic() - MAX_IDLE_SECONDS
        while True:
            with self._lock:
                if not self._idle:
                    return None
                session = self._idle.pop()
            if session.idle_since >= oldest and session.wire.healthy:
                return session
            session.usable = False
            session.close()

    def _give_back(self, session: Session, closings: int) -> None:
        if session.usable:
            session.idle_since = time.monotonic()
            with self._lock:
                if self._closings == closings:
                    self._idle.append(session)
                    return
        session.close()


def _check(
    host: str,
    security: str,
    username: str | None,
    password: str | None,
    local_hostname: str | None,
) -> None:
    for what, value in (("host", host), ("local_hostname", local_hostname)):
        if value is not None and not _HOST.fullmatch(value):
            raise ConfigError(f"smtp: {what} is no host name: {value!r}")
    if security not in get_args(Security):
        raise ConfigError(f"smtp: security must be none, starttls or tls, not {security!r}")
    if (username is None) != (password is None):
        raise ConfigError("smtp: username and password come together or not at all")
    if username is None or password is None:
        return
    if not username or "\0" in username + password:
        raise ConfigError("smtp: username must not be empty, and neither may hold NUL")
    if security == "none" and not _is_local(host):
        raise ConfigError(
            f"smtp: the password for {host} would cross the network in the clear; "
            "set security to starttls or tls"
        )


def _is_local(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # The text of the error may quote the password.
        raise ConfigError("smtp: the URL cannot be read") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigError(f"smtp: the URL must start with smtp:// or smtps://, not {url[:8]!r}")
    if not host or parts.path not in {"", "/"} or parts.fragment:
        raise ConfigError("smtp: the URL must name a host and no path")
    security, default_port = _SCHEMES[parts.scheme]
    found: dict[str, Any] = {"host": host, "security": security}
    if parts.username is not None:
        found["username"] = unquote(parts.username)
        found["password"] = unquote(parts.password or "")
    for key, value in query:
        read = _QUERY.get(key)
        if read is None or (key == "security" and parts.scheme == "smtps"):
            raise ConfigError(f"smtp: the URL must not set {key!r}")
        if key in found and key != "security":
            raise ConfigError(f"smtp: the URL sets {key!r} twice")
        try:
            found[key] = read(value)
        except ValueError:
            raise ConfigError(f"smtp: {key} in the URL must be a number, not {value!r}") from None
    if port is None:
        port = _PORTS.get(found["security"], default_port)
    found["port"] = port
    return found


_QUERY: Final[dict[str, Callable[[str], Any]]] = {
    "security": str,
    "connections": int,
    "batch": int,
    "local_hostname": str,
    "reply_to": str,
    "bounce_address": str,
    "message_id_domain": str,
}
