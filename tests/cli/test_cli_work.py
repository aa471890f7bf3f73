"""`tactful work --processes`: what a group of workers says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tactful.testing.smtp_sink import SmtpSink

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def group(here: Path) -> Iterator[Start]:
    """Starts `tactful work` with these arguments as a process; in the end nothing of it is left."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tactful", "work", *arguments],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()  # its workers notice
        process.communicate()


def until(lines: Any, word: str) -> list[str]:
    """The lines up to the first one with this word in it."""
    found = []
    for line in lines:
        found.append(line)
        if word in line:
            return found
    raise AssertionError(f"no {word} in {found}")


def test_a_group_sends_and_says_what_its_workers_do(
    ready: Callable[..., Any], sink: SmtpSink, group: Start
) -> None:
    for number in range(5):
        ready("send", "note", f"p{number}@example.org", "--text", "Hi")
    worker = group("--processes", "2")
    assert worker.stderr is not None
    said = until(worker.stderr, "worker 2 works")
    said += until(worker.stderr, "sent") if "sent" not in "".join(said) else []
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert len(sink.messages) == 5
    assert said[0].startswith("2 workers on sqlite:///")
    assert "worker 1 started, pid" in said[1]
    assert "worker 1 works" in "".join(said)
    assert "ending the workers" in err
    assert "worker 1 ended: exit code 0" in err
    assert "worker 2 ended: exit code 0" in err
    assert out == "sent 5\n"


def test_a_group_with_one_for_what_is_critical_sends_everything(
    ready: Callable[..., Any], sink: SmtpSink, group: Start, used_store_url: str
) -> None:
    worker = group("--processes", "1", "--express", "--store", used_store_url)
    assert worker.stderr is not None
    (said,) = until(worker.stderr, "worker")
    until(worker.stderr, "worker 2 works")
    for number, priority in enumerate(("critical", "normal", "critical")):
        to = f"p{number}@example.org"
        more = ("--text", "Hi", "--priority", priority, "--store", used_store_url)
        assert ready("send", "note", to, *more).code == 0
    sent = 0
    while sent < 3:
        (line,) = until(worker.stderr, "sent")[-1:]
        sent += int(line.split("sent ")[1].split()[0].rstrip(","))
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=60)

    assert said.startswith("1 worker and one for what is critical on postgresql://")
    assert "sent 3" in out


def test_a_group_says_as_json_what_happens_one_object_a_line(
    ready: Callable[..., Any], sink: SmtpSink, group: Start
) -> None:
    worker = group("--processes", "2", "--json")
    assert worker.stdout is not None
    lines = [json.loads(worker.stdout.readline()) for _ in range(4)]
    os.kill(lines[0]["pid"], signal.SIGKILL)
    lines += [json.loads(line) for line in until(worker.stdout, "working")]
    worker.send_signal(signal.SIGINT)
    out, err = worker.communicate(timeout=60)

    assert (worker.returncode, err) == (0, "")
    first = {"worker": 1, "pid": lines[0]["pid"]}
    told = [{key: line[key] for key in line if key != "at"} for line in lines]
    assert told[:2] == [{"event": "started", **first}, {"event": "working", **first}]
    death = {"event": "ended", **first, "how": "SIGKILL", "asked": False, "again_ms": 0}
    assert death in told
    assert json.loads(out.splitlines()[-1]) == {"events": {}, "next_due": None}


def test_quiet_speaks_of_trouble_only(
    ready: Callable[..., Any], sink: SmtpSink, group: Start
) -> None:
    worker = group("--processes", "2", "--quiet")
    os.kill(first_child(worker.pid), signal.SIGKILL)
    assert worker.stderr is not None
    said = worker.stderr.readline()
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=60)

    assert "ended: SIGKILL; the next starts now" in said
    assert "ending" not in err


def first_child(pid: int) -> int:
    """The first process that another one has started, as the kernel tells."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    never = threading.Event()
    for _ in range(6_000):
        if children := path.read_text(encoding="ascii").split():
            return int(children[0])
        never.wait(0.01)
    raise AssertionError("it started nothing")


def test_a_configuration_that_cannot_work_ends_the_group_with_its_message(
    ready: Callable[..., Any], sink: SmtpSink, here: Path, process: Callable[..., Any]
) -> None:
    """One worker finds out; nobody tries it again."""
    with (here / "tactful.toml").open("a", encoding="utf-8") as file:
        file.write('[smtp.backup]\nhost = "b.example.org"\nusername = "u"\npassword = "secret"\n')
        file.write('security = "none"\n')
    said = process("work", "--processes", "3")

    assert said.code == 2
    assert "1: error: smtp.backup: the password" in said.err
    assert said.err.count("started") == 1
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--processes", "2", "--once"), "--once: needs no more than one process"),
        (("--processes", "0"), "0 is not in the range 1<=x<=64"),
        (("--processes", "2", "--patience", "soon"), "--patience: "),
        (("--express", "--once"), "--once: needs no more than one process (got --express)"),
        (("--express", "--log-format", "json"), "--log-format: json needs one process"),
        (("--express",), "--express: needs PostgreSQL (the store is sqlite:///"),
    ],
)
def test_what_cannot_be_asked_of_a_group(
    ready: Callable[..., Any], arguments: tuple[str, ...], says: str
) -> None:
    said = ready("work", *arguments)

    assert said.code == 2
    assert says in said.err


def test_a_store_that_cannot_be_opened_is_told_before_any_worker_starts(
    process: Callable[..., Any], here: Path
) -> None:
    said = process("work", "--processes", "2", "--store", "sqlite:////no/such/folder/x.db")

    assert said.code == 5
    assert "started" not in said.err


def test_new_workers_are_not_started_with_a_configuration_that_is_broken(
    ready: Callable[..., Any],
    sink: SmtpSink,
    here: Path,
    group: Start,
) -> None:
    """The old ones go on."""
    worker = group("--processes", "2")
    assert worker.stderr is not None
    until(worker.stderr, "worker 2 works")
    (here / "tactful.toml").write_text("colour = 1\n", encoding="utf-8")
    worker.send_signal(signal.SIGHUP)
    (said,) = until(worker.stderr, "colour")
    ready("send", "note", "ann@example.org", "--text", "Hi", "--store", "sqlite:///notify.db")
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=60)

    assert "the workers stay, new ones could not work: colour: is no key" in said
    assert "exit code 0" in err
    assert worker.returncode == 0
