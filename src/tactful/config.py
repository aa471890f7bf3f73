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
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from tactful.channels.address import parse_email, parse_mailbox
from tactful.channels.smtp.channel import SmtpChannel
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import NotificationType
from tactful.core.retry import RetryPolicy
from tactful.core.rules import Rule, rule_from
from tactful.engine.requests import parse_duration
from tactful.engine.settings import Settings
from tactful.templates.library import Renderer, Template

FILE_NAME: Final = "tactful.toml"
STORE: Final = "sqlite:///notify.db"
PREFIX: Final = "TACTFUL_"
# `--config` has a variable of its own; those of test suites are nobody's business here.
_NOT_KEYS: Final = ("TACTFUL_CONFIG", "TACTFUL_TEST_")
_POLICIES: Final = ("rules", "types", "templates")

Reader: TypeAlias = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Smtp:
    """How to reach the mail server; the fields are those of `SmtpChannel`."""

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

    def channel(self) -> SmtpChannel:
        """The channel, not yet connected; raises ConfigError for what cannot work together."""
        given: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        try:
            return SmtpChannel(**given)
        except RequestError as error:
            raise ConfigError(f"smtp.{error}") from None


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules, types and templates that a file holds; None where it says nothing of a kind."""

    rules: tuple[Rule, ...] | None = None
    types: tuple[NotificationType, ...] | None = None
    templates: tuple[Template, ...] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is set, checked. `file` is where it was read from, if there is one."""

    store: str = field(default=STORE, repr=False)
    unsubscribe: str | None = None
    engine: Settings = field(default_factory=Settings)
    smtp: Smtp | None = None
    policies: Policies = field(default_factory=Policies)
    file: Path | None = None
    ignored: tuple[str, ...] = ()

    @property
    def shown_store(self) -> str:
        """The store's URL without its password."""
        parts = urlsplit(self.store)
        if parts.password is None:
            return self.store
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{place}"))


# Keys -----------------------------------------------------------------------------------------


class _WrongError(Exception):
    """A value that a reader does not take; the text is the bound."""


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _WrongError("must be a text that is not empty")


def _secret(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise _WrongError("must be a text that is not empty")


def _whole(least: int, most: int = 1_000_000_000) -> Reader:
    def read(value: object) -> int:
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value.strip()[:20])
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise _WrongError(f"must be a whole number from {least} to {most}")

    return read


def _one_of(*words: str) -> Reader:
    def read(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in words:
            return value.strip().lower()
        raise _WrongError(f"must be one of {', '.join(words)}")

    return read


def _duration(value: object) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    try:
        return parse_duration(value, "")
    except RequestError as error:
        raise _WrongError(error.bound) from None


def _parsed(parse: Callable[[str, str], object]) -> Reader:
    def read(value: object) -> str:
        text = _text(value)
        try:
            parse(text, "")
        except RequestError as error:
            raise _WrongError(error.bound) from None
        return text

    return read


KEYS: Final[Mapping[str, Reader]] = {
    "store": _text,
    "unsubscribe": _text,
    "engine.lease": _duration,
    "engine.batch": _whole(1),
    "engine.waiting_max": _whole(1),
    "engine.ttl": _duration,
    "engine.keep": _duration,
    "engine.history": _duration,
    "engine.idempotency": _duration,
    "engine.digest_max": _whole(1),
    "engine.unknown_types": _one_of("accept", "reject"),
    "engine.listener_tries": _whole(1),
    "engine.retry.base": _duration,
    "engine.retry.cap": _duration,
    "engine.retry.tries_max": _whole(1),
    "engine.retry.crashes_max": _whole(1),
    "smtp.host": _text,
    "smtp.port": _whole(1, 65_535),
    "smtp.security": _one_of("none", "starttls", "tls"),
    "smtp.username": _secret,
    "smtp.password": _secret,
    "smtp.sender": _parsed(parse_mailbox),
    "smtp.reply_to": _parsed(parse_mailbox),
    "smtp.bounce_address": _parsed(parse_email),
    "smtp.message_id_domain": _text,
    "smtp.local_hostname": _text,
    "smtp.connections": _whole(1, 1_000),
    "smtp.batch": _whole(1, 10_000),
}
"""Every key that can be set, with the function that reads its value."""

SECRET_KEYS: Final = ("store", "smtp.username", "smtp.password")
"""Keys that can also come from a file of their own: `smtp.password_file`, `TACTFUL_..._FILE`."""

_DURATIONS: Final = tuple(key.rpartition(".")[2] for key in KEYS if KEYS[key] is _duration)


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
    for key, value in _flat({k: v for k, v in table.items() if k not in _POLICIES}):
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
    tables = ("engine.*", "smtp.*", *(f"{kind}.NAME" for kind in _POLICIES))
    top = (*(known for known in every if "." not in known), *tables)
    return f"known are {', '.join(near or top)}"


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, _Raw], tuple[str, ...]]:
    """What the environment sets, and which of its variables mean nothing here."""
    found: dict[str, _Raw] = {}
    names = {PREFIX + key.upper().replace(".", "_"): key for key in KEYS}
    ignored = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(_NOT_KEYS):
            continue
        secret = names.get(name.removesuffix("_FILE"))
        if name in names:
            _put(found, names[name], environ[name], name)
        elif name.endswith("_FILE") and secret in SECRET_KEYS:
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
    except _WrongError as error:
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
    found = {key: _value(raw, key) for key in ("store", "unsubscribe") if key in raw}
    link = found.get("unsubscribe")
    if link is not None and not (link.startswith("https://") and "{token}" in link):
        origin = raw["unsubscribe"].origin
        bound = "must be an https URL with {token} in it"
        raise ConfigError(f"unsubscribe: {bound} (got {link!r}), in {origin}")
    return found


def _settings(raw: Mapping[str, _Raw]) -> Settings:
    retry = RetryPolicy(**_section(raw, "engine.retry."))
    if retry.cap_ms < retry.base_ms:
        raise ConfigError(
            f"engine.retry.cap: must be at least the base, {retry.base_ms} ms (got {retry.cap_ms})"
        )
    try:
        return Settings(**_section(raw, "engine."), retry=retry)
    except ConfigError as error:
        raise ConfigError(f"engine.{str(error).replace('_ms:', ' (ms):', 1)}") from None


def _smtp(raw: Mapping[str, _Raw]) -> Smtp | None:
    given = _section(raw, "smtp.")
    if not given:
        return None
    for name in ("host", "sender"):
        if name not in given:
            raise ConfigError(f"smtp.{name}: is missing; the other keys of [smtp] need it")
    return Smtp(**given)


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
    _known(body, ("category", "channels", "priority", "ttl", "on_ambiguous", "mandatory"))
    given = {key: value for key, value in body.items() if key != "ttl"}
    if not isinstance(given.setdefault("channels", []), list):
        raise RequestError("channels", given["channels"], "must be a list of channel names")
    if not isinstance(given.get("mandatory", False), bool):
        raise RequestError("mandatory", given["mandatory"], "must be true or false")
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
