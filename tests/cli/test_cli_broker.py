"""`tactful serve` and `tactful work` at a message broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nats_peer import EVENTS, NatsPeer, until
from tactful import State, Tactful
from tactful.testing.servers.nats import NatsServer
from tactful.testing.servers.process import free_port

PATIENCE_S = 60.0
STORE = 'store = "sqlite:///notify.db"\n'


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


def body(number: int) -> bytes:
    fields = {"type": "note", "to": f"p{number}@example.org", "text": "Hi"}
    return json.dumps(fields).encode()


def test_work_takes_submissions_from_the_broker_and_tells_it_what_became_of_them(
    here: Path, ready: Callable[..., Any], server: NatsServer
) -> None:
    (here / "tactful.toml").write_text(f'{STORE}[broker]\nurl = "{server.url()}"\n')
    peer = NatsPeer(server.url())
    with subprocess.Popen([sys.executable, "-m", "tactful", "work", "--quiet"], cwd=here) as work:
        until(lambda: peer.has("tactful_submissions"))
        peer.put([(body(n), None) for n in range(20)])
        until(lambda: peer.has(EVENTS) and len(_told(peer, EVENTS)) >= 40)
        work.send_signal(signal.SIGTERM)

    kept = [json.loads(one.body)["type"] for one in peer.kept(EVENTS)]
    assert work.returncode == 0
    assert kept.count("tactful.delivered") == 20


@pytest.mark.soak
@pytest.mark.parametrize(
    "command",
    [("work",), ("work", "--processes", "2"), ("serve", "--port", "0")],
    ids=["work", "group", "serve"],
)
def test_what_comes_over_the_broker_is_sent_and_told_though_all_are_killed(
    here: Path, ready: Callable[..., Any], server: NatsServer, command: tuple[str, ...]
) -> None:
    """Killed with SIGKILL in the middle of it, and started again."""
    name = command[-1].strip("-")
    places = f'submissions = "in{name}"\nevents = "out{name}"\n'
    (here / "tactful.toml").write_text(f'{STORE}[broker]\nurl = "{server.url()}"\n{places}')
    peer = NatsPeer(server.url())
    total = 400

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tactful", *command],
            cwd=here,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    running = start()
    with Tactful("sqlite:///notify.db") as app:
        app.stop()  # only to look
        until(lambda: peer.has(f"in{name}"))
        peer.put([(body(n), None) for n in range(total)], subject=f"in{name}")
        until(lambda: len(app.deliveries(limit=total)) > 50)
        running.kill()
        running.wait()
        running = start()
        until(lambda: len(app.deliveries(state=State.DELIVERED, limit=total + 1)) == total, 120)
        events = {f"evt_{e.seq}" for e in app.events(limit=10_000) if e.name == "delivered"}
        until(lambda: _told(peer, f"out{name}") >= events)
        running.send_signal(signal.SIGTERM if command[0] == "work" else signal.SIGINT)
        running.wait(PATIENCE_S)

        assert len({one.recipient for one in app.deliveries(limit=total + 1)}) == total


def _told(peer: NatsPeer, stream: str) -> set[str]:
    return {json.loads(one.body)["id"] for one in peer.kept(stream)}


def test_the_doctor_looks_at_the_broker_and_shows_no_password(
    here: Path, ready: Callable[..., Any], server: NatsServer
) -> None:
    def findings(url: str, *more: str) -> list[dict[str, str]]:
        (here / "tactful.toml").write_text(f'{STORE}[broker]\nurl = "{url}"\n')
        said = ready("doctor", "--json", *more)
        assert server.password not in said.out
        return [one for one in said.data["findings"] if one["what"] == "broker"]

    (good,) = findings(server.url())
    (offline,) = findings(server.url(), "--offline")
    (away,) = findings(f"nats://test:{server.password}@127.0.0.1:{free_port()}")
    (stranger,) = findings(f"nats://test:wrong@127.0.0.1:{server.port}")

    assert good["verdict"] == "ok"
    assert "JetStream" in good["found"]
    assert offline["found"].endswith("not asked")
    assert {away["verdict"], stranger["verdict"]} == {"fail"}


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ('way = "in"', "broker.url"),
        ('url = "kafka://tactful:hush@host"', "broker.url"),
        ('url = "nats://tactful:hush@"', "broker.url"),
        ('url = "nats://tactful:hush@host:port"', "broker.url"),
        ('url = "nats://host"\nway = "up"', "broker.way"),
        ('url = "nats://host"\nsubmissions = "a b"', "broker.submissions"),
        ('url = "nats://host"\ngroup = "a.b"', "broker.group"),
        ('url = "nats://host"\npending = 0', "broker.pending"),
    ],
)
def test_what_cannot_be_is_named_by_its_key(
    here: Path, run: Callable[..., Any], lines: str, word: str
) -> None:
    (here / "tactful.toml").write_text(f"[broker]\n{lines}\n")

    said = run("status")

    assert said.code == 2
    assert word in said.err
    assert "hush" not in said.err
