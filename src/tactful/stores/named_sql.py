"""Named SQL queries and numbered migrations, kept as files beside the store that uses them.

A query file holds blocks that start with `-- name: word`; comment lines below belong to the block.
Migrations are `0001_what.sql`, `0002_...`, applied once each, in order, forward only; a checksum
tells when an applied file was changed afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from tactful.core.errors import ConfigError

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema."""

    number: int
    name: str
    sql: str
    checksum: str


class Schema(NamedTuple):
    """The number of a schema as it was found, 0 where there is none, and of the newest."""

    found: int
    newest: int


def load_queries(package: str) -> dict[str, str]:
    """All named queries of a package's `queries` folder.

    Raises ConfigError where a name stands twice or a file has text before its first name.
    """
    found: dict[str, str] = {}
    for entry in sorted(files(package).joinpath("queries").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".sql"):
            continue
        head, *parts = _NAME.split(entry.read_text("utf-8"))
        if head.strip():
            raise ConfigError(f"{entry.name}: text before the first query name")
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ConfigError(f"{entry.name}: query {name} is defined twice")
            lines = [line for line in body.splitlines() if not line.startswith("--")]
            found[name] = "\n".join(lines).strip().rstrip(";")
    return found


def load_migrations(package: str) -> list[Migration]:
    """All migrations of a package's `migrations` folder in order; raises ConfigError on a gap."""
    found = []
    for entry in sorted(files(package).joinpath("migrations").iterdir(), key=lambda e: e.name):
        match = _MIGRATION.fullmatch(entry.name)
        if match:
            sql = entry.read_text("utf-8")
            checksum = hashlib.sha256(sql.encode()).hexdigest()
            found.append(Migration(int(match[1]), entry.name, sql, checksum))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise ConfigError("migrations must be numbered 0001, 0002, ... without a gap")
    return found


def pending(package: str, done: Mapping[int, str]) -> list[Migration]:
    """The migrations that are still to be applied; `done` has the checksums of those that were.

    Raises ConfigError if the schema is newer than this program, or was migrated by a file that has
    been changed since.
    """
    steps = load_migrations(package)
    if len(done) > len(steps):
        raise ConfigError(f"store: schema {len(done)} is newer than this program ({len(steps)})")
    for step in steps[: len(done)]:
        if done[step.number] != step.checksum:
            raise ConfigError(f"store: migration {step.name} was changed after it was applied")
    return steps[len(done) :]
