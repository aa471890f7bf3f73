"""Histories that the engine itself made, on a SQLite file, are found to be right.

Submissions, answers of the channel, changes of rules, crashes and the clock are drawn from a seed,
which a failing test prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from tactful import (
    Accepted,
    Message,
    NotificationType,
    Outcome,
    Recipient,
    Rejected,
    Retry,
    Rule,
    State,
    Tactful,
    Template,
    Unknown,
)
from tactful.errors import ConfigError, Unavailable
from tactful.testing import ManualClock
from tactful.verify import from_store, read_history, verify, write_history

START = 1_792_872_000_000  # 2026-10-24 20:00 UTC; the clocks of Europe are put back in the night
MINUTE, HOUR = 60_000, 3_600_000

PEOPLE = [
    Recipient("ada", email="ada@example.com"),
    Recipient("ben", email="ben@example.com", timezone="Europe/Berlin"),
    Recipient("cem", email="cem@example.org", timezone="Asia/Tokyo"),
]
RULES = [
    Rule("pace", types=["news"], limit="3/20min"),
    Rule("bundle", types=["like"], limit="1/10min", on_limit="digest"),
    Rule("newest", types=["ping"], limit="2/30min", on_limit="collapse"),
    Rule("daily", types=["report"], limit="2/day calendar"),
    Rule("strict", types=["promo"], limit="4/hour", on_limit="reject", per="recipient+type"),
    Rule("all", limit="9/hour", exempt=["critical"], reserve={"high": 2}),
    Rule("night", types=["promo"], quiet="22:00-07:00"),
    Rule("flow", per="domain", channels=["post"], limit="30/minute", burst=3),
]
CHANGES = (
    [Rule("pace", types=["news"], limit="1/20min")],
    [Rule("pace", types=["news", "like"], limit="5/hour")],
    [Rule("all", limit="4/hour", per="recipient+category")],
    [Rule("daily", types=["report"], limit="1/day calendar")],
    [Rule("flow", per="channel", channels=["post"], limit="10/minute")],
    RULES,
)
TYPES = ("news", "news", "like", "like", "ping", "report", "promo", "code", "note")


class Post:
    """A channel whose answers are drawn; some calls end as if the process had died in them."""

    name = "post"
    address_kind = "email"
    concurrency = 1
    batch = 10

    def __init__(self, draw: Random) -> None:
        self._draw = draw

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        answers = [Accepted(arrived=True), Accepted(), Retry("busy"), Rejected("no"), Unknown("?")]
        weights = (60, 20, 8, 4, 8)
        if self._draw.random() < 0.02:
            raise Died
        return [self._draw.choices(answers, weights)[0] for _ in messages]

    def close(self) -> None:
        """Nothing is open."""


class Died(BaseException):
    """The end of a process, as far as the store can tell."""


def live(url: str, seed: int, steps: int, *, jumps: bool = False) -> None:
    """One store and its life; with `jumps` its clock is wrong now and then, and put right."""
    draw, clock = Random(seed), ManualClock(START)
    halts = Random(f"pauses {seed}")
    app = Tactful(url, channels=[Post(draw)], clock=clock, seed=seed)
    app.recipients.put_many(PEOPLE)
    app.types.put(NotificationType("code", on_ambiguous="hold", priority="critical"))
    app.templates.put(Template("digest", text="{{ items | length }} things"))
    app.rules.put(*RULES)
    for step in range(steps):
        clock.advance(draw.choice((0, 1, 999, MINUTE, 3 * MINUTE, 10 * MINUTE, HOUR)))
        for _ in range(draw.randrange(6)):
            priority = draw.choice(("low", "normal", "normal", "high", "critical"))
            to = draw.choice(("ada", "ben", "cem", "stranger@example.org"))
            app.send(type=draw.choice(TYPES), to=to, text="x", priority=priority)
        if halts.random() < 0.4:
            _pause_or_resume(app, halts)
        if draw.random() < 0.05:
            app.broadcast(type="news", text="to everyone")
        if draw.random() < 0.15:
            app.rules.put(*draw.choice(CHANGES))
        if draw.random() < 0.05:
            app.rules.remove(app.rules.list()[0].name)
        if jumps and draw.random() < 0.05:
            clock.set(clock.now() + draw.choice((-2, -1, 1, 2)) * 2 * HOUR)
        try:
            app.tick()
        except Died:
            app.close()
            app = Tactful(url, channels=[Post(draw)], clock=clock, seed=seed + step)
    app.close()


def _pause_or_resume(app: Tactful, draw: Random) -> None:
    """Something that waits stands still, or something that stands still goes on."""
    paused = [one["notification_id"] for one in app.status()["paused"]]
    if paused and draw.random() < 0.4:
        app.resume(draw.choice(paused), by="somebody")
        return
    waiting = app.deliveries(state=State.DEFERRED) + app.deliveries(state=State.QUEUED)
    if waiting:
        app.pause(draw.choice(waiting).notification_id, by="somebody")


def some(usual: int, often: int) -> list[Any]:
    """Seeds: the first ones are tried in each run, all of them in the long one."""
    return [*range(usual), *(pytest.param(n, marks=pytest.mark.soak) for n in range(usual, often))]


@pytest.mark.parametrize("seed", some(3, 20))
def test_what_the_engine_did_is_right(tmp_path: Path, seed: int) -> None:
    """Eight rules that change, answers that are lost, and processes that die."""
    url = f"sqlite:///{tmp_path / 'real.db'}"
    live(url, seed, steps=120)

    report = verify(from_store(url), skew_ms=0)

    assert report.clean, (seed, report.to_dict())
    assert report.handovers > 100
    assert report.attempts == report.waiting + report.ended
    assert report.recovered + len(report.duplicated_explained) > 0


@pytest.mark.parametrize("seed", some(2, 10))
def test_what_it_did_with_a_clock_that_was_put_right_is_right_as_well(
    tmp_path: Path, seed: int
) -> None:
    url = f"sqlite:///{tmp_path / 'real.db'}"
    live(url, seed, steps=120, jumps=True)

    report = verify(from_store(url))

    assert report.clean, (seed, report.to_dict())


def test_what_the_engine_did_on_postgresql_is_right(postgres_store_url: str) -> None:
    live(postgres_store_url, 1, steps=60)

    report = verify(from_store(postgres_store_url), skew_ms=0)

    assert report.clean, report.to_dict()
    assert report.handovers > 50


def test_a_database_that_is_no_store_is_named_without_its_password(postgres_url: str) -> None:
    with pytest.raises(ConfigError, match="no PostgreSQL store"):
        from_store(postgres_url)
    with pytest.raises(Unavailable) as caught:
        from_store("postgresql://me:secret@127.0.0.1:1/store")
    assert "secret" not in str(caught.value)


def test_a_history_is_the_same_from_a_file_as_from_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'real.db'}"
    live(url, 7, steps=40)
    history = from_store(url)
    file = StringIO()

    lines = write_history(history, file)

    again = read_history(file.getvalue().splitlines())
    assert lines > 100
    assert again == history
    assert verify(again) == verify(history)


def test_what_is_changed_in_the_tables_behind_the_engines_back_is_found(tmp_path: Path) -> None:
    """Each of these is one UPDATE or DELETE on a store that was right."""
    path = tmp_path / "real.db"
    live(f"sqlite:///{path}", 3, steps=60)
    clean = path.read_bytes()
    newest = "(SELECT id FROM deliveries WHERE state = 'sent' ORDER BY id DESC LIMIT 1)"
    for sql, what in (
        (f"DELETE FROM deliveries WHERE id = {newest}", "lost"),
        (f"UPDATE deliveries SET state = NULL WHERE id = {newest}", "lost"),
        (f"DELETE FROM attempts WHERE delivery_id = {newest}", "lost"),
        ("DELETE FROM due WHERE state = 'deferred'", "lost"),
        (f"UPDATE deliveries SET state = 'cancelled' WHERE id = {newest}", "unexpected"),
        ("UPDATE attempts SET counts = 0 WHERE outcome = 'unknown'", "unexpected"),
        ("UPDATE events SET at = 1 << 45 WHERE name = 'resumed'", "unexpected"),
        ("UPDATE attempts SET at = (SELECT max(at) FROM attempts)", "limit_violations"),
    ):
        path.write_bytes(clean)
        connection = apsw.Connection(str(path))
        connection.execute(sql)
        connection.close()

        report = verify(from_store(f"sqlite:///{path}"))

        assert getattr(report, what), sql
