"""Who sends: every sender has a name, and a store knows which of them live."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tactful.core.errors import Unavailable
from tactful.ports import Store
from tactful.stores.chosen import open_store
from tactful.stores.memory import MemoryStore
from tactful.stores.postgres.locks import SENDERS
from tactful.stores.postgres.presence import BACK_S
from tactful.stores.sqlite.store import SqliteStore

SENDER = """
import sys
from tactful.stores.chosen import open_store
store = open_store(sys.argv[1])
store.join(sys.argv[2])
print("joined", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_sender(url: str, owner: str) -> Iterator[subprocess.Popen[str]]:
    """A process that sends."""
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, url, owner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "joined\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of which the store is sure who is there."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'tactful.db'}"
    url: str = request.getfixturevalue("used_store_url")
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_sleep_until(pg_postmaster_start_time() + make_interval(secs => %s))",
            (BACK_S,),
        )
    return url


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What is put in here is closed at the end."""
    with ExitStack() as stack:
        yield stack


def store_at(url: str, opened: ExitStack) -> Store:
    store = open_store(url)
    opened.callback(store.close)
    return store


def test_whoever_has_joined_is_there_and_nobody_else(url: str, opened: ExitStack) -> None:
    first, second = store_at(url, opened), store_at(url, opened)
    first.join("ann")
    second.join("bob")

    everybody = ["ann", "bob", "cat", ""]
    assert first.gone(everybody) == second.gone(everybody) == {"cat", ""}
    assert first.gone([]) == set()


def test_joining_again_changes_nothing(url: str, opened: ExitStack) -> None:
    store, other = store_at(url, opened), store_at(url, opened)
    store.join("ann")
    store.join("ann")

    assert other.gone(["ann"]) == store.gone(["ann"]) == set()


def test_who_only_asks_questions_is_no_sender(url: str, opened: ExitStack) -> None:
    reader, other = store_at(url, opened), store_at(url, opened)
    with reader.reading() as found:
        assert found.next_due() is None

    assert reader.gone(["ann"]) == other.gone(["ann"]) == {"ann"}


def test_who_has_left_is_gone_and_may_come_back(url: str, opened: ExitStack) -> None:
    first, second = store_at(url, opened), store_at(url, opened)
    first.join("ann")
    first.close()
    assert second.gone(["ann"]) == {"ann"}

    store_at(url, opened).join("ann")
    assert second.gone(["ann"]) == set()


def test_a_name_may_have_any_characters_and_any_length(url: str, opened: ExitStack) -> None:
    store, other = store_at(url, opened), store_at(url, opened)
    names = ["../up", "a/b\\c", "Zoë 通知", "x" * 10_000, ""]
    for name in names:
        store.join(name)

    assert other.gone([*names, "x" * 9_999]) == {"x" * 9_999}


def test_a_sender_in_another_process_is_there_until_it_ends_however_it_ends(
    url: str, opened: ExitStack
) -> None:
    store = store_at(url, opened)
    with another_sender(url, "ann") as ann, another_sender(url, "bob"):
        assert store.gone(["ann", "bob"]) == set()
        ann.kill()
        ann.wait()
        await_that(lambda: store.gone(["ann", "bob"]) == {"ann"})
    await_that(lambda: store.gone(["ann", "bob"]) == {"ann", "bob"})


def test_a_process_that_is_stopped_is_there_and_holds_up_nobody(
    url: str, opened: ExitStack
) -> None:
    store = store_at(url, opened)
    with another_sender(url, "ann") as ann:
        ann.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, ann.pid, os.WSTOPPED | os.WNOWAIT)

        store.join("bob")
        assert store.gone(["ann", "bob", "cat"]) == {"cat"}


def test_a_new_process_clears_away_what_the_dead_have_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tactful.db'}"
    with another_sender(url, "ann"):
        pass
    store = SqliteStore(url)
    store.join("bob")

    assert len(list((tmp_path / "tactful.db-senders").iterdir())) == 1
    store.close()
    assert list((tmp_path / "tactful.db-senders").iterdir()) == []


def test_files_are_joined_apart(tmp_path: Path) -> None:
    one, other = (SqliteStore(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b"))
    one.join("ann")

    assert (one.gone(["ann"]), other.gone(["ann"])) == (set(), {"ann"})
    one.close()
    other.close()


def test_where_no_file_can_be_made_the_store_cannot_be_used_to_send(tmp_path: Path) -> None:
    (tmp_path / "tactful.db-senders").write_text("in the way")
    store = SqliteStore(f"sqlite:///{tmp_path / 'tactful.db'}")

    with pytest.raises(Unavailable, match=r"tactful\.db-senders"):
        store.join("ann")
    store.close()


def test_a_lost_session_is_taken_up_again(used_store_url: str, opened: ExitStack) -> None:
    """The server has closed it; the next look brings the names back."""
    store, other = store_at(used_store_url, opened), store_at(used_store_url, opened)
    store.join("ann")
    with psycopg.connect(used_store_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND classid = %s",
            (SENDERS,),
        )
    assert store.gone(["ann"]) == set()
    assert other.gone(["ann"]) == set()


def test_nobody_else_can_reach_a_store_in_memory() -> None:
    store = MemoryStore()
    store.join("ann")

    assert store.gone(["ann", "bob"]) == {"ann", "bob"}


def await_that(holds: Callable[[], bool]) -> None:
    """Look again and again: a server takes an instant to notice a death."""
    never = threading.Event()
    for _ in range(3_000):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it did not come so far")
