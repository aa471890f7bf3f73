"""Senders are killed with SIGKILL, again and again, and the mail server's books are right.

The server decides what was delivered; the store decides when. Limits are judged twice:

* On the attempts as they are stored, to the millisecond.
* At the wire. A mail arrives some time after its attempt was written. If two attempts are a window
  apart, their mails are at least a window less the difference of those two times apart. So at the
  wire a window that is shorter by the largest such difference of this run holds no more than the
  limit. No clocks are compared: the server's clock only has to run like the senders' one. Which
  attempt a mail belongs to is told by its Date.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import apsw
import pytest
from mortal import Death, Mail, MailRoom

from tactful import Event, Rule, State, Tactful, Template
from tactful.core.model import Kind
from tactful.ports import Attempt
from tactful.testing import CaptureChannel
from tactful.testing.checker import Asked, Copy, Ended, History, Reign, Report, check, check_limits
from tactful.testing.smtp_sink import Fault

DAY = 86_400_000
SUBMISSIONS = 40
PEOPLE = [f"p{number}@example.org" for number in range(6)]

RULES = (
    Rule(name="pace", types=["news"], limit="2/2s"),
    Rule(name="bundle", types=["like"], limit="1/2s", on_limit="digest"),
    Rule(name="flow", channels=["email"], per="channel", limit="50/s", burst=10),
)
WINDOW_MS = 2_000
DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }} {% endfor %}")


def open_app(url: str) -> Tactful:
    """Somebody who looks at the store and sends nothing."""
    return Tactful(url, channels=[CaptureChannel("email", address_kind="email")])


def kind_of(type_: str) -> Kind:
    return Kind(type_, "default", "email", 1)


@dataclass
class Case:
    """One store, its senders' lives, and what they told their callers."""

    url: str
    room: MailRoom
    wanted: Sequence[dict[str, Any]]
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)

    def live(self, death: Death | None = None) -> None:
        """One sender: it is asked again for all that nobody has a receipt for."""
        rest = [item for item in self.wanted if item["idempotency_key"] not in self.receipts]
        self.receipts |= self.room.run(self.url, rest, death)
        for item in rest:
            key = item["idempotency_key"]
            self.tries[key] = self.tries.get(key, 0) + 1


@dataclass
class Books:
    """What the store and the mail server say in the end, side by side."""

    case: Case

    def __post_init__(self) -> None:
        app = open_app(self.case.url)
        self.rows = app.deliveries(limit=10_000)
        self.states = app.counts()
        self.events = app.events(limit=100_000)
        with app.store.reading() as reader:
            self.attempts = {row.id: reader.attempts(row.id) for row in self.rows}
        app.close()
        self.findings: list[str] = []
        self.mails = sorted(self.case.room.mails, key=lambda mail: mail.at)
        self.found = self._matched()

    def _matched(self) -> list[tuple[Mail, Attempt]]:
        """Each mail with the attempt that it is the proof of."""
        pairs: list[tuple[Mail, Attempt]] = []
        left = {key: iter(attempts) for key, attempts in self.attempts.items()}
        for mail in self.mails:
            for attempt in left.get(mail.message, ()):
                if fits(mail, attempt):
                    pairs.append((mail, attempt))
                    break
            else:
                self.findings.append(f"{mail} belongs to no attempt that counts")
        return pairs

    def report(self) -> Report:
        doubts: dict[str, list[Event]] = {}
        for event in self.events:
            if event.name in ("rescued", "unanswered"):
                doubts.setdefault(event.delivery_id, []).append(event)
        wire = [
            Copy(
                mail.message,
                mail.to,
                attempt.kind,
                attempt.at,
                mail.items,
                mail.to,
                ambiguous=attempt.outcome != "accepted",
                maybe_duplicate=any(e.at <= attempt.at for e in doubts.get(mail.message, ())),
            )
            for mail, attempt in sorted(self.found, key=lambda pair: pair[1].at)
        ]
        refused = {row.id for row in self.rows if self._was_refused(row.recipient, row.reason)}
        ended = [
            Ended(r.id, r.notification_id, r.recipient, r.state, r.digest_id, r.updated_at)
            for r in self.rows
        ]
        return check(History(self._asked(), wire, ended, REIGNS, refused))

    def _asked(self) -> list[Asked]:
        return [
            Asked(
                item["idempotency_key"],
                item["to"],
                receipt["decision"],
                receipt["notification_id"],
                receipt["delivery_id"],
                self.case.tries[item["idempotency_key"]],
                receipt["replayed"],
            )
            for item in self.case.wanted
            for receipt in [self.case.receipts[item["idempotency_key"]]]
        ]

    def _was_refused(self, to: str, reason: str | None) -> bool:
        _, mark, number = (reason or "").partition("#")
        return bool(mark) and self.case.room.refusals.get(int(number)) == to

    def ledger(self) -> list[str]:
        """What the attempts that count say about the limits."""
        counted = [a for attempts in self.attempts.values() for a in attempts if a.counts]
        counted.sort(key=lambda attempt: attempt.at)
        copies = [Copy(a.delivery_id, a.recipient, a.kind, a.at) for a in counted]
        return check_limits(copies, REIGNS)[0]

    def wire(self) -> list[str]:
        """What the arrivals say about the limits; see the module for the shorter window."""
        lags = [mail.at - attempt.at for mail, attempt in self.found]
        window = WINDOW_MS - (max(lags) - min(lags))
        if window < 1:
            return []
        shorter = [
            {**rule.to_dict(), "limit": f"{count}/{window}ms"}
            for rule, count in ((RULES[0], 2), (RULES[1], 1))
        ]
        copies = [Copy(mail.message, mail.to, a.kind, mail.at) for mail, a in self.found]
        return check_limits(copies, [Reign(0, tuple(shorter))])[0]

    def again(self) -> list[str]:
        """Deliveries that were handed over once more after they were known to be taken."""
        return [
            f"{key} was accepted and tried again"
            for key, attempts in self.attempts.items()
            if "accepted" in [attempt.outcome for attempt in attempts[:-1]]
        ]


REIGNS = (Reign(0, tuple(rule.to_dict() for rule in RULES)),)


def fits(mail: Mail, attempt: Attempt) -> bool:
    """Whether this attempt can be what brought the mail; without an outcome its sender died."""
    known = ["unknown"] if mail.swallowed else ["accepted"]
    if mail.vague:
        known = ["unknown", "accepted"]
    in_time = attempt.at // 1000 == mail.date_s
    return attempt.counts and in_time and (attempt.outcome is None or attempt.outcome in known)


def submissions(draw: Random) -> list[dict[str, Any]]:
    found = []
    for number in range(SUBMISSIONS):
        type_ = draw.choice(("news", "like", "note"))
        key = f"{type_}{number}"
        to = draw.choice(PEOPLE)
        found.append({"type": type_, "to": to, "text": f"<{key}>", "idempotency_key": key})
    return found


def death(draw: Random) -> Death:
    event = draw.choice(("receipt", "envelope", "taken", "later", "later"))
    return Death(event, draw.randint(1, 7), draw.random() * 0.03)


def play(url: str, seed: int, kills: int) -> tuple[Books, int]:
    draw = Random(seed)
    app = open_app(url)
    app.rules.put(*RULES)
    app.templates.put(DIGEST)
    app.close()
    with MailRoom(seed) as room:
        case = Case(url, room, submissions(draw))
        for _ in range(kills):
            case.live(death(draw))
            check_file(url)
        case.live()
        return Books(case), room.kills


def check_file(url: str) -> None:
    """After each kill: the file is sound, and every delivery is in exactly one state."""
    connection = apsw.Connection(url.removeprefix("sqlite:///"))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    app = open_app(url)
    assert sum(app.counts().values()) == len(app.deliveries(limit=10_000))
    app.close()


def judge(url: str, seed: int, kills: int) -> int:
    """Gives how many were really killed."""
    books, killed = play(url, seed, kills)
    report = books.report()
    explained = len(report.duplicated_explained)
    print(f"{seed=} {killed=} {report.attempts=} {report.ok=} {report.delivered=} {explained=}")
    findings = [
        *books.findings,
        *report.findings,
        *(f"attempts over the limit: {text}" for text in books.ledger()),
        *(f"arrivals over the limit: {text}" for text in books.wire()),
        *books.again(),
    ]

    assert findings == [], f"{seed=}"
    assert report.ok == SUBMISSIONS
    return killed


def seeds(count: int) -> list[int]:
    """New ones each time; `TACTFUL_KILL_SEED` repeats one, as far as processes can be repeated."""
    given = os.environ.get("TACTFUL_KILL_SEED")
    return [int(given)] if given else [SystemRandom().getrandbits(32) for _ in range(count)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tactful.db'}"


def test_nothing_is_lost_or_too_much_whenever_a_sender_is_killed(tmp_path: Path) -> None:
    killed = 0
    for number, seed in enumerate(seeds(3)):
        killed += judge(f"sqlite:///{tmp_path / f'{number}.db'}", seed, 6)

    assert killed > 8


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_too_much_in_many_deaths(tmp_path: Path) -> None:
    killed = sum(
        judge(f"sqlite:///{tmp_path / f'{number}.db'}", seed, 8)
        for number, seed in enumerate(seeds(20))
    )

    assert killed > 100


# One a day ------------------------------------------------------------------------------------

ANN, BOB = PEOPLE[:2]
ONE_A_DAY = Rule(name="daily", types=["news"], limit="1/day")


def left(url: str) -> tuple[dict[State, int], list[int]]:
    """The states, and for each that waits how long after its latest attempt it goes on."""
    app = open_app(url)
    waits = []
    for row in app.deliveries(state=State.DEFERRED):
        with app.store.reading() as reader:
            waits.append(row.due_at - reader.attempts(row.id)[-1].at)
    states = app.counts()
    app.close()
    return states, waits


@pytest.mark.parametrize(
    ("when", "arrived"),
    [
        pytest.param(Death("envelope", 1), [], id="before any data"),
        pytest.param(Death("taken", 1), [ANN], id="before the 250"),
        pytest.param(Death("taken", 2), [ANN, BOB], id="after the 250"),
    ],
)
def test_one_a_day_is_one_a_day_however_often_its_sender_is_killed(
    url: str, when: Death, arrived: list[str]
) -> None:
    """Both go over one connection, Ann's first. Whatever was begun and has no answer on file may
    have arrived: it waits for a slot of its own, also through further restarts.
    """
    app = open_app(url)
    app.rules.put(ONE_A_DAY)
    app.send_many([{"type": "news", "to": to, "text": "<news>"} for to in (ANN, BOB)])
    app.close()
    with MailRoom() as room:
        for _ in range(3):
            room.run(url, death=when, until="due")
        mails, killed = [mail.to for mail in room.mails], room.kills

    assert (mails, killed) == (arrived, 1)
    assert left(url) == ({State.DEFERRED: 2}, [DAY, DAY])


def test_a_swallowed_answer_uses_up_the_day(url: str) -> None:
    """It was taken, and nobody can know: the second try waits for its own slot."""
    with MailRoom() as room:
        room.script[0] = Fault.reset("dot", accepted=True)
        app = open_app(url)
        app.rules.put(ONE_A_DAY)
        app.send(type="news", to=ANN, text="<news>")
        app.close()
        for _ in range(3):
            room.run(url, until="due")
        mails = [mail.to for mail in room.mails]

    assert mails == [ANN]
    assert left(url) == ({State.DEFERRED: 1}, [DAY])
