"""`poison`: one message in a hundred kills its sender, while it is rendered or in its channel.

A segmentation fault leaves nobody to catch anything. The sender is started again until nothing is
open. Each such message is set aside after `crashes_max` attempts without an answer; where it kills
before its hand-over has begun, one more sender dies, since the first death tells nothing.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from proof.judging import copies, judged, lines_of
from proof.lives import open_app
from proof.mail_room import PATIENCE_S
from proof.poison_process import SETTINGS
from proof.trial import Scenario, Tally, Trial
from tactful import State
from tactful.testing.smtp_sink import SmtpSink

PEOPLE = 100
DEADLY = 2
"""Of them, in one history."""

DEATHS_MOST = {
    "channel": SETTINGS.retry.crashes_max,
    "render": SETTINGS.retry.crashes_max + 1,
}
"""Of senders, for each such message."""


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    most: Counter[str] = Counter()
    for number in range(trial.size):
        for where in DEATHS_MOST:
            deaths = history(trial.folder / f"{where}{number}", where, draw, tally)
            most[where] = max(most[where], deaths)
    tally.notes += [
        f"{most[where]} deaths by {DEADLY} messages at most, in {where}" for where in DEATHS_MOST
    ]


def history(place: Path, where: str, draw: Random, tally: Tally) -> int:
    """Gives how many senders died."""
    place.mkdir()
    url, log = f"sqlite:///{place / 'store.db'}", place / "arrived"
    people = [f"p{number}@example.org" for number in range(PEOPLE - DEADLY)]
    people += [f"poison{number}@example.org" for number in range(DEADLY)]
    draw.shuffle(people)
    app = open_app(url)
    app.send_many([{"type": "news", "to": to, "text": "x"} for to in people])
    app.close()
    deaths = 0
    with SmtpSink(log=log) as sink:
        while status := live(url, sink.port, where):
            deaths += 1
            if status != -signal.SIGSEGV or deaths > DEADLY * DEATHS_MOST[where]:
                tally.find(f"{place.name}: death {deaths} with {status}")
                break
    tally.points += deaths
    arrived = lines_of(log)
    report = judged(url, arrived)
    tally.judge(report, place.name)
    tally.again += sum(count - 1 for count in copies(arrived).values())
    check_ends(url, place.name, tally)
    return deaths


def live(url: str, port: int, where: str) -> int:
    command = [sys.executable, "-m", "proof.poison_process", url, str(port), where]
    return subprocess.run(command, timeout=PATIENCE_S, check=False).returncode


def check_ends(url: str, where: str, tally: Tally) -> None:
    """The deadly ones are set aside, and say why; the others are sent."""
    app = open_app(url)
    rows = app.deliveries(limit=PEOPLE)
    app.close()
    for row in rows:
        deadly = row.recipient.startswith("poison")
        aside = row.state is State.FAILED and (row.reason or "").startswith("quarantined")
        if deadly and not aside:
            tally.find(f"{where}: {row.recipient} is {row.state}, not set aside: {row.reason}")
        if not deadly and row.state is not State.SENT:
            tally.find(f"{where}: {row.recipient} is {row.state}: {row.reason}")


SCENARIO = Scenario(
    "poison",
    "A message that kills its worker is set aside after a few deaths, and all others go.",
    {"small": 1, "full": 10, "soak": 50},
    play,
)
