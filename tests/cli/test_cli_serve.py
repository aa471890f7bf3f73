"""`tactful serve` and `tactful keys`: a key from nothing, and a service that answers to it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tactful.testing.servers.process import free_port

Run = Callable[..., Any]
TOKEN = re.compile(r"tk_(?:live|test)_[A-Za-z0-9_-]{50}")


class Served:
    """`tactful serve` as a process, up to the line that shows what to paste or that it is there."""

    def __init__(self, here: Path, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tactful", "serve", "--port", str(self.port), *arguments],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        transport = httpx2.HTTPTransport(retries=20)
        self.client = httpx2.Client(base_url=self.url, transport=transport, timeout=60)

    def stop(self) -> tuple[int, str]:
        """End it as Ctrl-C does; gives its exit code and what it said."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def serve(here: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*arguments: str) -> Served:
        started.append(Served(here, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.client.close()
        one.process.kill()
        one.process.communicate()


def as_holder(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_first_start_shows_a_key_that_works(
    ready: Run, here: Path, serve: Callable[..., Served]
) -> None:
    """What is shown can be pasted; and it is shown this once."""
    ready("keys", "create", "eyes", "--scope", "read")
    ready("keys", "revoke", "eyes")
    served = serve()
    assert served.process.stderr is not None
    said = ""
    while "curl" not in said:
        said = served.process.stderr.readline()
        assert said, "it has ended"
    found = TOKEN.search(said)
    assert found is not None
    body = {"type": "note", "to": "ada", "text": "It works.", "channels": "inbox"}

    answer = served.client.post("/v1/notifications", json=body, headers=as_holder(found[0]))

    assert answer.status_code == 202, answer.text
    assert served.client.get("/v1/status").status_code == 401
    code, _ = served.stop()
    assert code == 0
    again = serve()
    assert again.client.get("/readyz").status_code == 200
    assert again.client.get("/v1/status", headers=as_holder(found[0])).status_code == 200
    code, said = again.stop()
    assert code == 0
    assert not TOKEN.search(said)


def test_without_a_worker_it_answers_only(ready: Run, serve: Callable[..., Served]) -> None:
    token = ready("keys", "create", "shop", "--json").data["token"]
    served = serve("--no-worker")
    body = {"type": "note", "to": "ada", "text": "w", "channels": "inbox"}
    served.client.get("/healthz")

    made = served.client.post("/v1/notifications", json=body, headers=as_holder(token)).json()

    served.stop()
    state = ready("why", made["delivery_id"], "--json").data["state"]
    assert state == "queued"
    ready("work", "--once")
    assert ready("why", made["delivery_id"], "--json").data["state"] == "delivered"


def test_a_key_that_the_command_line_revokes_opens_nothing_in_the_service(
    ready: Run, serve: Callable[..., Served]
) -> None:
    token = ready("keys", "create", "shop", "--json").data["token"]
    served = serve("--no-worker")
    assert served.client.get("/healthz").status_code == 200
    assert served.client.get("/v1/rules", headers=as_holder(token)).status_code == 200

    ready("keys", "revoke", "shop")

    while (status := served.client.get("/v1/rules", headers=as_holder(token)).status_code) == 200:
        pass  # for a second at most; test_access says how long exactly
    assert status == 401


# Keys -----------------------------------------------------------------------------------------


def test_a_key_is_made_listed_rotated_and_revoked(ready: Run) -> None:
    made = ready("keys", "create", "Shop", "--scope", "send", "--lives", "90d")
    token = TOKEN.search(made.out)
    assert token is not None
    assert "cannot be shown again" in made.out

    listed = ready("keys", "list")
    assert "shop" in listed.out
    assert token[0] not in listed.out
    assert ready("keys", "list", "--json").data == {
        "keys": [{"name": "shop", "scopes": ["send"], "last_used_at": None}]
    }
    rotated = ready("keys", "rotate", "shop", "--overlap", "2h", "--lives", "30d", "--json").data
    assert rotated["token"] != token[0]
    revoked = ready("keys", "revoke", "shop")
    assert "opens nothing" in revoked.out
    assert "there is no key" in ready("keys", "list").out


def test_a_key_for_tests_says_so(ready: Run) -> None:
    made = ready("keys", "create", "trial", "--scope", "test", "--json").data

    assert made["token"].startswith("tk_test_")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("create", "shop"), 1, "rotate it"),
        (("create", "x", "--scope", "test", "--scope", "send"), 1, "scopes"),
        (("create", "x", "--lives", "soon"), 1, "--lives"),
        (("create", "x", "--scope", "all"), 2, "--scope"),
        (("rotate", "nobody"), 4, "nobody"),
        (("rotate", "shop", "--overlap", "0d"), 1, "--overlap"),
        (("revoke", "nobody"), 4, "nobody"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(
    ready: Run, arguments: tuple[str, ...], code: int, word: str
) -> None:
    ready("keys", "create", "shop")

    found = ready("keys", *arguments)

    assert found.code == code, found
    assert word in found.err
    assert len(ready("keys", "list", "--json").data["keys"]) == 1
