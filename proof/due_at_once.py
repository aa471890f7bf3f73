"""`due-at-once`: much is due in the same second, and what is critical comes in beside it.

Three deliveries for each recipient, of which the rules let two go at once. How long a critical
message takes from its submission to the mail server's 250 is told, not judged: that is a matter of
the machine and of who else is on it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from proof.fleet import Fleet, database
from proof.judging import lines_of
from proof.machines import load
from proof.mortal_process import OPEN
from proof.trial import LINUX, Scenario, Tally, Trial
from tactful import Rule
from tactful.engine.requests import Submission
from tactful.testing.servers.postgres import PostgresServer

WORKERS = 2
EACH = 3
RULES = (Rule("all", "2/5s", exempt=["critical"]),)
EVERY_S = 0.1
RATE = 100
"""Deliveries in a second: slower than any machine is."""

PATIENCE_S = 120.0
PORTION = 1_000
AHEAD_MS = 2_000
TYPICAL, SLOW = 0.5, 0.99


class Asked(NamedTuple):
    """A critical message: its delivery, and when it was asked for."""

    delivery: str
    at: int


def play(trial: Trial, tally: Tally) -> None:
    with (
        PostgresServer() as server,
        database(server) as name,
        Fleet(server.url(name), trial.folder, None, rules=RULES) as workers,
    ):
        due = submit_ahead(workers, trial.size)
        for _ in range(WORKERS):
            workers.start(workers.url)
        workers.await_begun()
        asked = ask_beside(workers, due, PATIENCE_S + trial.size / RATE)
        workers.drain(PATIENCE_S)
        tally.points += trial.size
        report = workers.judge(trial.size + len(asked), "due-at-once", tally)
        if report.out != report.attempts:
            tally.find(f"{report.out} of {report.attempts} were sent")
        tell(workers, asked, due, tally)
    tally.notes.append(load())


def submit_ahead(workers: Fleet, size: int) -> int:
    """So many deliveries for one instant, which is given: soon after the last was accepted."""
    span_ms = AHEAD_MS + size
    due = workers.app.clock.now() + span_ms
    people = max(1, size // EACH)
    items: list[Submission] = [
        {
            "type": "news",
            "to": f"p{number % people}@example.org",
            "text": f"<{number}>",
            "deliver_at": due,
        }
        for number in range(size)
    ]
    for at in range(0, size, PORTION):
        receipts = workers.app.send_many(items[at : at + PORTION])
        workers.receipts += [receipt.to_dict() for receipt in receipts]
    return due


def ask_beside(workers: Fleet, due: int, patience_s: float) -> list[Asked]:
    """A critical message each tenth of a second, from that instant until nothing else is open."""
    asked: list[Asked] = []
    never = threading.Event()
    never.wait(max(0, due - workers.app.clock.now()) / 1_000)
    end = time.monotonic() + patience_s
    following = time.monotonic()
    while others_open(workers, asked) and time.monotonic() < end:
        at = time.time_ns() // 1_000_000
        receipt = workers.app.send(
            type="alarm", to=f"c{len(asked)}@example.org", text="now", priority="critical"
        )
        workers.receipts.append(receipt.to_dict())
        asked.append(Asked(receipt.delivery_id or "", at))
        following += EVERY_S
        never.wait(max(0.0, following - time.monotonic()))
    return asked


def others_open(workers: Fleet, asked: list[Asked]) -> bool:
    """Whether more is open than the last few that were asked for here."""
    if len(asked) % 10:
        return True
    counts = workers.app.counts()
    return sum(counts.get(state, 0) for state in OPEN) > 10


def tell(workers: Fleet, asked: list[Asked], due: int, tally: Tally) -> None:
    arrived: Mapping[str, int] = {
        entry["message_id"].strip("<>").partition("@")[0]: entry["wall_ms"]
        for entry in map(json.loads, lines_of(workers.log))
    }
    took = sorted(arrived[one.delivery] - one.at for one in asked if one.delivery in arrived)
    if not took:
        tally.find("no critical message arrived")
        return
    typical, slow = (took[int(share * (len(took) - 1))] for share in (TYPICAL, SLOW))
    tally.notes.append(
        f"{len(took)} critical messages from submission to 250: p50 {typical} ms, p99 {slow} ms,"
        f" at most {took[-1]} ms"
    )
    last = max(arrived.values()) - due
    tally.notes.append(f"the last of all arrived {last / 1_000:.1f} s after the instant")


SCENARIO = Scenario(
    "due-at-once",
    "What is critical goes beside thousands that are due in one second; all go, none over a limit.",
    {"small": 5_000, "full": 200_000, "soak": 200_000},
    play,
    (LINUX,),
)
