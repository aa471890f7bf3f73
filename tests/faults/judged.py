"""The books of the kill tests: what was asked, what arrived, what is stored, and who is wrong.

The mail server decides what was delivered; the store decides when. Limits are judged twice:

* On the attempts as they are stored, to the millisecond.
* At the wire. A mail arrives some time after its attempt was written. If two attempts are a window
  apart, their mails are at least a window less the difference of those two times apart. So at the
  wire a window that is shorter by the largest such difference of this run holds no more than the
  limit. No clocks are compared: the server's clock only has to run like the senders' one. Which
  attempt a mail belongs to is told by its Date.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import NamedTuple

from proof.judging import is_sound
from proof.lives import RULES, SUBMISSIONS, WINDOW_MS, Case, open_app, prepare, submissions
from proof.mail_room import Mail, MailRoom

from tactful import Event
from tactful.core.model import Kind
from tactful.ports import Attempt
from tactful.testing.checker import Asked, Copy, Ended, History, Reign, Report, check, check_limits


def kind_of(type_: str) -> Kind:
    return Kind(type_, "default", "email", 1)


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

    def unanswered(self) -> set[tuple[str, int]]:
        """Attempts whose sender was gone before it had recorded what became of them."""
        return {
            (key, attempt.number)
            for key, attempts in self.attempts.items()
            for attempt in attempts
            if attempt.outcome is None
        }

    def in_doubt(self) -> int:
        """How many attempts may have arrived as far as anybody could know."""
        found = [a for attempts in self.attempts.values() for a in attempts if a.counts]
        return sum(attempt.outcome in (None, "unknown") for attempt in found)

    def repeated(self) -> int:
        """How many mails told something once more."""
        seen: set[tuple[str, str]] = set()
        repeated = 0
        for mail in self.mails:
            told = {(mail.to, item) for item in mail.items}
            repeated += bool(told & seen)
            seen |= told
        return repeated

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


def play(url: str, seed: int, live: Callable[[Case, Random], None]) -> tuple[Books, int]:
    """One history: rules, senders that `live` and die, and one that lives to the end of it."""
    draw = Random(seed)
    prepare(url)
    with MailRoom(seed) as room:
        case = Case(url, room, submissions(draw))
        live(case, draw)
        return Books(case), room.kills


def check_store(url: str) -> None:
    """After each kill: a file is sound, and every delivery is in exactly one state."""
    assert is_sound(url)
    app = open_app(url)
    with app.store.reading() as reader:
        assert sum(reader.counts().values()) == len(reader.deliveries(limit=10_000))
    app.close()


class Tally(NamedTuple):
    """The figures of a history; `repeated` are mails that told something once more."""

    killed: int
    attempts: int
    lost: int
    over: int
    unexplained: int
    repeated: int
    in_doubt: int


def judge(books: Books, seed: int, killed: int) -> Tally:
    """Nothing is wrong in these books; gives their figures."""
    report = books.report()
    over = [
        *(f"attempts over the limit: {text}" for text in books.ledger()),
        *(f"arrivals over the limit: {text}" for text in books.wire()),
    ]
    tally = Tally(
        killed,
        sum(len(attempts) for attempts in books.attempts.values()),
        len(report.lost) + len(report.stuck),
        len(report.limit_violations) + len(over),
        len(report.duplicated_unexplained),
        books.repeated(),
        books.in_doubt(),
    )
    print(f"{seed=} {tally}")
    assert [*books.findings, *report.findings, *over, *books.again()] == [], f"{seed=}"
    assert report.ok == SUBMISSIONS, f"{seed=}"
    assert tally.repeated <= tally.in_doubt, f"{seed=}"
    return tally


def seeds(count: int) -> list[int]:
    """New ones each time; `TACTFUL_KILL_SEED` repeats one, as far as processes can be repeated."""
    given = os.environ.get("TACTFUL_KILL_SEED")
    return [int(given)] if given else [SystemRandom().getrandbits(32) for _ in range(count)]
