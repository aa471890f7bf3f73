"""Which broker is meant, and how its places are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Final
from urllib.parse import urlsplit

from tactful.core.errors import ConfigError
from tactful.core.model import SECOND, Millis
from tactful.ports import Broker

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "nats": ("nats:JetStream", "nats"),
    "tls": ("nats:JetStream", "nats"),
    "amqp": ("rabbitmq:RabbitQueues", "rabbitmq"),
    "amqps": ("rabbitmq:RabbitQueues", "rabbitmq"),
    "valkey": ("valkey:ValkeyStreams", "valkey"),
    "valkeys": ("valkey:ValkeyStreams", "valkey"),
    "redis": ("valkey:ValkeyStreams", "valkey"),
    "rediss": ("valkey:ValkeyStreams", "valkey"),
}
"""Scheme of a URL -> the adapter, as `module:name`, and the extra that it needs."""

WAYS: Final = ("both", "in", "out")
SETTLED_WITHIN_MS: Final = 30 * SECOND
"""What was taken and not settled by then is handed out again."""


@dataclass(frozen=True, slots=True)
class Places:
    """How the places at a broker are called; each kind of broker has its own word for them.

    Submissions are taken from `submissions`, events go to `events`, and what is refused to
    `refused`. All who take as the same `group` share the work. `pending` messages at most are taken
    and not yet settled. `replicas` is how many copies are kept by what has to be made.
    """

    submissions: str = "tactful.submissions"
    events: str = "tactful.events"
    refused: str = "tactful.refused"
    group: str = "tactful"
    pending: int = 1000
    replicas: int = 1
    settled_within_ms: Millis = SETTLED_WITHIN_MS


@dataclass(frozen=True, slots=True)
class Brokerage:
    """The broker that is configured: `way` is in (submissions), out (events) or both."""

    url: str = field(repr=False)
    way: str = "both"
    places: Places = field(default_factory=Places)

    def broker(self) -> Broker:
        """The broker, not yet connected; raises ConfigError."""
        return open_broker(self.url, self.places)


def open_broker(url: str, places: Places | None = None) -> Broker:
    """The broker that a URL names, not yet connected; raises ConfigError."""
    where, extra = KINDS[checked(url).partition(":")[0].lower()]
    try:
        kind = resolve_name(f"tactful.brokers.{where}")
    except ImportError:
        raise ConfigError(f"broker: needs `pip install 'tactful[{extra}]'`") from None
    found: Broker = kind(url, places if places is not None else Places())
    return found


def shown(url: str) -> str:
    """A URL of one or more servers, without what is before their @."""
    scheme, _, rest = url.partition("://")
    servers = (one.rpartition("@")[2] for one in rest.split(","))
    return f"{scheme}://{','.join(server.partition('?')[0] for server in servers)}"


def checked(url: str) -> str:
    """A URL that can be one; raises ConfigError without showing it."""
    if url.partition("://")[0].lower() not in KINDS:
        known = ", ".join(f"{one}://" for one in KINDS)
        raise ConfigError(f"broker.url: must begin with one of {known}")
    try:
        for server in url.partition("://")[2].split(","):
            if not urlsplit(f"//{server}").hostname:
                raise ValueError
            _ = urlsplit(f"//{server}").port
    except ValueError:
        raise ConfigError("broker.url: must name a host, like nats://127.0.0.1:4222") from None
    return url
