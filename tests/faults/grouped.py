"""What the tests of groups share: `tactful work --processes N` as a process, and a mail server.

    with Post(folder) as post, Group(folder, url, post) as group:
        ...

`Post` takes mail, as slowly as it is told to. `Group` hears what the supervisor says, one JSON
object a line. `judge` reads store and mail server's log in the end.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tactful import Event, State, Tactful
from tactful.core.errors import Unavailable
from tactful.ports import Attempt, Delivery
from tactful.testing import CaptureChannel
from tactful.testing.smtp_sink import Received, SmtpSink
from tactful.verify import Report, from_store, read_arrivals, verify

PATIENCE_S = 60.0
CONFIGURATION = """
store = "{url}"
[engine]
batch = 20
[engine.retry]
base = "50ms"
cap = "200ms"
crashes_max = {crashes_max}
[smtp]
host = "127.0.0.1"
port = {port}
sender = "tactful@example.org"
connections = 2
batch = 4
"""
OPEN = (State.QUEUED, State.DEFERRED, State.SENDING)


class Post:
    """A mail server; each mail takes `pause_s` and waits until the door is `open`.

    `on_mail` sees each before its 250 goes out.
    """

    def __init__(self, folder: Path, pause_s: float = 0.0) -> None:
        self.on_mail: Callable[[Received], None] | None = None
        self.log = folder / "mails.jsonl"
        self.open = threading.Event()
        self.open.set()
        self.pause_s = pause_s
        self.sink = SmtpSink(on_message=self._took, log=self.log)
        self._never = threading.Event()
        self._taken = 0
        self._news = threading.Condition()

    def __enter__(self) -> Post:
        self.sink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open.set()
        self._never.set()
        self.sink.close()

    def await_mails(self, count: int) -> None:
        """Until so many have come since the start."""
        with self._news:
            assert self._news.wait_for(lambda: self._taken >= count, PATIENCE_S), self._taken

    def _took(self, received: Received) -> None:
        if self.on_mail is not None:
            self.on_mail(received)
        with self._news:
            self._taken += 1
            self._news.notify_all()
        self._never.wait(self.pause_s)
        self.open.wait(PATIENCE_S)


class Group:
    """A supervisor with its workers, from its start to its end."""

    def __init__(
        self, folder: Path, url: str, post: Post, processes: int = 2, crashes_max: int = 50
    ) -> None:
        (folder / "tactful.toml").write_text(
            CONFIGURATION.format(url=url, port=post.sink.port, crashes_max=crashes_max),
            encoding="utf-8",
        )
        words = ["work", "--processes", str(processes), "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tactful", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.said: list[dict[str, Any]] = []
        self.complaints = ""
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._hear, daemon=True),
            threading.Thread(target=self._hear_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        """However a test ends, nothing of the group is left."""
        self.process.kill()
        for line in self.said:
            if line.get("event") == "started" and not self.has_ended(line["pid"]):
                end_of(line["pid"])
        self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE_S)

    def await_said(self, event: str, count: int = 1, **facts: object) -> dict[str, Any]:
        """The `count`-th line about this event with these facts, once it is there."""

        def found() -> list[dict[str, Any]]:
            wanted = {"event": event, **facts}
            return [line for line in self.said if wanted.items() <= line.items()]

        with self._news:
            there = self._news.wait_for(lambda: len(found()) >= count, PATIENCE_S)
            assert there, (event, facts, self.said, self.complaints)
            return found()[count - 1]

    def pid(self, worker: int) -> int:
        """The process that is worker number so and so now."""
        started = [
            line
            for line in self.said
            if line.get("event") == "started" and line["worker"] == worker
        ]
        return int(started[-1]["pid"])

    def has_ended(self, pid: int) -> bool:
        return any(line.get("event") == "ended" and line["pid"] == pid for line in self.said)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit code when all is over."""
        self.signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return code

    def _hear(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._news:
                    self.said.append(json.loads(line))
                    self._news.notify_all()

    def _hear_complaints(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.complaints += line


def end_of(pid: int) -> bool:
    """Wait for the end of a process, whoever started it; whether it came by itself."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if select.select([descriptor], [], [], PATIENCE_S)[0]:
            return True
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return False
    finally:
        os.close(descriptor)


# The store ------------------------------------------------------------------------------------


def open_app(url: str) -> Tactful:
    """Somebody who submits, looks, and sends nothing."""
    return Tactful(url, channels=[CaptureChannel("email", address_kind="email")])


def submit(app: Tactful, count: int, people: int, *, begin: int = 0) -> None:
    app.send_many(
        [
            {"type": "news", "to": f"p{number % people}@example.org", "text": f"<{number}>"}
            for number in range(begin, begin + count)
        ]
    )


def await_that(holds: Callable[[], bool]) -> None:
    """Look again and again; a store in another process tells nobody here."""
    never = threading.Event()
    for _ in range(round(PATIENCE_S / 0.02)):
        if holds():
            return
        never.wait(0.02)
    raise AssertionError("it did not come so far")


def await_all_sent(app: Tactful) -> None:
    await_that(lambda: open_deliveries(app) == 0)


def open_deliveries(app: Tactful) -> int | None:
    """How many have not come to their end, or None if the store cannot be asked."""
    try:
        counts = app.counts()
    except Unavailable:
        return None
    return sum(counts.get(state, 0) for state in OPEN)


def number_of(owner: str) -> int:
    """The number of the worker with leases of this owner."""
    return int(owner.split("/")[-2].rpartition(".")[2])


def holders(app: Tactful) -> Counter[int]:
    """How many hand-overs each worker has begun and not recorded."""
    rows = app.deliveries(state=State.SENDING, limit=10_000)
    return Counter(number_of(row.owner) for row in rows if row.begun)


class Books:
    """What is in the store, and what the mail server took."""

    def __init__(self, app: Tactful, post: Post) -> None:
        self.rows: Sequence[Delivery] = app.deliveries(limit=100_000)
        self.events: Sequence[Event] = app.events(limit=1_000_000)
        with app.store.reading() as reader:
            self.attempts: list[Attempt] = [
                attempt for row in self.rows for attempt in reader.attempts(row.id)
            ]
        self.mails = post.log.read_text(encoding="utf-8").splitlines()
        self.report: Report = verify(from_store(app.store.url), read_arrivals(self.mails))

    @property
    def states(self) -> Counter[State]:
        return Counter(row.state for row in self.rows)

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def check(self, count: int) -> None:
        """All have gone, within the limits, and nothing came twice without saying so."""
        assert self.states == {State.SENT: count}
        assert self.report.clean, self.report.to_dict()
        assert len({json.loads(mail)["message_id"] for mail in self.mails}) == count
        assert len(self.mails) <= count + len(self.report.duplicated_explained)

    def check_calm(self) -> None:
        """Nobody died on the way: no second copy, no try used up, an outcome for each attempt."""
        assert [a for a in self.attempts if a.outcome is None] == []
        assert [row for row in self.rows if row.tries or row.crashes] == []
        assert Counter(a.outcome for a in self.attempts if a.counts) == {
            "accepted": len(self.mails)
        }
        assert not self.report.duplicated_explained
