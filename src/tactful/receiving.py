"""Where feedback comes in, as a configuration describes it: `[inbound]` and `[receipts]`.

[inbound]
port = 8724
address = "bounces@mail.example.com"

[receipts.sendgrid]
key = "MFkwEwYHKoZIzj0CAQ..."
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tactful import values
from tactful.channels.address import parse_email
from tactful.core.errors import ConfigError

PROVIDERS: Final = ("ses", "sendgrid", "mailgun", "postmark", "twilio")
"""Whose webhooks are understood."""

KEYS: Final[Mapping[str, values.Reader]] = {
    "feedback.soft_bounces": values.whole(1),
    "feedback.soft_window": values.duration,
    "feedback.breaker": values.one_of("warn", "stop"),
    "feedback.volume": values.whole(1),
    "inbound.host": values.text,
    "inbound.port": values.whole(1, 65_535),
    "inbound.address": values.parsed(parse_email),
    "inbound.protocol": values.one_of("smtp", "lmtp"),
    "receipts.url": values.text,
    "receipts.ses.topics": values.several(values.text),
    "receipts.sendgrid.key": values.secret,
    "receipts.mailgun.key": values.secret,
    "receipts.postmark.key": values.secret,
    "receipts.twilio.key": values.secret,
}
"""Every key of these tables."""

SECRET_KEYS: Final = tuple(key for key in KEYS if key.endswith(".key"))


@dataclass(frozen=True, slots=True)
class Inbound:
    """Where bounces are taken in by SMTP or LMTP, and the only address that mail is taken for.

    Behind its local part there may be a `+` and more, which names the delivery (VERP). Without
    `port` nobody listens.
    """

    address: str
    host: str = "127.0.0.1"
    port: int | None = None
    protocol: str = "smtp"


@dataclass(frozen=True, slots=True)
class Receipts:
    """By what the webhooks of providers are known to be theirs.

    `keys` has the secret, or SendGrid's public key, of each provider; `topics` are the ARNs of the
    SNS topics that SES publishes to. `url` is where this service is for the world, without a path:
    Twilio signs it.
    """

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    topics: tuple[str, ...] = ()
    url: str | None = None


def inbound_of(given: Mapping[str, Any]) -> Inbound | None:
    """The table `[inbound]` from its values; raises ConfigError."""
    if not given:
        return None
    if "address" not in given:
        raise ConfigError("inbound.address: is missing; the other keys of [inbound] need it")
    return Inbound(**given)


def receipts_of(given: Mapping[str, Any]) -> Receipts:
    """The tables `[receipts...]` from the values of their full keys; raises ConfigError."""
    keys = {p: given[f"receipts.{p}.key"] for p in PROVIDERS if f"receipts.{p}.key" in given}
    url = given.get("receipts.url")
    if url is not None and not url.startswith(("https://", "http://")):
        raise ConfigError(f"receipts.url: must begin with https:// (got {url!r})")
    if "twilio" in keys and url is None:
        raise ConfigError("receipts.url: is missing; Twilio signs it")
    topics = given.get("receipts.ses.topics", ())
    for topic in topics:
        if not topic.startswith("arn:aws"):
            raise ConfigError(f"receipts.ses.topics: must be ARNs of SNS topics (got {topic!r})")
    return Receipts(keys, topics, url.rstrip("/") if url is not None else None)
