"""The configuration in force, put together from what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tactful.brokers.settings import Brokerage
from tactful.channels.settings import Apprise, Reach, Webhook, apprise_services
from tactful.channels.smtp.settings import Backup, Dkim, Smtp
from tactful.config.keys import FILE_NAME, STORE
from tactful.config.policies import Policies, policies_of
from tactful.config.service import (
    Door,
    Http,
    Inbound,
    LedgerServer,
    Receipts,
    brokerage_of,
    inbound_of,
    ledger_of,
    receipts_of,
)
from tactful.config.sources import (
    Raw,
    complete,
    from_environment,
    from_file,
    read_toml,
    section,
    value_of,
)
from tactful.core.errors import ConfigError
from tactful.core.retry import RetryPolicy
from tactful.engine.links.tracking import checked_base
from tactful.engine.settings import Settings, Tolerance
from tactful.ports import Channel
from tactful.stores.chosen import POSTGRES
from tactful.stores.urls import without_password

_TOP: Final = ("store", "store_pool", "store_connections", "unsubscribe", "tracking")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is set, checked. `file` is where it was read from, if there is one."""

    store: str = field(default=STORE, repr=False)
    store_pool: str = field(default="", repr=False)
    store_connections: int = 16
    unsubscribe: str | None = None
    tracking: str | None = None
    engine: Settings = field(default_factory=Settings)
    smtp: Smtp | None = None
    webhook: Webhook | None = None
    apprise: tuple[Apprise, ...] = ()
    reach: Reach = field(default_factory=Reach)
    submission: Door = field(default_factory=Door)
    http: Http = field(default_factory=Http)
    inbound: Inbound | None = None
    receipts: Receipts = field(default_factory=Receipts)
    broker: Brokerage | None = None
    ledger: LedgerServer | None = None
    policies: Policies = field(default_factory=Policies)
    file: Path | None = None
    ignored: tuple[str, ...] = ()

    def channels(self) -> list[Channel]:
        """The channels, not yet connected; raises ConfigError for what cannot work together."""
        given = (self.smtp, self.webhook, *self.apprise)
        return [one.channel() for one in given if one is not None]

    @property
    def shown_store(self) -> str:
        """The store's URL without its password."""
        return without_password(self.store)


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    store: str | None = None,
) -> Config:
    """The configuration in force; raises ConfigError naming the key, the value and the place.

    Without `file`, `tactful.toml` in the working directory is read if there is one. `store` comes
    from the command line.
    """
    environ = os.environ if environ is None else environ
    if file is None and Path(FILE_NAME).is_file():
        file = Path(FILE_NAME)
    table = read_toml(file) if file is not None else {}
    raw = from_file(table, file) if file is not None else {}
    found, ignored = from_environment(environ)
    raw |= found
    if store is not None:
        raw["store"] = Raw(store, "--store")
    return Config(
        **_top(raw),
        engine=_settings(raw),
        smtp=_smtp(raw),
        webhook=_webhook(raw),
        reach=Reach(**section(raw, "egress.")),
        submission=_submission(raw),
        http=Http(**section(raw, "http.")),
        inbound=inbound_of(section(raw, "inbound.")),
        receipts=receipts_of(
            {key: value_of(raw, key) for key in raw if key.startswith("receipts.")}
        ),
        broker=brokerage_of(section(raw, "broker.")),
        ledger=_ledger(raw),
        apprise=apprise_services(table.get("apprise", {}), _apprise_urls(raw), file),
        policies=policies_of(table, file) if file is not None else Policies(),
        file=file,
        ignored=ignored,
    )


def _ledger(raw: Mapping[str, Raw]) -> LedgerServer | None:
    given = section(raw, "ledger.")
    store = str(value_of(raw, "store")) if "store" in raw else STORE
    if given and not store.startswith(POSTGRES):
        scheme = store.partition(":")[0]
        raise ConfigError(f"ledger: needs a store on PostgreSQL (got one on {scheme})")
    return ledger_of(given)


def _top(raw: Mapping[str, Raw]) -> dict[str, Any]:
    found = {key: value_of(raw, key) for key in _TOP if key in raw}
    link = found.get("unsubscribe")
    if link is not None and not (link.startswith("https://") and "{token}" in link):
        origin = raw["unsubscribe"].origin
        bound = "must be an https URL with {token} in it"
        raise ConfigError(f"unsubscribe: {bound} (got {link!r}), in {origin}")
    if "tracking" in found:
        try:
            found["tracking"] = checked_base(found["tracking"])
        except ConfigError as error:
            shown = repr(found["tracking"])[:120]
            raise ConfigError(f"{error} (got {shown}), in {raw['tracking'].origin}") from None
    return found


def _settings(raw: Mapping[str, Raw]) -> Settings:
    retry = RetryPolicy(**section(raw, "engine.retry."))
    if retry.cap_ms < retry.base_ms:
        raise ConfigError(
            f"engine.retry.cap: must be at least the base, {retry.base_ms} ms (got {retry.cap_ms})"
        )
    feedback = Tolerance(**section(raw, "feedback."))
    engine = section(raw, "engine.")
    try:
        return Settings(**engine, retry=retry, feedback=feedback)
    except ConfigError as error:
        raise ConfigError(f"engine.{str(error).replace('_ms:', ' (ms):', 1)}") from None


def _smtp(raw: Mapping[str, Raw]) -> Smtp | None:
    given = section(raw, "smtp.")
    dkim = section(raw, "smtp.dkim.")
    backup = section(raw, "smtp.backup.")
    if not (given or dkim or backup):
        return None
    complete(given, "smtp", "host", "sender")
    if dkim:
        complete(dkim, "smtp.dkim", "selector", "key")
        if "second_key" in dkim or "second_selector" in dkim:
            complete(dkim, "smtp.dkim", "second_selector", "second_key")
    if backup:
        complete(backup, "smtp.backup", "host")
    return Smtp(
        **given, dkim=Dkim(**dkim) if dkim else None, backup=Backup(**backup) if backup else None
    )


def _webhook(raw: Mapping[str, Raw]) -> Webhook | None:
    given = section(raw, "webhook.")
    reach = Reach(**section(raw, "egress."))
    if not given:
        return None
    complete(given, "webhook", "secrets")
    return Webhook(**given, reach=reach)


def _submission(raw: Mapping[str, Raw]) -> Door:
    given = section(raw, "submission.")
    if "certificate" in given or "private_key" in given:
        complete(given, "submission", "certificate", "private_key")
    return Door(**given)


def _apprise_urls(raw: Mapping[str, Raw]) -> dict[str, str]:
    """The URLs of Apprise that the environment gives, by the names of their services."""
    return {key.split(".")[1]: str(raw[key].value) for key in raw if key.startswith("apprise.")}
