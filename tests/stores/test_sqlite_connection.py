"""Opening a SQLite file: what it may be, and what it is afterwards."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tactful.core.errors import ConfigError, Unavailable
from tactful.stores.sqlite.connection import (
    APPLICATION_ID,
    check_version,
    connect,
    migrate,
    path_of,
)
from tactful.stores.sqlite.store import SqliteStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tactful.db"


def open_(file: Path) -> SqliteStore:
    return SqliteStore(f"sqlite:///{file}")


def run(file: Path, sql: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(file))
    try:
        return list(connection.execute(sql).fetchall())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://notify.db",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "postgresql:///a",
        "notify.db",
        "SQLITE:///a.db",
    ],
)
def test_a_url_of_another_form_is_refused_and_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=r"must be sqlite:///path") as refused:
        path_of(url)
    assert repr(url) in str(refused.value)
    with pytest.raises(ConfigError):
        SqliteStore(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///notify.db", "notify.db"),
        ("sqlite:////var/lib/notify.db", "/var/lib/notify.db"),
        ("sqlite:///with%20blank.db", "with blank.db"),
        ("sqlite:///größe.db", "größe.db"),
    ],
)
def test_a_url_names_a_relative_or_an_absolute_file(url: str, path: str) -> None:
    assert path_of(url) == Path(path)


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.51.2"])
def test_a_sqlite_that_can_corrupt_files_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=rf"SQLite {version} can corrupt .* 3\.51\.3 or later"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "4.0.0", "3.51.10"])
def test_a_sqlite_without_that_fault_is_accepted(version: str) -> None:
    check_version(version)


def test_a_connection_has_the_settings_it_was_given(file: Path) -> None:
    open_(file).close()
    for writer, own in ((True, (1, -65536)), (False, (None, -16384))):
        connection = connect(file, writer=writer)

        def value(name: str, connection: apsw.Connection = connection) -> object:
            return connection.execute(f"PRAGMA {name}").fetchall()[0][0]

        assert (value("journal_mode"), value("synchronous")) == ("wal", 2)
        assert (value("foreign_keys"), value("temp_store")) == (1, 2)
        assert value("cache_size") == own[1]
        if writer:
            assert value("secure_delete") == own[0]
        else:
            assert value("wal_autocheckpoint") == 0
        connection.close()


def test_a_new_file_is_marked_as_ours(file: Path) -> None:
    open_(file).close()

    assert run(file, "PRAGMA application_id") == [(APPLICATION_ID,)]


def test_opening_again_changes_nothing(file: Path) -> None:
    open_(file).close()
    before = run(file, "SELECT * FROM migrations"), run(file, "SELECT sql FROM sqlite_master")
    store = open_(file)

    assert store.schema == len(before[0])
    store.close()
    after = run(file, "SELECT * FROM migrations"), run(file, "SELECT sql FROM sqlite_master")
    assert after == before


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 77; CREATE TABLE theirs (x)"]
)
def test_a_file_of_another_program_is_refused_and_left_alone(file: Path, sql: str) -> None:
    run(file, sql)
    before = run(file, "SELECT name FROM sqlite_master")

    with pytest.raises(ConfigError, match="the file belongs to another program"):
        open_(file)
    assert run(file, "SELECT name FROM sqlite_master") == before


def test_a_schema_of_a_newer_program_is_refused(file: Path) -> None:
    open_(file).close()
    run(file, "INSERT INTO migrations VALUES (99, '0099_later.sql', 'x')")

    with pytest.raises(ConfigError, match=r"schema \d+ is newer than this program"):
        open_(file)


def test_a_migration_that_was_changed_afterwards_is_refused_by_name(file: Path) -> None:
    open_(file).close()
    run(file, "UPDATE migrations SET checksum = 'other' WHERE number = 1")

    with pytest.raises(ConfigError, match=r"migration 0001_start\.sql was changed"):
        open_(file)


def test_a_migration_that_stopped_in_the_middle_leaves_an_empty_file(file: Path) -> None:
    """All or nothing: the next start begins anew."""
    connection = connect(file, writer=True)
    connection.execute("CREATE TEMP TABLE blocked (x)")
    connection.set_authorizer(
        lambda code, name, *_: (
            apsw.SQLITE_DENY
            if code == apsw.SQLITE_CREATE_TABLE and name == "policies"
            else apsw.SQLITE_OK
        )
    )
    with pytest.raises(apsw.Error):
        migrate(connection)
    connection.close()

    assert run(file, "SELECT name FROM sqlite_master") == []
    open_(file).close()


def test_what_is_no_database_is_unavailable(file: Path) -> None:
    file.write_bytes(b"this is no database, whatever its name says " * 40)
    with pytest.raises(Unavailable, match=r"tactful\.db"):
        open_(file)


def test_a_folder_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unable to open"):
        open_(tmp_path / "nowhere" / "tactful.db")
    with pytest.raises(Unavailable):
        open_(tmp_path)


def test_a_closed_store_is_unavailable_and_closes_again(file: Path) -> None:
    store = open_(file)
    store.close()
    store.close()

    with pytest.raises(Unavailable, match="is closed"), store.reading():
        pass
    with pytest.raises(Unavailable, match="is closed"), store.transaction():
        pass
