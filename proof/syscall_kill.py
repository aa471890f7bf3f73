"""`syscall-kill`: the script ends with SIGKILL at each of its I/O system calls; another goes on."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from proof.judging import copies, is_sound, judged, lines_of, receipts_in
from proof.script import WANTED, follow
from proof.tracing import CALLS, Nursery, Point, at_each, points_in, sample
from proof.trial import LINUX, STRACE, Scenario, Tally, Trial
from proof.wire import Wire

SLOTS = 4
"""Most of the time each waits for the next instant at which something is due."""

TRIES = 10
"""For one point: how often a process asks a clock or a socket differs a little between two runs."""


def play(trial: Trial, tally: Tally) -> None:
    with Nursery() as nursery:
        points = survey(nursery, trial.folder)
    chosen = sample(points, trial.size)
    tally.notes.append(f"{len(chosen)} of {len(points)} points")
    for point, struck in at_each(chosen, SLOTS, partial(die, trial.folder)):
        tally.visit(str(point), reached=struck)
        settle(trial.folder / str(point), str(point), tally)


def survey(nursery: Nursery, folder: Path) -> list[Point]:
    """The points of a run in which nothing breaks."""
    place, trace = folder / "survey", folder / "trace"
    place.mkdir()
    options = ("-o", str(trace), "-e", f"trace={CALLS}")
    with (
        Wire(place / "arrived") as wire,
        nursery.child(url_in(place), wire.ports, place / "told", *options) as child,
    ):
        pass
    if child.status:
        raise AssertionError(f"the script ended with {child.status}")
    return points_in(trace)


def die(folder: Path, nursery: Nursery, point: Point) -> bool:
    """Whether any of some runs came so far; what the last one left is in the folder."""
    return any(die_once(folder / str(point), nursery, point) for _ in range(TRIES))


def die_once(place: Path, nursery: Nursery, point: Point) -> bool:
    """Break off there, and follow the script again to its end; whether it came so far."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    inject = point.signalled("KILL")
    with Wire(place / "arrived") as wire:
        url, told = url_in(place), place / "told"
        with nursery.child(url, wire.ports, told, "-o", "/dev/null", *inject) as child:
            pass
        follow(url, wire.ports, told)
    return child.was_killed


def url_in(place: Path) -> str:
    return f"sqlite:///{place / 'store.db'}"


def settle(place: Path, where: str, tally: Tally, most: int = 1) -> int:
    """Judge a place where the script came to its end; gives how many copies came again.

    `most` of them may have. The store is in that folder.
    """
    arrived = lines_of(place / "arrived")
    report = judged(url_in(place), arrived, receipts_in(place / "told"))
    tally.judge(report, where)
    again = sum(count - 1 for count in copies(arrived).values())
    tally.again += again
    if again > most:
        tally.find(f"{where}: {again} second copies")
    if not is_sound(url_in(place)):
        tally.find(f"{where}: the file is corrupt")
    if report.waiting or report.attempts != WANTED:
        tally.find(f"{where}: {report.attempts} of {WANTED} are stored, {report.waiting} wait")
    return again


SCENARIO = Scenario(
    "syscall-kill",
    "At whatever system call a process ends, nothing is lost, and one copy at most comes again.",
    {"small": 40, "full": 0, "soak": 0},
    play,
    (LINUX, STRACE),
)
