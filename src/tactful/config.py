"""The configuration: one file, overruled by the environment, overruled by the command line.

    store = "sqlite:///notify.db"

    [engine]
    lease = "15m"

    [smtp]
    host = "mail.example.com"
    security = "starttls"
    sender = "Example <hello@example.com>"

`KEYS` lists every key. In the environment `engine.retry.base` is `TACTFUL_ENGINE_RETRY_BASE`; of
the keys in `SECRET_KEYS`, `TACTFUL_SMTP_PASSWORD_FILE` names a file that holds the value. The
tables `rules`, `types` and `templates` may stand in the same file; they are not in force until
`tactful init` or `tactful rules apply` puts them there.

An unknown key in a file is an error. An unknown variable of the environment is not (`ignored`
lists them), since platforms invent some from the name of a service: Kubernetes sets `TACTFUL_PORT`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tactful import receiving, values
from tactful.channels.address import parse_domain, parse_email, parse_mailbox
from tactful.channels.settings import (
    Apprise,
    Reach,
    Webhook,
    apprise_services,
    apprise_variable,
)
from tactful.channels.smtp.settings import Backup, Dkim, Smtp
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import NotificationType
from tactful.core.retry import RetryPolicy
from tactful.core.rules import Rule, rule_from
from tactful.engine.requests import parse_duration
from tactful.engine.settings import Settings, Tolerance
from tactful.engine.tracking import checked_base
from tactful.ports import Channel
from tactful.serving import Http
from tactful.stores.urls import without_password
from tactful.templates.library import Renderer, Template

FILE_NAME: Final = "tactful.toml"
STORE: Final = "sqlite:///notify.db"
PREFIX: Final = "TACTFUL_"
# `--config` has a variable of its own; those of test suites are nobody's business here.
_NOT_KEYS: Final = ("TACTFUL_CONFIG", "TACTFUL_TEST_")
_POLICIES: Final = ("rules", "types", "templates")
_NAMED: Final = (*_POLICIES, "apprise")


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules, types and templates that a file holds; None where it says nothing of a kind."""

    rules: tuple[Rule, ...] | None = None
    types: tuple[NotificationType, ...] | None = None
    templates: tuple[Template, ...] | None = None


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
class Config:
    """Everything that is set, checked. `file` is where it was read from, if there is one."""

    store: str = field(default=STORE, repr=False)
    unsubscribe: str | None = None
    tracking: str | None = None
    engine: Settings = field(default_factory=Settings)
    smtp: Smtp | None = None
    webhook: Webhook | None = None
    apprise: tuple[Apprise, ...] = ()
    reach: Reach = field(default_factory=Reach)
    submission: Door = field(default_factory=Door)
    http: Http = field(default_factory=Http)
    inbound: receiving.Inbound | None = None
    receipts: receiving.Receipts = field(default_factory=receiving.Receipts)
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


# Keys -----------------------------------------------------------------------------------------


KEYS: Final[Mapping[str, values.Reader]] = {
    "store": values.text,
    "unsubscribe": values.text,
    "tracking": values.text,
    "http.metrics": values.one_of("open", "key", "off"),
    "engine.lease": values.duration,
    "engine.permit": values.duration,
    "engine.batch": values.whole(1),
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
    **receiving.KEYS,
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
    "egress.allow_networks": values.several(values.network),
    "egress.allow_http": values.flag,
    "egress.ports": values.several(values.whole(1, 65_535)),
    "egress.timeout": values.duration,
    "http.rate": values.whole(1, 1_000_000),
    "http.burst": values.whole(1, 1_000_000),
    "http.timeout": values.duration,
    "submission.host": values.text,
    "submission.port": values.whole(1, 65_535),
    "submission.certificate": values.text,
    "submission.private_key": values.text,
    "submission.hostname": values.parsed(parse_domain),
}
"""Every key that can be set, with the function that reads its value."""

SECRET_KEYS: Final = (
    *("store", "smtp.username", "smtp.password", "smtp.backup.username", "smtp.backup.password"),
    *("smtp.dkim.key", "smtp.dkim.second_key", "webhook.url", "webhook.secrets"),
    *receiving.SECRET_KEYS,
)
"""Keys that can also come from a file of their own: `smtp.password_file`, `TACTFUL_..._FILE`."""

_DURATIONS: Final = tuple(key.rpartition(".")[2] for key in KEYS if KEYS[key] is values.duration)


class _Raw(NamedTuple):
    """A value as it was found, and where."""

    value: object
    origin: str


# Reading --------------------------------------------------------------------------------------


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
    raw = _from_file(table, file) if file is not None else {}
    found, ignored = _from_environment(environ)
    raw |= found
    if store is not None:
        raw["store"] = _Raw(store, "--store")
    return Config(
        **_top(raw),
        engine=_settings(raw),
        smtp=_smtp(raw),
        webhook=_webhook(raw),
        reach=Reach(**_section(raw, "egress.")),
        submission=_submission(raw),
        http=Http(**_section(raw, "http.")),
        inbound=receiving.inbound_of(_section(raw, "inbound.")),
        receipts=receiving.receipts_of(
            {key: _value(raw, key) for key in raw if key.startswith("receipts.")}
        ),
        apprise=apprise_services(table.get("apprise", {}), _apprise_urls(raw), file),
        policies=policies_of(table, file) if file is not None else Policies(),
        file=file,
        ignored=ignored,
    )


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError if it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config: cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"config: {file} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config: {file} is no TOML: {error}") from None


def _from_file(table: Mapping[str, Any], file: Path) -> dict[str, _Raw]:
    found: dict[str, _Raw] = {}
    for key, value in _flat({k: v for k, v in table.items() if k not in _NAMED}):
        secret = key.removesuffix("_file")
        if key in KEYS:
            _put(found, key, value, str(file))
        elif key.endswith("_file") and secret in SECRET_KEYS and isinstance(value, str):
            path = file.parent / value
            _put(found, secret, _file_text(path, key), str(path))
        else:
            raise ConfigError(f"{key}: is no key, in {file}; {_known_near(key)}")
    return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested tables, joined by dots; a table that is empty says nothing."""
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in KEYS:
            if value and all(not known.startswith(f"{key}.") for known in KEYS):
                yield key, value
            else:
                yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _known_near(key: str) -> str:
    """What could have been meant: the keys of the same table, or the tables."""
    every = (*KEYS, *(f"{secret}_file" for secret in SECRET_KEYS))
    table = key.rpartition(".")[0]
    near = [known for known in every if table and known.rpartition(".")[0] == table]
    tables = (
        "engine.*",
        "smtp.*",
        "webhook.*",
        "egress.*",
        *("feedback.*", "inbound.*", "receipts.*"),
        "submission.*",
        *(f"{kind}.NAME" for kind in _NAMED),
    )
    top = (*(known for known in every if "." not in known), *tables)
    return f"known are {', '.join(near or top)}"


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, _Raw], tuple[str, ...]]:
    """What the environment sets, and which of its variables mean nothing here."""
    found: dict[str, _Raw] = {}
    names = {PREFIX + key.upper().replace(".", "_"): key for key in KEYS}
    urls = {
        name.removesuffix("_FILE"): f"apprise.{service}.url"
        for name in environ
        if (service := apprise_variable(name))
    }
    names |= urls
    ignored = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_NOT_KEYS):
            continue
        secret = names.get(name.removesuffix("_FILE"))
        if name in names:
            _put(found, names[name], environ[name], name)
        elif name.endswith("_FILE") and secret in (*SECRET_KEYS, *urls.values()):
            _put(found, secret, _file_text(Path(environ[name]), name), name)
        else:
            ignored.append(name)
    return found, tuple(ignored)


def _put(found: dict[str, _Raw], key: str, value: object, origin: str) -> None:
    if key in found:
        raise ConfigError(f"{key}: is set twice, in {found[key].origin} and in {origin}")
    found[key] = _Raw(value, origin)


def _file_text(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ConfigError(f"{key}: cannot read {path}: {why}") from None


def _value(raw: Mapping[str, _Raw], key: str) -> Any:
    value, origin = raw[key]
    try:
        return KEYS[key](value)
    except values.WrongError as error:
        got = "a secret" if key in SECRET_KEYS else repr(value)[:120]
        raise ConfigError(f"{key}: {error} (got {got}), in {origin}") from None


def _section(raw: Mapping[str, _Raw], prefix: str) -> dict[str, Any]:
    """The values of the keys right below a prefix; durations get the engine's names for them."""
    found = {}
    for key in raw:
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and "." not in name:
            found[f"{name}_ms" if name in _DURATIONS else name] = _value(raw, key)
    return found


def _top(raw: Mapping[str, _Raw]) -> dict[str, Any]:
    found = {key: _value(raw, key) for key in ("store", "unsubscribe", "tracking") if key in raw}
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


def _settings(raw: Mapping[str, _Raw]) -> Settings:
    retry = RetryPolicy(**_section(raw, "engine.retry."))
    if retry.cap_ms < retry.base_ms:
        raise ConfigError(
            f"engine.retry.cap: must be at least the base, {retry.base_ms} ms (got {retry.cap_ms})"
        )
    feedback = Tolerance(**_section(raw, "feedback."))
    try:
        return Settings(**_section(raw, "engine."), retry=retry, feedback=feedback)
    except ConfigError as error:
        raise ConfigError(f"engine.{str(error).replace('_ms:', ' (ms):', 1)}") from None


def _smtp(raw: Mapping[str, _Raw]) -> Smtp | None:
    given = _section(raw, "smtp.")
    dkim = _section(raw, "smtp.dkim.")
    backup = _section(raw, "smtp.backup.")
    if not (given or dkim or backup):
        return None
    _complete(given, "smtp", "host", "sender")
    if dkim:
        _complete(dkim, "smtp.dkim", "selector", "key")
        if "second_key" in dkim or "second_selector" in dkim:
            _complete(dkim, "smtp.dkim", "second_selector", "second_key")
    if backup:
        _complete(backup, "smtp.backup", "host")
    return Smtp(
        **given, dkim=Dkim(**dkim) if dkim else None, backup=Backup(**backup) if backup else None
    )


def _webhook(raw: Mapping[str, _Raw]) -> Webhook | None:
    given = _section(raw, "webhook.")
    reach = Reach(**_section(raw, "egress."))
    if not given:
        return None
    _complete(given, "webhook", "secrets")
    return Webhook(**given, reach=reach)


def _submission(raw: Mapping[str, _Raw]) -> Door:
    given = _section(raw, "submission.")
    if "certificate" in given or "private_key" in given:
        _complete(given, "submission", "certificate", "private_key")
    return Door(**given)


def _apprise_urls(raw: Mapping[str, _Raw]) -> dict[str, str]:
    """The URLs of Apprise that the environment gives, by the names of their services."""
    return {key.split(".")[1]: str(raw[key].value) for key in raw if key.startswith("apprise.")}


def _complete(given: Mapping[str, Any], table: str, *needed: str) -> None:
    for name in needed:
        if name not in given:
            raise ConfigError(f"{table}.{name}: is missing; the other keys of [{table}] need it")


# Policies -------------------------------------------------------------------------------------


def read_policies(file: Path) -> Policies:
    """The rules, types and templates of a file; the rest of it is checked for its keys only."""
    table = read_toml(file)
    _from_file(table, file)
    return policies_of(table, file)


def policies_of(table: Mapping[str, Any], file: Path) -> Policies:
    """The policies among the tables of a file; raises ConfigError naming table and field."""
    found: dict[str, Any] = {}
    for kind, read in (("rules", _rule), ("types", _type), ("templates", _template)):
        group = table.get(kind)
        if group is None:
            continue
        if not isinstance(group, dict):
            raise ConfigError(f"{kind}: must be tables [{kind}.NAME] (got {group!r}), in {file}")
        found[kind] = tuple(
            _checked(read, name, body, f"{kind}.{name}", file) for name, body in group.items()
        )
    return Policies(**found)


def _checked(
    read: Callable[[str, Mapping[str, Any]], Any], name: str, body: object, place: str, file: Path
) -> Any:
    if not isinstance(body, dict):
        raise ConfigError(f"{place}: must be a table (got {body!r}), in {file}")
    try:
        return read(name, body)
    except RequestError as error:
        raise ConfigError(f"{place}.{error}, in {file}") from None


def _rule(name: str, body: Mapping[str, Any]) -> Rule:
    return rule_from(body, name)


def _known(body: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in body:
        if key not in known:
            raise RequestError(key, body[key], f"is no key here: {', '.join(known)}")


def _type(name: str, body: Mapping[str, Any]) -> NotificationType:
    switches = ("mandatory", "tracked")
    _known(body, ("category", "channels", "priority", "ttl", "on_ambiguous", *switches))
    given = {key: value for key, value in body.items() if key != "ttl"}
    if not isinstance(given.setdefault("channels", []), list):
        raise RequestError("channels", given["channels"], "must be a list of channel names")
    for switch in switches:
        if not isinstance(given.get(switch, False), bool):
            raise RequestError(switch, given[switch], "must be true or false")
    ttl = parse_duration(body["ttl"], "ttl") if "ttl" in body else None
    return NotificationType(name, **{**given, "channels": tuple(given["channels"])}, ttl_ms=ttl)


def _template(name: str, body: Mapping[str, Any]) -> Template:
    _known(body, ("name", "locale", "channel", "subject", "text", "html"))
    for key, value in body.items():
        if not isinstance(value, str):
            raise RequestError(key, value, "must be a text")
    template = Template(**{"name": name, **body})
    Renderer().check(template)
    return template
