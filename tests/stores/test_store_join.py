"""Who sends: a store knows whether anybody else does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tactful.stores.memory import MemoryStore
from tactful.stores.sqlite.store import SqliteStore

SENDER = """
import sys
from tactful.stores.sqlite.store import SqliteStore
store = SqliteStore(sys.argv[1])
print(store.join(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tactful.db'}"


@contextmanager
def another_sender(url: str) -> Iterator[tuple[bool, subprocess.Popen[str]]]:
    """A process that sends, and what it was told when it joined."""
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline() == "True\n", process
    finally:
        process.kill()
        process.communicate()


def test_whoever_comes_first_is_alone_and_stays_so_when_asked_again(url: str) -> None:
    store = SqliteStore(url)

    assert store.join() is True
    assert store.join() is True
    store.close()


def test_whoever_comes_second_is_not_alone(url: str) -> None:
    first, second = SqliteStore(url), SqliteStore(url)

    assert [first.join(), second.join()] == [True, False]
    assert first.join() is False
    first.close()
    second.close()


def test_who_only_asks_questions_is_no_sender(url: str) -> None:
    reader, sender = SqliteStore(url), SqliteStore(url)
    with reader.reading() as found:
        assert found.next_due() is None

    assert sender.join() is True
    reader.close()
    sender.close()


def test_who_has_left_is_no_sender_any_more(url: str) -> None:
    first, second = SqliteStore(url), SqliteStore(url)
    first.join()
    first.close()

    assert second.join() is True
    second.close()


def test_a_sender_in_another_process_counts_until_it_ends_however_it_ends(url: str) -> None:
    store = SqliteStore(url)
    with another_sender(url) as (alone, process):
        assert alone is True
        assert store.join() is False
        with another_sender(url) as (other_alone, _):
            assert other_alone is False
        process.kill()
        process.wait()
        assert store.join() is True
    store.close()


def test_files_are_joined_apart(tmp_path: Path) -> None:
    one, other = (SqliteStore(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b"))

    assert [one.join(), other.join()] == [True, True]
    one.close()
    other.close()


def test_nobody_else_can_reach_a_store_in_memory() -> None:
    assert [MemoryStore().join(), MemoryStore().join()] == [True, True]
