"""Webhooks and Apprise services as a configuration describes them, before anything is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tactful.channels.apprise import AppriseChannel
from tactful.channels.egress import Egress
from tactful.channels.egress.client import TIMEOUT_MS
from tactful.channels.webhook import WebhookChannel
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import Millis
from tactful.core.names import name_key


@dataclass(frozen=True, slots=True)
class Reach:
    """Where requests may go; the fields are those of `Egress`."""

    allow_networks: tuple[str, ...] = ()
    allow_http: bool = False
    ports: tuple[int, ...] = ()
    timeout_ms: Millis = TIMEOUT_MS

    def egress(self) -> Egress:
        """The way out; raises ConfigError."""
        return Egress(
            allow_networks=self.allow_networks,
            allow_http=self.allow_http,
            ports=self.ports,
            timeout_ms=self.timeout_ms,
        )


@dataclass(frozen=True, slots=True)
class Webhook:
    """How webhooks are signed and where they go; see `WebhookChannel`."""

    secrets: tuple[str, ...] = field(repr=False)
    url: str | None = field(default=None, repr=False)
    connections: int = 8
    batch: int = 10
    reach: Reach = Reach()

    def channel(self) -> WebhookChannel:
        """The channel; raises ConfigError naming the key."""
        try:
            return WebhookChannel(
                secrets=self.secrets,
                url=self.url,
                egress=self.reach.egress(),
                connections=self.connections,
                batch=self.batch,
            )
        except RequestError as error:
            raise ConfigError(f"webhook.{error}") from None


@dataclass(frozen=True, slots=True)
class Apprise:
    """One service of the Apprise library; the fields are those of `AppriseChannel`."""

    name: str
    url: str = field(repr=False)
    address_kind: str | None = None
    allow_local: bool = False
    concurrency: int = 4
    batch: int = 10

    def channel(self) -> AppriseChannel:
        """The channel; raises ConfigError naming the key, also where Apprise is not installed."""
        return AppriseChannel(
            self.name,
            self.url,
            address_kind=self.address_kind,
            allow_local=self.allow_local,
            concurrency=self.concurrency,
            batch=self.batch,
        )


_FIELDS: Final[Mapping[str, type]] = {
    "url": str,
    "url_file": str,
    "address_kind": str,
    "allow_local": bool,
    "concurrency": int,
    "batch": int,
}
_VARIABLE = re.compile(r"TACTFUL_APPRISE_([A-Z0-9_]+)_URL(?:_FILE)?")


def apprise_variable(name: str) -> str | None:
    """The service whose URL a variable of the environment holds, in small letters."""
    found = _VARIABLE.fullmatch(name)
    return found[1].lower() if found is not None else None


def apprise_services(
    tables: object, urls: Mapping[str, str], file: Path | None
) -> tuple[Apprise, ...]:
    """The tables `[apprise.NAME]` of `file`, with the `urls` that come from elsewhere, by name.

    Raises ConfigError naming the key; a URL is not shown.
    """
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        raise ConfigError(f"apprise: must be tables [apprise.NAME], in {file}")
    folder = file.parent if file is not None else Path()
    wanted = {**tables, **{name: tables.get(name, {}) for name in urls}}
    found = []
    for name, body in wanted.items():
        try:
            found.append(_service(name, body, urls.get(name), folder))
        except RequestError as error:
            raise ConfigError(f"apprise.{name}.{error}, in {file}") from None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigError(f"apprise.{name}.url_file: cannot be read: {why}") from None
    return tuple(found)


def _service(name: str, body: Mapping[str, Any], url: str | None, folder: Path) -> Apprise:
    for key, value in body.items():
        if key not in _FIELDS:
            raise RequestError(key, "...", f"is no key here: {', '.join(_FIELDS)}")
        if type(value) is not _FIELDS[key]:
            shown = "a secret" if key == "url" else value
            raise RequestError(key, shown, f"must be of the type {_FIELDS[key].__name__}")
    if "url" in body and "url_file" in body:
        raise RequestError("url", "...", "is set twice, here and by url_file")
    given = {key: value for key, value in body.items() if key != "url_file"}
    if url is not None:
        given["url"] = url
    elif "url_file" in body:
        text = (folder / body["url_file"]).read_text(encoding="utf-8")
        given["url"] = text.removesuffix("\n").removesuffix("\r")
    if not given.get("url"):
        raise RequestError("url", "", "is missing")
    return Apprise(name=name_key(name, "name"), **given)
