"""`tactful console`: who may use the console of the HTTP service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Final

import click

from tactful.app import Tactful
from tactful.cli.engine import author, opened
from tactful.cli.options import columns, shared, show
from tactful.core.errors import ConfigError
from tactful.core.names import name_key
from tactful.engine.users import ROLES, User
from tactful.runtime.entropy import new_secret

GENERATED: Final = 24
"""Hexadecimal digits of a generated password: 96 random bits."""

_generate = click.option("--generate", is_flag=True, help="Make up a password and show it.")


@click.group("console")
def command() -> None:
    """Add, change and remove the users of the console."""


@command.command("add-user")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    show_default=True,
    help="See; change rules and deliveries, too; or everything.",
)
@_generate
@shared
def add_user(name: str, role: str, generate: bool) -> None:
    """Add a user; the password is asked for, or made up."""
    password = _password(generate)
    with opened() as app:
        user = add(app, name, role, password)
    _shown(user, password if generate else None, "may log in now")


@command.command("set-password")
@click.argument("name")
@_generate
@shared
def set_password(name: str, generate: bool) -> None:
    """Give a user another password; all of their sessions end."""
    password = _password(generate)
    secret = _hash()(password)
    with opened() as app:
        user = app.users.edit(name, partial(replace, password=secret), author=author())
    _shown(user, password if generate else None, "has another password")


@command.command("set-role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES), metavar="ROLE")
@shared
def set_role(name: str, role: str) -> None:
    """Give a user another role; all of their sessions end."""
    with opened() as app:
        user = app.users.edit(name, partial(replace, role=role), author=author())
    _shown(user, None, f"is {role} now")


@command.command("users")
@shared
def users() -> None:
    """Show who may log in."""
    with opened() as app:
        found = app.users.list()
    data = {"users": [{"name": user.name, "role": user.role} for user in found]}
    rows = [(user.name, user.role) for user in found]
    show(data, columns(("user", "role"), rows) if rows else ["there is no user"])


@command.command("remove-user")
@click.argument("name")
@shared
def remove_user(name: str) -> None:
    """Remove a user; all of their sessions end."""
    with opened() as app:
        version = app.users.remove(name, author=author())
    show({"name": name, "version": version}, [f"{name} may not log in any more"])


def add(app: Tactful, name: str, role: str, password: str) -> User:
    """A new user, stored; raises RequestError, also if there is one of that name."""
    user = User(name_key(name, "name"), role, _hash()(password))
    app.users.add(user, author=author())
    return user


def generated() -> str:
    """A password that nobody has to remember for long."""
    return new_secret()[:GENERATED]


def _password(generate: bool) -> str:
    if generate:
        return generated()
    found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return found


def _hash() -> Callable[[str], str]:
    if not find_spec("argon2"):
        raise ConfigError("console: needs `pip install 'tactful[http]'`")
    found: Callable[[str], str] = resolve_name("tactful.http.console.passwords:hashed")
    return found


def _shown(user: User, password: str | None, what: str) -> None:
    data = {"name": user.name, "role": user.role}
    lines = [f"{user.name} {what}"]
    if password is not None:
        data["password"] = password
        lines += [password, "", "Keep it now: it is not stored and cannot be shown again."]
    show(data, lines)
