"""The rules, types and templates that a file holds beside the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tactful.config.sources import from_file, read_toml
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import NotificationType
from tactful.core.rules import Rule, rule_from
from tactful.engine.requests import parse_duration
from tactful.templates.library import Renderer, Template


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules, types and templates that a file holds; None where it says nothing of a kind."""

    rules: tuple[Rule, ...] | None = None
    types: tuple[NotificationType, ...] | None = None
    templates: tuple[Template, ...] | None = None


def read_policies(file: Path) -> Policies:
    """The rules, types and templates of a file; the rest of it is checked for its keys only."""
    table = read_toml(file)
    from_file(table, file)
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
