"""Every key of the configuration, and how its value is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tactful.channels.address import parse_domain, parse_email, parse_mailbox
from tactful.config import values

FILE_NAME: Final = "tactful.toml"
STORE: Final = "sqlite:///notify.db"

PROVIDERS: Final = ("ses", "sendgrid", "mailgun", "postmark", "twilio")
"""Whose webhooks are understood."""

NAMED: Final = ("rules", "types", "templates", "apprise")
"""Tables of a file that hold a table for each name."""

KEYS: Final[Mapping[str, values.Reader]] = {
    "store": values.text,
    "store_pool": values.text,
    "store_connections": values.whole(2, 1_000),
    "unsubscribe": values.text,
    "tracking": values.text,
    "engine.lease": values.duration,
    "engine.permit": values.duration,
    "engine.batch": values.whole(1),
    "engine.urgent_batch": values.whole(1),
    "engine.waiting_max": values.whole(1),
    "engine.ttl": values.duration,
    "engine.keep": values.duration,
    "engine.history": values.duration,
    "engine.idempotency": values.duration,
    "engine.digest_max": values.whole(1),
    "engine.unknown_types": values.one_of("accept", "reject"),
    "engine.listener_tries": values.whole(1),
    "engine.retry.base": values.duration,
    "engine.retry.cap": values.duration,
    "engine.retry.tries_max": values.whole(1),
    "engine.retry.crashes_max": values.whole(1),
    "feedback.soft_bounces": values.whole(1),
    "feedback.soft_window": values.duration,
    "feedback.breaker": values.one_of("warn", "stop"),
    "feedback.volume": values.whole(1),
    "smtp.host": values.text,
    "smtp.port": values.whole(1, 65_535),
    "smtp.security": values.one_of("none", "starttls", "tls"),
    "smtp.username": values.secret,
    "smtp.password": values.secret,
    "smtp.sender": values.parsed(parse_mailbox),
    "smtp.reply_to": values.parsed(parse_mailbox),
    "smtp.bounce_address": values.parsed(parse_email),
    "smtp.message_id_domain": values.text,
    "smtp.local_hostname": values.text,
    "smtp.connections": values.whole(1, 1_000),
    "smtp.batch": values.whole(1, 10_000),
    "smtp.dkim.domain": values.parsed(parse_domain),
    "smtp.dkim.selector": values.text,
    "smtp.dkim.key": values.secret,
    "smtp.dkim.second_selector": values.text,
    "smtp.dkim.second_key": values.secret,
    "smtp.dkim.lifetime": values.duration,
    "smtp.backup.host": values.text,
    "smtp.backup.port": values.whole(1, 65_535),
    "smtp.backup.security": values.one_of("none", "starttls", "tls"),
    "smtp.backup.username": values.secret,
    "smtp.backup.password": values.secret,
    "smtp.backup.bounce_address": values.parsed(parse_email),
    "smtp.backup.local_hostname": values.text,
    "smtp.backup.connections": values.whole(1, 1_000),
    "webhook.url": values.secret,
    "webhook.secrets": values.several(values.secret),
    "webhook.connections": values.whole(1, 1_000),
    "webhook.batch": values.whole(1, 10_000),
    "ledger.url": values.secret,
    "ledger.timeout": values.duration,
    "broker.url": values.secret,
    "broker.way": values.one_of("both", "in", "out"),
    "broker.submissions": values.dotted,
    "broker.events": values.dotted,
    "broker.refused": values.dotted,
    "broker.group": values.word,
    "broker.pending": values.whole(1, 100_000),
    "broker.replicas": values.whole(1, 5),
    "egress.allow_networks": values.several(values.network),
    "egress.allow_http": values.flag,
    "egress.ports": values.several(values.whole(1, 65_535)),
    "egress.timeout": values.duration,
    "http.rate": values.whole(1, 1_000_000),
    "http.burst": values.whole(1, 1_000_000),
    "http.timeout": values.duration,
    "http.metrics": values.one_of("open", "key", "off"),
    "submission.host": values.text,
    "submission.port": values.whole(1, 65_535),
    "submission.certificate": values.text,
    "submission.private_key": values.text,
    "submission.hostname": values.parsed(parse_domain),
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
"""Every key that can be set, with the function that reads its value."""

SECRET_KEYS: Final = (
    *("store", "store_pool"),
    *("smtp.username", "smtp.password", "smtp.backup.username", "smtp.backup.password"),
    *("smtp.dkim.key", "smtp.dkim.second_key", "webhook.url", "webhook.secrets"),
    *("broker.url", "ledger.url"),
    *(f"receipts.{provider}.key" for provider in PROVIDERS if provider != "ses"),
)
"""Keys that can also come from a file of their own: `smtp.password_file`, `TACTFUL_..._FILE`."""

DURATIONS: Final = frozenset(key.rpartition(".")[2] for key in KEYS if KEYS[key] is values.duration)
"""The last parts of the keys that are spans; a setting in milliseconds ends in `_ms`."""
