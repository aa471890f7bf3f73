"""Query files and numbered migrations are read as they are written, and checked."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from tactful.core.errors import ConfigError
from tactful.stores.named_sql import load_migrations, load_queries

NAMES = count()
Package = Callable[[dict[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Makes an importable package with these files."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(texts: dict[str, str]) -> str:
        name = f"sql_of_test_{next(NAMES)}"
        for folder in ("queries", "migrations"):
            (tmp_path / name / folder).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        for path, text in texts.items():
            (tmp_path / name / path).write_text(text, encoding="utf-8")
        return name

    return make


def test_queries_come_by_name_without_comments_and_semicolons(package: Package) -> None:
    found = load_queries(
        package(
            {
                "queries/b.sql": "-- name: two\n-- what it is for\nSELECT 2\nFROM t;\n",
                "queries/a.sql": "\n-- name: one\nSELECT 1;\n\n-- name: three\nSELECT 3\n",
                "queries/notes.txt": "no query",
            }
        )
    )

    assert found == {"one": "SELECT 1", "three": "SELECT 3", "two": "SELECT 2\nFROM t"}


def test_a_name_that_stands_twice_is_refused_wherever_it_stands(package: Package) -> None:
    with pytest.raises(ConfigError, match=r"b\.sql: query one is defined twice"):
        load_queries(
            package(
                {
                    "queries/a.sql": "-- name: one\nSELECT 1;",
                    "queries/b.sql": "-- name: one\nSELECT 2;",
                }
            )
        )
    with pytest.raises(ConfigError, match=r"a\.sql: query one is defined twice"):
        load_queries(package({"queries/a.sql": "-- name: one\nSELECT 1\n-- name: one\nSELECT 2"}))


def test_text_before_the_first_name_is_refused(package: Package) -> None:
    with pytest.raises(ConfigError, match=r"a\.sql: text before the first query name"):
        load_queries(package({"queries/a.sql": "SELECT 0;\n-- name: one\nSELECT 1;"}))


def test_migrations_come_in_order_with_their_checksums(package: Package) -> None:
    texts = {
        "migrations/0002_more.sql": "CREATE TABLE b (x);",
        "migrations/0001_start.sql": "CREATE TABLE a (x);",
        "migrations/README.md": "nothing",
        "migrations/1_short.sql": "nothing",
    }
    found = load_migrations(package(texts))

    assert [(step.number, step.name) for step in found] == [
        (1, "0001_start.sql"),
        (2, "0002_more.sql"),
    ]
    assert found[0].checksum == sha256(b"CREATE TABLE a (x);").hexdigest()
    assert found[1].sql == "CREATE TABLE b (x);"


@pytest.mark.parametrize(
    "names", [["0002_b"], ["0001_a", "0003_c"], ["0001_a", "0001_b"], ["0000_z", "0001_a"]]
)
def test_migrations_without_their_predecessors_are_refused(
    package: Package, names: list[str]
) -> None:
    made = package({f"migrations/{name}.sql": "SELECT 1;" for name in names})

    with pytest.raises(ConfigError, match="without a gap"):
        load_migrations(made)


def test_no_migrations_are_no_migrations(package: Package) -> None:
    assert load_migrations(package({})) == []
