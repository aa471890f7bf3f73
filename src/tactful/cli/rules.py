"""`tactful rules`: what is in force, and its versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tactful.cli.engine import author, configured, opened
from tactful.cli.instants import instant
from tactful.cli.options import columns, shared, show
from tactful.cli.policies import compare, held, put_others, told
from tactful.config import FILE_NAME, read_policies
from tactful.core.errors import ConfigError, InvalidRule
from tactful.core.rules import Rule, rule_from


@click.group("rules")
def command() -> None:
    """List and change the rules in force.

    A change holds for every process as soon as it is made, and what waits is decided anew.
    """


@command.command("list")
@shared
def list_() -> None:
    """List the rules in force."""
    with opened() as app:
        rules = app.rules.list()
    rows = [
        (rule.name, _what(rule), _whom(rule), rule.per, rule.on_limit, _extras(rule))
        for rule in rules
    ]
    head = ("name", "what", "for", "per", "on limit", "")
    lines = columns(head, rows) if rows else ["no rules: everything goes at once"]
    show({"rules": [rule.to_dict() for rule in rules]}, lines)


def _what(rule: Rule) -> str:
    if rule.limit is not None:
        return str(rule.limit)
    return f"quiet {rule.quiet}" if rule.quiet is not None else f"only {rule.window}"


def _whom(rule: Rule) -> str:
    named = []
    for what in ("types", "categories", "channels"):
        names = getattr(rule, what)
        if names is not None:
            named.append(f"{what} {','.join(names)}")
    if rule.priorities is not None:
        named.append("priorities " + ",".join(_priorities(rule.priorities)))
    return " ".join(named) or "all"


def _extras(rule: Rule) -> str:
    found = []
    if rule.exempt:
        found.append("exempt " + ",".join(_priorities(rule.exempt)))
    found += [f"{count} reserved for {priority}" for priority, count in rule.reserve.items()]
    if rule.burst != 1:
        found.append(f"burst {rule.burst}")
    return "; ".join(found)


def _priorities(values: Any) -> list[str]:
    return [value.name.lower() for value in values]


@command.command("set")
@click.argument("name")
@click.argument("limit", required=False)
@click.option("--types", metavar="A,B", help="Of these types only.")
@click.option("--categories", metavar="A,B", help="Of these categories only.")
@click.option("--channels", metavar="A,B", help="Over these channels only.")
@click.option("--priorities", metavar="A,B", help="Of these priorities only.")
@click.option("--per", help="recipient, recipient+type, ..., channel or domain.")
@click.option("--on-limit", help="defer, digest, collapse or reject.")
@click.option("--quiet", metavar="HOURS", help='Nothing goes then: "22:00-08:00".')
@click.option("--window", metavar="HOURS", help='Goes only then: "09:00-17:00 mon-fri".')
@click.option("--exempt", metavar="A,B", help="Priorities that the rule leaves alone.")
@click.option("--reserve", multiple=True, metavar="PRIORITY=N", help="Repeatable.")
@click.option("--burst", type=int, help="With --per channel or domain.")
@shared
def set_(name: str, reserve: tuple[str, ...], **options: Any) -> None:
    """Add a rule, or replace the one of this name.

    LIMIT is such as 2/minute, 20/30min or "1/day calendar"; --quiet or --window can stand instead.
    """
    body = {key: value for key, value in options.items() if value is not None}
    for key in ("types", "categories", "channels", "priorities", "exempt"):
        if key in body:
            body[key] = [part.strip() for part in body[key].split(",") if part.strip()]
    if reserve:
        body["reserve"] = dict(map(_reserved, reserve))
    rule = rule_from(body, name)
    with opened() as app:
        waiting = held(app)
        version = app.rules.put(rule, author=author())
    data = {"rule": rule.to_dict(), "version": version, "decided_anew": waiting}
    show(data, [f"rule {rule.name}: {_what(rule)}, version {version}", _anew(waiting)])


def _reserved(text: str) -> tuple[str, int]:
    priority, _, count = text.partition("=")
    if not count.isascii() or not count.isdigit():
        raise InvalidRule("reserve", text, "must be such as high=1")
    return priority, int(count[:20])


def _anew(waiting: int) -> str:
    return f"waiting deliveries that will be decided anew: {waiting}"


@command.command("remove")
@click.argument("name")
@shared
def remove(name: str) -> None:
    """Take a rule out of force; its versions are kept."""
    with opened() as app:
        waiting = held(app)
        version = app.rules.remove(name, author=author())
    data = {"removed": name, "version": version, "decided_anew": waiting}
    show(data, [f"removed {name}, version {version}", _anew(waiting)])


@command.command("history")
@click.argument("name", required=False)
@shared
def history(name: str | None) -> None:
    """List all versions, of one rule or of all."""
    with opened() as app:
        versions = app.rules.history(name)
        now = app.clock.now()
    rows = [
        (
            one.version,
            instant(one.at, now),
            one.name,
            "removed" if one.body is None else _what(rule_from(one.body)),
            one.author,
        )
        for one in versions
    ]
    lines = columns(("version", "at", "name", "what", "by"), rows)
    show({"versions": [one._asdict() for one in versions]}, lines)


@command.command("revert")
@click.argument("version", type=int)
@shared
def revert(version: int) -> None:
    """Put all rules back as they were at a version."""
    with opened() as app:
        waiting = held(app)
        new = app.rules.revert(version, author=author())
        rules = [rule.to_dict() for rule in app.rules.list()]
    data = {"version": new, "rules": rules, "decided_anew": waiting}
    show(data, [f"rules are as at version {version}, now version {new}", _anew(waiting)])


@command.command("apply")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@shared
def apply(file: Path | None, dry_run: bool) -> None:
    """Make exactly the rules of a file be in force.

    FILE is TOML with tables [rules.NAME]; default: the configuration. Its types and templates
    are put in force too, and none of those is removed.
    """
    config = configured()
    source = file or config.file
    if source is None:
        raise ConfigError(f"file: there is no {FILE_NAME} here; name a file")
    policies = read_policies(source)
    if policies.rules is None:
        raise ConfigError(f"rules: {source} has none; to be without rules, remove them by name")
    with opened(config) as app:
        waiting = held(app)
        if dry_run:
            change: dict[str, Any] = dict(compare(app, policies.rules))
        else:
            others = put_others(app, policies)
            change = {**app.rules.apply(policies.rules, author=author()), **others}
    changed = bool(change["set"] or change["removed"])
    data = {**change, "dry_run": dry_run, "decided_anew": waiting if changed else 0}
    show(data, _applied(change, waiting if changed else 0, dry_run))


def _applied(change: dict[str, Any], waiting: int, dry_run: bool) -> Iterator[str]:
    if dry_run:
        yield "would change:"
    yield from told(change)
    yield _anew(waiting)
