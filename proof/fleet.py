"""Workers on several machines with one database, what they are asked for, and their judge.

`Fleet` starts them, and is asked for mixed deliveries under five rules, one of which is changed
each second. The mail server refuses some for a moment, and swallows some answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from proof.judging import copies, judged, lines_of
from proof.lives import open_app
from proof.mail_room import PATIENCE_S
from proof.mortal_process import OPEN, ask
from proof.trial import Tally
from tactful import Rule, Tactful, Template
from tactful.engine.requests import Submission
from tactful.stores.postgres.store import PostgresStore
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.smtp_sink import Envelope, Fault, SmtpSink
from tactful.verify import Report

TYPES = ("news", "offer", "like", "status", "alert")
EACH = 20
"""Deliveries for one recipient."""

WAVE = 2_000
"""So many come mixed, for a hundred people, before those for others: each limit is reached."""

PORTION = 50
CHANGE_S = 1.0
LOOK_S = 0.1
RULES = (
    Rule("all", "6/5s", exempt=["critical"], reserve={"high": 1}),
    Rule("news", "2/5s", types=["news"]),
    Rule("offers", "3/5s", types=["offer"]),
    Rule("bundle", "2/5s", types=["like"], on_limit="digest"),
    Rule("flow", "500/s", channels=["email"], per="channel", burst=50),
)
OTHERS = (
    Rule("all", "5/5s", exempt=["critical"], reserve={"high": 1}),
    Rule("news", "3/5s", types=["news"]),
    Rule("offers", "2/5s", types=["offer"]),
    Rule("bundle", "1/5s", types=["like"], on_limit="digest"),
    Rule("flow", "400/s", channels=["email"], per="channel", burst=50),
)
DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }} {% endfor %}")


def faults(seed: int, number: int, envelope: Envelope) -> Fault | None:
    """Two in a hundred are refused for a moment; of one in a hundred the answer never comes.

    What comes from `before@` is none of them.
    """
    if envelope.mail_from.startswith("before@"):
        return None
    chance = Random(f"{seed} {number}").random()
    if chance < 0.02:
        return Fault.reply("mail", "451 4.3.0 busy")
    return Fault.reset("dot", accepted=True) if chance < 0.03 and envelope.rcpt_tos else None


@contextmanager
def database(server: PostgresServer) -> Iterator[str]:
    """The name of one with an empty store."""
    name = f"proof_{uuid4().hex}"
    server.create_database(name)
    PostgresStore(server.url(name)).close()
    yield name
    server.drop_database(name)


def wanted(size: int, draw: Random) -> list[Submission]:
    """So many submissions, in waves of a drawn order."""
    found: list[Submission] = [
        {
            "type": TYPES[number % len(TYPES)],
            "to": f"p{number // EACH}@example.org",
            "text": f"<{number}>",
            "priority": draw.choice(("low", "normal", "normal", "high", "critical")),
            "idempotency_key": str(number),
        }
        for number in range(size)
    ]
    waves = [found[at : at + WAVE] for at in range(0, size, WAVE)]
    for wave in waves:
        draw.shuffle(wave)
    return [one for wave in waves for one in wave]


class Fleet:
    """A context manager. `url` is how the store is reached from here.

    Without a `seed` the mail server takes everything. `ledger` is the URL of one, if there is any:
    `histories` says in the end from where histories were read. What comes `before` the rules
    finds an empty store.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        seed: int | None,
        host: str = "127.0.0.1",
        *,
        rules: Sequence[Rule] = RULES,
        ledger: str = "",
        before: Callable[[Fleet], object] = lambda _: None,
    ) -> None:
        self.url = url
        self.log = folder / "arrived.jsonl"
        self.receipts: list[Mapping[str, Any]] = []
        self.changes = 0
        self.histories: Counter[str] = Counter()
        self._ledger = ledger
        self._before = before
        self._rules = rules
        script = None if seed is None else partial(faults, seed)
        self._sink = SmtpSink(log=self.log, faults=script, host=host)
        self._workers: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()
        self._over = threading.Event()

    def __enter__(self) -> Fleet:
        self._stack.enter_context(self._sink)
        self._before(self)
        self.app: Tactful = ask(lambda: open_app(self.url, self._ledger))
        self._stack.callback(self.app.close)
        if self._rules:
            ask(lambda: self.app.rules.put(*self._rules))
        ask(lambda: self.app.templates.put(DIGEST))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for worker in self._workers:
            worker.kill()
            worker.communicate()
        self._stack.close()

    def start(
        self, url: str, within: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """One more worker, that reaches the store by this URL."""
        where = [url, self._sink.host, str(self._sink.port), f"worker{len(self._workers)}"]
        where += [self._ledger] if self._ledger else []
        self._workers.append(
            subprocess.Popen(
                (*within, sys.executable, "-m", "proof.fleet_process", *where),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        )

    def await_begun(self) -> list[int]:
        """How far the clock of each worker is from that of the store, in seconds."""
        found = []
        for worker in self._workers:
            assert worker.stdout is not None
            found.append(int(worker.stdout.readline()))
        return found

    def submit(self, items: Sequence[Submission], over_s: float) -> threading.Thread:
        """Ask for them in portions, evenly over that time; whatever happens to the store."""

        def work() -> None:
            portions = [items[at : at + PORTION] for at in range(0, len(items), PORTION)]
            for portion in portions:
                receipts = ask(partial(self.app.send_many, portion))
                self.receipts += [receipt.to_dict() for receipt in receipts]
                self._over.wait(over_s / len(portions))

        return self._begun(work)

    def change_rules(self) -> threading.Thread:
        """One rule each second, until all is over."""

        def work() -> None:
            for rule in cycle((*OTHERS, *RULES)):
                if self._over.wait(CHANGE_S):
                    return
                ask(partial(self.app.rules.put, rule))
                self.changes += 1

        return self._begun(work)

    def drain(self, patience_s: float = PATIENCE_S) -> None:
        """Until nothing is open; then the workers end in good order."""
        end = time.monotonic() + patience_s
        while any(ask(self.app.counts).get(state) for state in OPEN):
            if time.monotonic() > end:
                raise AssertionError(f"still open after {patience_s:.0f} s: {self.app.counts()}")
            self._over.wait(LOOK_S)
        self._over.set()
        for worker in self._workers:
            told, _ = worker.communicate("", timeout=PATIENCE_S)
            if worker.returncode:
                raise AssertionError(f"a worker ended with {worker.returncode}")
            self.histories.update(json.loads(told))

    @property
    def host(self) -> str:
        """Of the mail server."""
        return self._sink.host

    @property
    def port(self) -> int:
        """Of the mail server."""
        return self._sink.port

    def judge(self, size: int, where: str, tally: Tally, *, receipts: bool = True) -> Report:
        """Without `receipts` others have asked, who were told nothing."""
        arrived = lines_of(self.log)
        report = judged(self.url, arrived, self.receipts)
        tally.judge(report, where)
        tally.again += sum(count - 1 for count in copies(arrived).values())
        told = len(self.receipts) if receipts else size
        if not report.attempts == told == size:
            tally.find(f"{where}: {report.attempts} of {size}, {told} receipts")
        if report.waiting:
            tally.find(f"{where}: {report.waiting} are stuck")
        return report

    @staticmethod
    def _begun(work: Any) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread
