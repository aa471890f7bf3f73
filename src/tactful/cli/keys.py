"""`tactful keys`: who may use the HTTP service."""

from __future__ import annotations

import click

from tactful.cli.engine import author, opened
from tactful.cli.instants import instant
from tactful.cli.options import columns, shared, show
from tactful.core.model import Millis
from tactful.engine.keys import SCOPES, ApiKey
from tactful.engine.requests import parse_duration
from tactful.engine.zones import iso


@click.group("keys")
def command() -> None:
    """Make and revoke the keys of the HTTP service."""


def _shown(key: ApiKey, token: str) -> None:
    data = {"name": key.name, "scopes": list(key.scopes), "token": token}
    show(data, [token, "", "Keep it now: it is not stored and cannot be shown again."])


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("send", "read"),
    show_default=True,
    help="What its holder may do; may be repeated.",
)
@click.option("--lives", metavar="SPAN", help="How long it is good for, such as `90d`.")
@shared
def create(name: str, scopes: tuple[str, ...], lives: str | None) -> None:
    """Make a key and show it, this once."""
    lives_ms = None if lives is None else parse_duration(lives, "--lives")
    with opened() as app:
        _shown(*app.keys.create(name, scopes, lives_ms=lives_ms, author=author()))


@command.command("rotate")
@click.argument("name")
@click.option(
    "--overlap",
    metavar="SPAN",
    default="1d",
    show_default=True,
    help="How long the secret before is good for, too.",
)
@click.option("--lives", metavar="SPAN", help="How long the new secret is good for.")
@shared
def rotate(name: str, overlap: str, lives: str | None) -> None:
    """Give a key another secret; the one before is good for a while."""
    overlap_ms = parse_duration(overlap, "--overlap")
    lives_ms = None if lives is None else parse_duration(lives, "--lives")
    with opened() as app:
        _shown(*app.keys.rotate(name, overlap_ms=overlap_ms, lives_ms=lives_ms, author=author()))


@command.command("list")
@shared
def list_() -> None:
    """Show the keys in force, without their secrets, and when each was last used."""
    with opened() as app:
        keys, used, now = app.keys.list(), app.keys.used(), app.clock.now()
    rows = [
        (
            key.name,
            " ".join(key.scopes),
            _until(key, now),
            instant(used.get(key.name), now) or "never",
        )
        for key in keys
    ]
    data = [
        {"name": key.name, "scopes": list(key.scopes), "last_used_at": used.get(key.name)}
        for key in keys
    ]
    head = ("key", "scopes", "good until", "last used")
    show({"keys": data}, columns(head, rows) if rows else ["there is no key"])


@command.command("revoke")
@click.argument("name")
@shared
def revoke(name: str) -> None:
    """Take a key out of force; within a second it opens nothing, anywhere."""
    with opened() as app:
        version = app.keys.remove(name, author=author())
    show({"name": name, "version": version}, [f"{name} opens nothing any more"])


def _until(key: ApiKey, now: Millis) -> str:
    ends = [secret.expires_at for secret in key.live(now)]
    if not ends:
        return "has ended"
    if None in ends:
        return "revoked"
    return iso(max(end for end in ends if end is not None))
