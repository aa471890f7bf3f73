"""The commands on PostgreSQL, and those that are about stores: migrate, copy and doctor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import apsw
import psycopg
import pytest

from tactful.cli.postgres_probes import of_facts
from tactful.core.model import HOUR, MINUTE
from tactful.stores.named_sql import load_migrations
from tactful.stores.postgres.health import Examination, Facts
from tactful.stores.postgres.store import PostgresStore
from tactful.stores.sqlite.connection import APPLICATION_ID, PACKAGE
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.servers.postgres import PostgresServer

SQLITE = "sqlite:///notify.db"
SOUND = Facts("18.6", False, "on", "on", "on", "on", 0, 0, 0, 1_000, 2_000)


def tables(url: str) -> int:
    """How many tables a PostgreSQL database has."""
    with psycopg.connect(url) as connection:
        ((count,),) = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
    return int(count)


def findings(said) -> dict[str, tuple[str, str]]:
    return {one["what"]: (one["verdict"], one["found"]) for one in said.data["findings"]}


def password(url: str) -> str:
    found = urlsplit(url).password
    assert found
    return found


# On PostgreSQL --------------------------------------------------------------------------------


def test_from_nothing_to_an_explanation_on_postgresql(run, postgres_url: str):
    assert run("init", "--store", postgres_url).code == 0
    for text in ("one", "two", "three"):
        said = run("send", "status", "ada@example.com", "--text", text, "--json")
    waiting = said.data["delivery_id"]
    work = run("work", "--once", "--json")
    status = run("status", "--json")

    assert work.data["events"]["delivered"] == 2
    assert status.data["states"] == {"delivered": 2, "deferred": 1}
    assert "rule status (2/minute)" in run("why", waiting).out
    assert run("rules", "set", "status", "9/minute", "--types", "status").code == 0
    assert run("work", "--once", "--json").data["events"]["delivered"] == 1
    assert run("prune", "--json").code == 0


def test_the_password_of_the_store_is_in_nothing_that_is_said(run, postgres_url: str):
    said = [
        run(*words, "--store", postgres_url)
        for words in (("migrate",), ("init",), ("status",), ("doctor",), ("status", "--json"))
    ]
    said.append(run("copy", postgres_url, "sqlite:///copy.db"))
    said.append(run("copy", "sqlite:///copy.db", postgres_url))
    said.append(run("copy", postgres_url, "sqlite:///other.db", "--json"))

    for one in said:
        assert password(postgres_url) not in one.out + one.err
    assert "***" in said[0].out


def test_without_the_extra_the_message_says_what_to_install(here: Path):
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from tactful.cli.main import tactful\n"
        "tactful(sys.argv[1:])\n"
    )
    for command in ("status", "doctor", "migrate"):
        words = [sys.executable, "-c", program, command, "--store", "postgresql://db/x"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)

        assert done.returncode in (2, 6)
        assert "PostgreSQL needs `pip install 'tactful[postgres]'`" in done.stdout + done.stderr


@pytest.fixture
def visitor(postgres_url: str) -> Iterator[str]:
    """The URL of the same database for a user who may make nothing in it."""
    name = f"visitor_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'entry'")
        parts = urlsplit(postgres_url)
        yield parts._replace(netloc=f"{name}:entry@{parts.netloc.rpartition('@')[2]}").geturl()
        connection.execute(f"DROP ROLE {name}")


def test_a_user_who_may_not_make_tables_is_told_so(run, visitor: str):
    said = run("init", "--store", visitor)

    assert said.code == 2
    assert "permission denied for schema public" in said.err
    assert "the user must own the database" in said.err


def test_a_database_of_another_program_is_left_alone(run, postgres_url: str):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE migrations (id INTEGER, migration TEXT)")

    for words in (("init",), ("migrate",), ("doctor",)):
        said = run(*words, "--store", postgres_url)
        assert said.code == (6 if words == ("doctor",) else 2)
        assert "a database that nothing else uses" in said.out + said.err
    assert tables(postgres_url) == 1


# migrate --------------------------------------------------------------------------------------


def test_an_empty_database_gets_its_tables(run, postgres_url: str):
    before = run("migrate", "--check", "--store", postgres_url, "--json")
    made = tables(postgres_url)
    done = run("migrate", "--store", postgres_url, "--json")
    after = run("migrate", "--check", "--store", postgres_url, "--json")

    assert (before.code, made) == (1, 0)
    newest = len(load_migrations("tactful.stores.postgres"))
    assert (before.data["from"], before.data["to"]) == (0, newest)
    assert (done.code, done.data["migrated"]) == (0, True)
    assert tables(postgres_url) > 10
    assert (after.code, after.data["from"], after.data["migrated"]) == (0, newest, False)


@pytest.fixture
def old_file(here: Path) -> Path:
    """A SQLite store as the first version of the program made it."""
    first = load_migrations(PACKAGE)[0]
    connection = apsw.Connection(str(here / "notify.db"))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA journal_mode = WAL")
    connection.execute(
        "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " checksum TEXT NOT NULL) STRICT"
    )
    connection.execute(first.sql)
    connection.execute(
        "INSERT INTO migrations VALUES (?, ?, ?)", (first.number, first.name, first.checksum)
    )
    connection.close()
    return here / "notify.db"


def test_an_old_file_is_told_about_and_brought_up_to_date(run, old_file: Path):
    newest = len(load_migrations(PACKAGE))

    check = run("migrate", "--check")
    assert check.code == 1
    assert f"the schema is 1, this program needs {newest}: run tactful migrate" in check.out
    assert run("migrate", "--check").code == 1, "asking changes nothing"
    assert f"the schema was 1 and is {newest} now" in run("migrate").out
    assert run("migrate", "--check").code == 0
    assert f"the schema is {newest}, as this program needs it" in run("migrate").out


def test_asking_about_a_file_that_is_not_there_makes_none(run, here: Path):
    assert run("migrate", "--check").code == 1
    assert list(here.iterdir()) == []
    assert run("migrate").code == 0
    assert (here / "notify.db").exists()


def test_a_schema_of_a_newer_program_is_left_alone(run, postgres_store_url: str):
    newest = len(load_migrations("tactful.stores.postgres"))
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute("INSERT INTO migrations VALUES (%s, 'later.sql', 'x')", (newest + 1,))

    said = run("migrate", "--store", postgres_store_url)

    assert said.code == 2
    assert f"schema {newest + 1} is newer than this program ({newest})" in said.err
    assert run("doctor", "--store", postgres_store_url).code == 6


def test_what_keeps_no_schema_has_nothing_to_do(run):
    assert run("migrate", "--store", "memory://").code == 0
    assert run("migrate", "--check", "--store", "memory://", "--json").data["to"] is None


# copy -----------------------------------------------------------------------------------------


@pytest.fixture
def filled(ready: Callable) -> Callable:
    """A SQLite store with something sent, something waiting and an idempotency key."""
    for text in ("one", "two", "three"):
        ready("send", "status", "ada@example.com", "--text", text, "--key", text)
    ready("work", "--once")
    return ready


def test_from_sqlite_to_postgresql_and_on_with_the_work(filled, postgres_url: str):
    before = filled("status", "--json").data

    said = filled("copy", SQLITE, postgres_url, "--json")

    assert said.code == 0
    assert said.data["complete"] is True
    assert said.data["tables"]["deliveries"]["rows"] == 3
    after = filled("status", "--store", postgres_url, "--json").data
    for what in ("states", "next_due", "rules_in_force", "epoch"):
        assert after[what] == before[what]
    words = ("send", "status", "ada@example.com", "--json", "--store", postgres_url)
    again = filled(*words, "--text", "three", "--key", "three")
    fresh = filled(*words, "--text", "four")
    assert again.data["decision"] == fresh.data["decision"] == "defer"
    assert again.data["deliver_at"] == before["next_due"] <= fresh.data["deliver_at"]
    assert filled("doctor", "--store", postgres_url).code == 6  # nothing reaches this disk


def test_a_copy_says_what_it_has_compared(filled, postgres_url: str):
    said = filled("copy", SQLITE, postgres_url)
    back = filled("copy", postgres_url, "sqlite:///back.db")

    rows = said.out.split("\n\n")[0].splitlines()
    assert len(rows) == 13
    assert back.out.split("\n\n")[0].splitlines() == rows
    assert "let every program use the target now" in said.err


def test_what_is_there_is_not_mixed_with_a_copy(filled, postgres_url: str):
    filled("init", "--store", postgres_url)

    said = filled("copy", SQLITE, postgres_url)

    assert said.code == 2
    assert "target: must be empty, but events is not (1)" in said.err
    assert filled("copy", SQLITE, SQLITE).code == 2


def test_a_source_on_which_somebody_sends_is_only_good_for_a_rehearsal(filled, postgres_url: str):
    sender = SqliteStore(SQLITE)
    sender.join("ann")

    refused = filled("copy", SQLITE, postgres_url)
    assert refused.code == 2
    assert "source: somebody sends from it" in refused.err

    rehearsed = filled("copy", SQLITE, postgres_url, "--while-sending")
    assert rehearsed.code == 0
    assert "do not send from it" in rehearsed.err
    sender.close()


def test_a_source_on_postgresql_on_which_somebody_sends_is_refused(run, postgres_store_url: str):
    sender = PostgresStore(postgres_store_url)
    sender.join("ann")

    assert "somebody sends" in run("copy", postgres_store_url, "sqlite:///a.db").err
    sender.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("memory://", SQLITE), "source: must be on SQLite or PostgreSQL (got 'memory://')"),
        ((SQLITE, "memory://"), "source: there is no store sqlite:///notify.db"),
        (("mysql://u:secret@db/x", SQLITE), "(got 'mysql://u:***@db/x')"),
    ],
)
def test_what_cannot_be_copied_is_refused(run, here: Path, words, says):
    said = run("copy", *words)

    assert said.code == 2
    assert says in said.err
    assert list(here.iterdir()) == []


# doctor ---------------------------------------------------------------------------------------


def test_a_server_that_forces_nothing_to_the_disk_is_no_place_for_a_store(
    run, postgres_store_url: str
):
    """The private server of the tests is such a one."""
    said = run("doctor", "--store", postgres_store_url)

    assert said.code == 6
    assert "fsync is off: a crash loses what was accepted" in said.out


def test_a_server_that_keeps_what_it_is_given_is_healthy(run):
    with PostgresServer(durable=True) as server:
        server.create_database("notify")
        url = server.url("notify")
        fresh = run("doctor", "--store", url, "--json")
        assert tables(url) == 0
        run("init", "--store", url)
        said = run("doctor", "--json")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER DATABASE notify SET synchronous_commit = off")
        lazy = run("doctor", "--json")

    assert fresh.code == 0
    assert findings(fresh)["database"][0] == "warn"
    assert "no tables yet" in findings(fresh)["database"][1]
    assert said.code == 0
    assert {verdict for what, (verdict, _) in findings(said).items() if what != "mail"} == {"ok"}
    assert findings(said)["server"][1].startswith("PostgreSQL ")
    newest = len(load_migrations("tactful.stores.postgres"))
    assert findings(said)["schema"][1] == str(newest)
    assert lazy.code == 6
    assert "synchronous_commit is off" in findings(lazy)["durability"][1]


def test_a_server_that_cannot_be_reached_is_reported_with_what_to_do(run):
    said = run("doctor", "--store", "postgresql://me:secret@127.0.0.1:1/notify", "--json")

    (database,) = (one for one in said.data["findings"] if one["what"] == "database")
    assert said.code == 6
    assert database["verdict"] == "fail"
    assert "pg_hba.conf" in database["advice"]
    assert "secret" not in said.out


@pytest.mark.parametrize(
    ("changed", "what", "verdict"),
    [
        ({}, "durability", "ok"),
        ({"standby": True}, "standby", "fail"),
        ({"synchronous_commit": "off"}, "durability", "fail"),
        ({"fsync": "off"}, "durability", "fail"),
        ({"full_page_writes": "off"}, "durability", "fail"),
        ({"synchronous_commit": "remote_apply"}, "durability", "ok"),
        ({"autovacuum": "off"}, "queue table", "warn"),
        ({"queue_dead_rows": 900_000}, "queue table", "warn"),
        ({"queue_dead_rows": 900_000, "queue_rows": 1_000_000}, "queue table", "ok"),
        ({"idle_in_transaction": 1, "longest_idle_ms": 2 * MINUTE}, "sessions", "warn"),
        ({"idle_in_transaction": 1, "longest_idle_ms": 5}, "sessions", "ok"),
        ({"oldest_transaction_ms": HOUR}, "transactions", "warn"),
    ],
)
def test_what_is_seen_inside_a_server_becomes_a_finding_with_advice(changed, what, verdict):
    found = {one.what: one for one in of_facts(SOUND._replace(**changed))}

    assert found[what].verdict == verdict
    assert bool(found[what].advice) == (verdict != "ok")
    assert {one.verdict for one in found.values() if one.what != what} == {"ok"}


def test_a_session_that_stays_in_its_transaction_is_seen(postgres_store_url: str):
    with psycopg.connect(postgres_store_url) as idle, Examination(postgres_store_url) as inside:
        before = inside.facts()
        idle.execute("SELECT 1")
        facts = inside.facts()

    assert (before.idle_in_transaction, facts.idle_in_transaction) == (0, 1)
    assert facts.oldest_transaction_ms >= facts.longest_idle_ms >= 0
