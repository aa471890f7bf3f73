"""What every private server does: it starts, stops, crashes, hangs and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from server_cases import CASES, PATIENCE_S, Case, ends_of

from tactful.testing.servers.process import PrivateServer, ServerError

OWNER = Path(__file__).with_name("owner_process.py")


@pytest.fixture(scope="module", params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture(scope="module")
def shared(case: Case) -> Iterator[PrivateServer]:
    with case.make() as server:
        yield server


@pytest.fixture
def server(shared: PrivateServer) -> PrivateServer:
    """A server that runs, whatever the test before did to it."""
    shared.restart()
    return shared


def test_a_server_answers_as_soon_as_it_has_started(case: Case, server: PrivateServer) -> None:
    with case.connect(server.url()) as ask:
        assert ask()


def test_a_server_never_runs_as_root(server: PrivateServer) -> None:
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0


def test_a_killed_server_is_gone_with_all_its_processes(case: Case, server: PrivateServer) -> None:
    with (
        case.connect(server.url()),
        ends_of([server.pid, *case.processes(server.url())]) as all_gone,
    ):
        server.kill()

        assert all_gone(0)
    with pytest.raises(ServerError, match="does not run"):
        _ = server.pid


def test_a_paused_server_can_be_killed_and_stopped(case: Case, server: PrivateServer) -> None:
    server.pause()
    server.kill()
    server.start()
    server.pause()
    server.restart()

    with case.connect(server.url()) as ask:
        assert ask()


def test_a_server_keeps_its_url_over_a_crash_and_a_restart(
    case: Case, server: PrivateServer
) -> None:
    url = server.url()

    server.kill()
    server.start()
    server.restart()

    assert server.url() == url
    with case.connect(url) as ask:
        assert ask()


def test_a_paused_server_leaves_a_question_open_until_it_goes_on(
    case: Case, server: PrivateServer
) -> None:
    with case.connect(server.url()) as ask, ThreadPoolExecutor(1) as pool:
        usual = ask()
        server.pause()
        answer = pool.submit(ask)
        with pytest.raises(TimeoutError):
            answer.result(timeout=0.3)

        server.resume()

        assert answer.result(PATIENCE_S) == usual


def test_a_server_that_runs_is_not_started_twice(server: PrivateServer) -> None:
    with pytest.raises(ServerError, match=f"runs already, as process {server.pid}"):
        server.start()


def test_a_closed_server_leaves_neither_process_nor_file(case: Case) -> None:
    server = case.make()
    server.start()
    folder = server.folder
    with ends_of([server.pid]) as gone:
        server.close()
        server.close()

        assert gone(0)
    assert not folder.exists()


def test_a_server_dies_with_the_process_that_started_it(name: str, case: Case) -> None:
    command = [sys.executable, str(OWNER), name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        url, pid, folder = json.loads(owner.stdout.readline())
        with ends_of([pid, *case.processes(url)]) as all_gone:
            owner.kill()

            assert all_gone(PATIENCE_S)
    shutil.rmtree(folder)  # nobody was left to do it


def test_variables_that_guide_clients_do_not_reach_the_server(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGDATA", os.devnull)
    monkeypatch.setenv("LC_ALL", "tlh_KX.UTF-8")

    with case.make() as server:
        environment = Path(f"/proc/{server.pid}/environ").read_bytes()

    assert b"PGDATA=/dev/null" not in environment
    assert b"tlh" not in environment
