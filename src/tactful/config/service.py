"""What the service is set to: `[http]`, and where mail and feedback come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from tactful.brokers.settings import Brokerage, Places, checked
from tactful.config.keys import PROVIDERS
from tactful.config.sources import complete
from tactful.core.errors import ConfigError
from tactful.core.model import Millis
from tactful.ports import Ledger


@dataclass(frozen=True, slots=True)
class Http:
    """What a key may ask of the service: `rate` requests a second, `burst` of them at one instant.

    `timeout_ms` is the longest that a request may take. `metrics` says who may read those: `open`,
    `key` or `off`; None leaves it to where the service listens.
    """

    rate: int = 200
    burst: int = 400
    timeout_ms: Millis = 30_000
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """Where mail is taken in, and the certificate by which keys may come from elsewhere.

    Without `port` it stays shut; without `host` it is where HTTP is answered. `certificate` and
    `private_key` are PEM files, and `hostname` the name that they are for.
    """

    host: str | None = None
    port: int | None = None
    certificate: str | None = None
    private_key: str | None = None
    hostname: str = "localhost"


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
    complete(given, "inbound", "address")
    return Inbound(**given)


@dataclass(frozen=True, slots=True)
class LedgerServer:
    """The ledger beside the store: a Valkey that keeps what has settled of histories.

    A decision waits for it for `timeout_ms` at each step at most, and then goes on without it.
    """

    url: str = field(repr=False)
    timeout_ms: Millis = 100

    def ledger(self) -> Ledger:
        """The ledger, not yet connected; raises ConfigError."""
        try:
            kind = resolve_name("tactful.ledgers.settled:SettledHistories")
        except ImportError:
            raise ConfigError("ledger: needs `pip install 'tactful[valkey]'`") from None
        found: Ledger = kind(self.url, timeout_ms=self.timeout_ms)
        return found


def ledger_of(given: Mapping[str, Any]) -> LedgerServer | None:
    """The table `[ledger]` from its values; raises ConfigError."""
    if not given:
        return None
    complete(given, "ledger", "url")
    return LedgerServer(**given)


def brokerage_of(given: Mapping[str, Any]) -> Brokerage | None:
    """The table `[broker]` from its values; raises ConfigError."""
    if not given:
        return None
    complete(given, "broker", "url")
    places = {name: value for name, value in given.items() if name not in ("url", "way")}
    return Brokerage(checked(given["url"]), given.get("way", "both"), Places(**places))


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
