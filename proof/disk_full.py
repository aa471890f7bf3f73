"""`disk-full`: somebody else fills the disk at random moments, under load, and makes room again.

The store is on a disk of its own, a few MiB of memory; the mail server's log is elsewhere. Nothing
is started again: the sender goes on by itself.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from proof.judging import copies, is_sound, judged, lines_of
from proof.lives import PEOPLE, prepare
from proof.mail_room import MailRoom
from proof.trial import LINUX, MOUNT, ROOT, Scenario, Tally, Trial, rounds

SIZE = "16m"
CYCLES = 10
"""On one store."""

ITEMS = 60
"""For each cycle."""

BACK_S = 20.0
"""Long after it should have gone on; how long it really took is told."""


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    slowest = 0.0
    for number in rounds(tally, trial.size, CYCLES):
        with disk(trial.folder / f"disk{number}") as place:
            slowest = max(slowest, history(place, draw.getrandbits(32), trial, tally))
    tally.notes.append(f"sending again at most {slowest:.1f} s after there was room")


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "proof", str(place))
    subprocess.run(mount, check=True)
    try:
        yield place
    finally:
        subprocess.run(("umount", str(place)), check=True)


def history(place: Path, seed: int, trial: Trial, tally: Tally) -> float:
    """Gives how long the slowest return to work took, in seconds."""
    draw = Random(seed)
    url, log = f"sqlite:///{place / 'store.db'}", trial.folder / f"{seed}.jsonl"
    wanted = [
        {
            "type": draw.choice(("note", "like")),
            "to": draw.choice(PEOPLE),
            "text": f"<{number}> " + "x" * draw.randrange(2_000),
            "idempotency_key": str(number),
        }
        for number in range(ITEMS * CYCLES)
    ]
    prepare(url)
    slowest = 0.0
    with MailRoom(log=log) as room, ThreadPoolExecutor(1) as pool:
        sender = pool.submit(room.run, url, wanted)
        await_first(log, sender)
        for _ in range(CYCLES):
            waited = cycle(place, log, draw, sender)
            if waited is None:
                tally.unreached += 1
                continue
            tally.points += 1
            slowest = max(slowest, waited)
            if waited >= BACK_S:
                tally.find(f"seed {seed}: nothing was sent for {waited:.1f} s after there was room")
        receipts = sender.result()
    arrived = lines_of(log)
    report = judged(url, arrived, receipts.values())
    tally.judge(report, f"seed {seed}")
    again = sum(count - 1 for count in copies(arrived).values())
    tally.again += again
    if again:
        tally.find(f"seed {seed}: {again} second copies")
    if not is_sound(url):
        tally.find(f"seed {seed}: the file is corrupt")
    if report.waiting or not report.attempts == len(receipts) == len(wanted):
        tally.find(f"seed {seed}: {report.attempts} of {len(wanted)}, {report.waiting} wait")
    return slowest


def await_first(log: Path, sender: Future[Any]) -> None:
    """Until a mail has come: on a full disk nobody can begin, which is no finding."""
    never = threading.Event()
    while not lines_of(log) and not sender.done():
        never.wait(0.01)


def cycle(place: Path, log: Path, draw: Random, sender: Future[Any]) -> float | None:
    """Fill the disk and make room; how long until a mail came then, None if all had gone."""
    never = threading.Event()
    never.wait(draw.random() * 0.3)
    if sender.done():
        return None
    ballast = place / "ballast"
    fill(ballast)
    never.wait(draw.random())
    before = len(lines_of(log))
    ballast.unlink()
    began = monotonic()
    while len(lines_of(log)) == before and not sender.done() and monotonic() < began + BACK_S:
        never.wait(0.01)
    return monotonic() - began


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while os.write(file.fileno(), bytes(size)):
                    pass


SCENARIO = Scenario(
    "disk-full",
    "On a full disk nothing is sent that cannot be recorded; with room again, all goes on.",
    {"small": 10, "full": 100, "soak": 1_000},
    play,
    (LINUX, ROOT, MOUNT),
)
