"""The e-mail channel as a configuration describes it: one server, or two, with or without DKIM."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tactful.channels.address import parse_mailbox
from tactful.channels.dkim import DkimKey, DkimSigner
from tactful.channels.failover import FailoverChannel
from tactful.channels.smtp.channel import SmtpChannel
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Millis
from tactful.ports import Channel


@dataclass(frozen=True, slots=True)
class Dkim:
    """What mails are signed with; see `DkimSigner`. `domain` is by default the sender's."""

    selector: str
    key: str = field(repr=False)
    second_selector: str | None = None
    second_key: str | None = field(default=None, repr=False)
    domain: str | None = None
    lifetime_ms: Millis | None = None

    def signer(self, sender_domain: str) -> DkimSigner:
        """The signer; raises ConfigError."""
        keys = [DkimKey(self.selector, self.key)]
        if self.second_selector is not None and self.second_key is not None:
            keys.append(DkimKey(self.second_selector, self.second_key))
        return DkimSigner(self.domain or sender_domain, keys, lifetime_ms=self.lifetime_ms)


@dataclass(frozen=True, slots=True)
class Backup:
    """A second server for the same mails; the fields are those of `SmtpChannel`.

    `bounce_address` is by default the first server's. Everything that is in a mail, and the size of
    a batch, is as it is there.
    """

    host: str
    port: int | None = None
    security: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bounce_address: str | None = None
    local_hostname: str | None = None
    connections: int = 4


@dataclass(frozen=True, slots=True)
class Smtp:
    """How to reach the mail server; the fields are those of `SmtpChannel`.

    Mails go to `backup`, if there is one, while the server is out of order.
    """

    host: str
    sender: str
    port: int | None = None
    security: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    bounce_address: str | None = None
    message_id_domain: str | None = None
    local_hostname: str | None = None
    connections: int = 4
    batch: int = 50
    dkim: Dkim | None = None
    backup: Backup | None = None

    def signer(self) -> DkimSigner | None:
        """What signs the mails, if anything does; raises ConfigError naming the key."""
        if self.dkim is None:
            return None
        try:
            return self.dkim.signer(parse_mailbox(self.sender, "sender")[1].domain)
        except ConfigError as error:
            raise ConfigError(f"smtp.{error}") from None

    def channel(self) -> Channel:
        """The channel, not yet connected; raises ConfigError for what cannot work together."""
        mail: dict[str, Any] = {
            "sender": self.sender,
            "reply_to": self.reply_to,
            "message_id_domain": self.message_id_domain,
            "batch": self.batch,
            "dkim": self.signer(),
        }
        if self.backup is None:
            return _one("email", "smtp", self, mail)
        first = _one("smtp", "smtp", self, mail)
        bounce = self.backup.bounce_address or self.bounce_address
        backup = replace(self.backup, bounce_address=bounce)
        second = _one("smtp.backup", "smtp.backup", backup, mail)
        return FailoverChannel("email", [first, second], clock=_monotonic_ms)


def _one(name: str, table: str, server: Smtp | Backup, mail: dict[str, Any]) -> SmtpChannel:
    """A channel to one server; errors name the table that describes it."""
    given = {item.name: getattr(server, item.name) for item in fields(Backup)}
    try:
        return SmtpChannel(name=name, **given, **mail)
    except RequestError as error:
        raise ConfigError(f"{table}.{error}") from None
    except ConfigError as error:
        raise ConfigError(f"{table}:{str(error).removeprefix('smtp:')}") from None


def _monotonic_ms() -> Millis:
    return time.monotonic_ns() // 1_000_000
