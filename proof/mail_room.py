"""Senders that are killed, and a mail server that watches them.

`MailRoom` is the other end: it takes mail, fails as a seed says, and kills whoever sends at the
instant it was told to. What it took is all that counts as delivered.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

from tactful.testing.smtp_sink import Envelope, Fault, Received, SmtpSink

PROGRAM = Path(__file__).with_name("mortal_process.py")
PATIENCE_S = 90.0


Event = Literal["receipt", "envelope", "taken", "later"]


class Death(NamedTuple):
    """When a sender is killed: at the `nth` event of this kind in its life, 0 for never.

    `receipt`: a caller has been answered. `envelope`: the recipient was named, the data was not
    sent. `taken`: the mail is here, its 250 is not on its way. `later`: a few milliseconds on.
    With `to`, only what is for that address is an event.
    """

    event: Event = "taken"
    nth: int = 0
    delay_s: float = 0.0
    to: str = ""


@dataclass(slots=True)
class Mail:
    """One mail that was taken: `at` in milliseconds of a clock that only runs.

    `swallowed` says that its 250 was not sent; `vague` that it was, and the connection was reset
    right behind it, so that it may not have been read.
    """

    message: str
    to: str
    at: int
    date_s: int
    items: tuple[str, ...]
    swallowed: bool = False
    vague: bool = False


class MailRoom:
    """See the module. Without a seed nothing fails by itself; `script` says what else does.

    `watch` is told each event (see `Death`), in the thread that serves the sender. Senders never
    give up, unless their `habits` are those of anybody. `endings` are their exit codes.
    """

    def __init__(
        self,
        seed: int | None = None,
        log: Path | None = None,
        habits: Literal["patient", "anybody"] = "patient",
    ) -> None:
        self.seed = seed
        self.habits = habits
        self.endings: list[int] = []
        self.script: dict[int, Fault] = {}
        self.mails: list[Mail] = []
        self.refusals: dict[int, str] = {}
        self.watch: Callable[[str], None] | None = None
        self.sink = SmtpSink(faults=self._fault, on_message=self._took, log=log)
        self._here = threading.local()
        self._lock = threading.Lock()
        self._death = Death()
        self._seen: Counter[str] = Counter()
        self._sender: subprocess.Popen[str] | None = None

    def __enter__(self) -> MailRoom:
        self.sink.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sink.close()

    def run(
        self,
        url: str,
        wanted: Sequence[Mapping[str, Any]] = (),
        death: Death | None = None,
        until: Literal["open", "due"] = "open",
        owner: str = "",
    ) -> dict[str, dict[str, Any]]:
        """One life of a sender; gives the receipts that it handed out, by key."""
        self._death, self._seen = death or Death(), Counter()
        receipts: dict[str, dict[str, Any]] = {}
        with self._sender_process(url, wanted, until, owner) as sender:
            self._sender = sender
            watchdog = threading.Timer(PATIENCE_S, sender.kill)
            watchdog.start()
            assert sender.stdout is not None
            for line in sender.stdout:
                if line.endswith("\n"):
                    key, receipt = json.loads(line)
                    receipts[key] = receipt
                    self._count("receipt")
            code = sender.wait()
            hung = watchdog.finished.is_set()
            watchdog.cancel()
        assert not hung, "the sender did not come to an end"
        assert code == 0 or self._death.nth, f"the sender ended with {code}"
        assert code in (0, -9)
        self.endings.append(code)
        return receipts

    @property
    def kills(self) -> int:
        return sum(code != 0 for code in self.endings)

    @contextmanager
    def colleague(self, url: str, owner: str) -> Iterator[None]:
        """A sender that submits nothing, that nobody kills, and that ends when it is told to."""
        with self._sender_process(url, (), "told", owner) as sender:
            try:
                yield
                sender.communicate("", timeout=PATIENCE_S)
            finally:
                sender.kill()
        assert sender.returncode == 0

    def _sender_process(
        self, url: str, wanted: Sequence[Mapping[str, Any]], until: str, owner: str
    ) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROGRAM), url, str(self.sink.port), until, owner]
        command.append(self.habits)
        pipe = subprocess.PIPE
        sender = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert sender.stdin is not None
        print(json.dumps(wanted), file=sender.stdin, flush=True)
        return sender

    def _count(self, event: str, to: str = "") -> None:
        with self._lock:
            wanted = self._death.to in ("", to)
            self._seen[event] += wanted
            due = wanted and self._death.nth and self._seen[event] == self._death.nth
        if self.watch is not None:
            self.watch(event)
        sender = self._sender
        if not due or event != self._death.event or sender is None:
            return
        if event == "later":
            threading.Timer(self._death.delay_s, sender.kill).start()  # harmless if it has ended
        else:
            sender.kill()
            sender.wait()

    # In the threads of the mail server --------------------------------------------------------

    def _fault(self, number: int, envelope: Envelope) -> Fault | None:
        fault = self.script.get(number) or self._drawn(number)
        self._here.fault = fault
        if fault is not None and fault.action == "reset" and fault.stage in ("mail", "data"):
            before: Mail | None = getattr(self._here, "before", None)
            if before is not None:
                before.vague = True
        if not envelope.rcpt_tos:
            return fault if fault is not None and fault.stage == "mail" else None
        if fault is not None and fault.text.startswith("5"):
            self.refusals[number] = envelope.rcpt_tos[0]
        self._count("envelope", envelope.rcpt_tos[0])
        return fault

    def _drawn(self, number: int) -> Fault | None:
        if self.seed is None:
            return None
        draw = Random(f"{self.seed} {number}")
        chance, later = draw.random(), draw.choice(("451 4.3.0 busy", "452 4.2.2 full"))
        drawn: list[tuple[float, Callable[[], Fault]]] = [
            (0.08, lambda: Fault.reply(draw.choice(("mail", "rcpt", "data", "dot")), later)),
            (0.04, lambda: Fault.reply(draw.choice(("mail", "dot")), "421 4.3.2 closing")),
            (0.03, lambda: Fault.reply("rcpt", f"550 5.7.1 not from here #{number}")),
            (0.02, lambda: Fault.reply("dot", f"554 5.6.0 not like this #{number}")),
            (0.06, lambda: Fault.reset(draw.choice(("mail", "data", "body")))),
            (0.05, lambda: Fault.reset("dot", accepted=True)),
            (0.03, lambda: Fault.close("dot", accepted=True)),
        ]
        for share, made in drawn:
            chance -= share
            if chance < 0:
                return made()
        return None

    def _took(self, received: Received) -> None:
        fault: Fault | None = self._here.fault
        mail = read(received, swallowed=fault is not None and fault.accepted)
        self._here.before = mail
        with self._lock:
            self.mails.append(mail)
        self._count("taken", mail.to)
        self._count("later", mail.to)


def read(received: Received, *, swallowed: bool) -> Mail:
    """What a receiver can tell from a mail."""
    found = parsed(received)
    return Mail(
        str(found["Message-ID"]).strip("<>").partition("@")[0],
        received.rcpt_tos[0],
        int(received.at_monotonic * 1000),
        int(parsedate_to_datetime(str(found["Date"])).timestamp()),
        tuple(re.findall(r"<(\w+)>", found.get_content())),
        swallowed,
    )


def parsed(received: Received) -> email.message.EmailMessage:
    """A mail as a receiver reads it."""
    found = email.message_from_bytes(received.data, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found
