"""A worker is frozen past its leases, another one takes over, and then the first goes on.

The clock is shared and stands still unless a test moves it. The mail server's log is the judge:
nothing is missing, nothing is over a limit, and what came twice had been taken when its sender
froze, and says so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from frozen_process import LEASE_MS
from proof.mail_room import PATIENCE_S, MailRoom
from shared_clock import SharedClock

from tactful import Event, Rule, Settings, State, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.model import Kind
from tactful.testing.checker import Copy, Reign, check_limits

PROGRAM = Path(__file__).with_name("frozen_process.py")
START = 1_767_254_400_000
MINUTE = 60_000
PACE = Rule(name="pace", limit="1/minute")
KIND = Kind("news", "default", "email", 1)
WANTED = {"a1": "ann", "a2": "ann", "b1": "bob", "c1": "cat", "d1": "dan"}


@dataclass
class Freeze:
    """One worker that freezes, and one that does not.

    What was `begun` had no answer that was stored when it froze. Of that, what was `taken` had
    been on its way: there are two copies when it thaws, and it has sent only one of them.
    """

    url: str
    clock: SharedClock
    room: MailRoom
    point: str
    nth: int
    begun: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    reached: int = 0
    events: list[Event] = field(default_factory=list)
    thawed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        mail = SmtpChannel(host="127.0.0.1", port=self.room.sink.port, sender="tactful@example.org")
        self.other = Tactful(
            self.url,
            channels=[mail],
            clock=self.clock,
            settings=Settings(lease_ms=LEASE_MS),
            owner="other",
        )
        self.room.watch = self._watch

    def send(self, item: str, to: str) -> str:
        receipt = self.other.send(type="news", to=f"{to}@example.org", text=f"<{item}>")
        return receipt.delivery_id or ""

    def is_sent(self, delivery_id: str) -> bool:
        row = self.other.delivery(delivery_id)
        return row is not None and row.state is State.SENT

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        words = (self.url, self.room.sink.port, self.clock.path, self.point, self.nth)
        command = [sys.executable, str(PROGRAM), *map(str, words)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as self.process:
            watchdog = threading.Timer(PATIENCE_S, self.process.kill)
            watchdog.start()
            try:
                yield self.process
            finally:
                watchdog.cancel()
                self.thawed.set()
                self.process.kill()

    def await_frozen(self) -> None:
        found = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert found is not None
        assert found.si_code == os.CLD_STOPPED, "the worker has ended"
        sending = self.other.deliveries(state=State.SENDING)
        self.begun = {row.id for row in sending if row.begun}

    def thaw(self) -> None:
        begun = {item for m in self.room.mails if m.message in self.begun for item in m.items}
        self.taken = [
            item for item, count in self.arrived().items() if count == 2 and item in begun
        ]
        self.process.send_signal(signal.SIGCONT)
        self.thawed.set()

    def arrived(self) -> Counter[str]:
        return Counter(item for mail in self.room.mails for item in mail.items)

    def _watch(self, event: str) -> None:
        if event == "taken":
            self.room.mails[-1].at = self.clock.now()
        if event == self.point:
            self.reached += 1
            if self.reached == self.nth:
                self.process.send_signal(signal.SIGUSR1)
                self.thawed.wait(PATIENCE_S)


def await_that(holds: Callable[[], bool]) -> None:
    """Look again and again; a store in another process tells nobody here."""
    never = threading.Event()
    for _ in range(round(PATIENCE_S / 0.01)):
        if holds():
            return
        never.wait(0.01)
    raise AssertionError("it did not come so far")


def play(freeze: Freeze) -> None:
    app = freeze.other
    app.rules.put(PACE)
    for item, to in WANTED.items():
        freeze.send(item, to)
    with freeze.worker() as process:
        freeze.await_frozen()
        freeze.clock.advance(LEASE_MS + 1)
        app.tick()
        freeze.clock.advance(MINUTE)
        app.tick()
        last = freeze.send("e1", "eve")
        freeze.thaw()
        await_that(lambda: freeze.is_sent(last))
        process.communicate("", timeout=PATIENCE_S)
    assert process.returncode == 0
    for _ in range(5):
        freeze.clock.advance(MINUTE)
        app.tick()


def findings(freeze: Freeze) -> list[str]:
    """All that is wrong, in words."""
    app, mails = freeze.other, freeze.room.mails
    arrived = freeze.arrived()
    wanted = {*WANTED, "e1"}
    copies = [Copy(mail.message, mail.to, KIND, mail.at) for mail in mails]
    copies.sort(key=lambda copy: copy.at)
    found = check_limits(copies, [Reign(0, (PACE.to_dict(),))])[0]
    found += [f"{item} is lost" for item in wanted - set(arrived)]
    found += [f"{item} was asked for by nobody" for item in set(arrived) - wanted]
    for item, count in arrived.items():
        if count > 2 or (count == 2 and item not in freeze.taken):
            found.append(f"{item} came {count} times; taken before: {freeze.taken}")
    marked = {event.delivery_id for event in freeze.events if event.data.get("maybe_duplicate")}
    again = {mail.message for mail in mails if arrived[mail.items[0]] > 1}
    found += [f"{message} does not say so" for message in again - marked]
    if app.counts() != {State.SENT: len(wanted)}:
        found.append(f"not all are sent: {app.counts()}")
    return found


def run(url: str, folder: Path, point: str) -> Freeze:
    """Gives what happened, when it was right."""
    clock = SharedClock(folder / "clock", START)
    name, nth = point.split()
    with MailRoom() as room:
        freeze = Freeze(url, clock, room, name, int(nth))
        try:
            play(freeze)
            freeze.events = freeze.other.events()
            assert findings(freeze) == []
        finally:
            freeze.other.close()
            clock.close()
    return freeze


def store_url(store: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if store == "sqlite":
        return f"sqlite:///{folder / 'tactful.db'}"
    found: str = request.getfixturevalue("postgres_store_url")
    return found


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
@pytest.mark.parametrize(
    ("point", "taken"),
    [("join 2", []), ("transaction 2", []), ("envelope 1", []), ("permit 2", ["a1"])],
)
def test_nothing_goes_twice_that_had_not_gone_when_its_worker_froze(
    point: str, taken: list[str], store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Before the hand-over begins, and when the mail server has not yet got the data."""
    freeze = run(store_url(store, tmp_path, request), tmp_path, point)

    assert freeze.taken == taken


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
@pytest.mark.parametrize("point", ["taken 1", "taken 3"])
def test_a_result_that_comes_late_changes_nothing_and_is_told(
    point: str, store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The mail server had the mail and had not answered; another worker sent it once more."""
    freeze = run(store_url(store, tmp_path, request), tmp_path, point)
    late = {event.delivery_id for event in freeze.events if event.name == "late"}
    twice = [item for item, count in freeze.arrived().items() if count == 2]

    assert twice == freeze.taken != []
    assert {mail.message for mail in freeze.room.mails if mail.items[0] in twice} <= late


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("nth", range(1, 13))
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
@pytest.mark.parametrize("point", ["join", "transaction", "envelope", "taken", "permit"])
def test_a_worker_may_freeze_anywhere(
    point: str, nth: int, store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if nth <= {"join": 2, "transaction": 12}.get(point, len(WANTED) - 1):
        run(store_url(store, tmp_path, request), tmp_path, f"{point} {nth}")
