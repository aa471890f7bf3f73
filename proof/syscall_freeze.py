"""`syscall-freeze`: the script stands still at each system call, and another worker takes over.

SIGSTOP strikes right after the call. The other one follows the same script: what the frozen one has
claimed it gets when the leases end, after ten seconds. Then the frozen one goes on, and its results
come too late: they are told as `late` and change nothing. A second copy is only possible where the
first had passed its last look at its permit and not yet recorded the answer: from the final dot, or
the request of a webhook, to the record. It is the other one that sends such a copy: the frozen one
hands over nothing more that was taken from it. There is one exception: a webhook that freezes while
its request is being sent, which goes on where it stopped, after the last look at its permit.
"""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import NamedTuple

from proof.judging import copies, lines_of
from proof.script import follow
from proof.syscall_kill import TRIES, settle, survey, url_in
from proof.tracing import Nursery, Point, at_each, sample
from proof.trial import LINUX, STRACE, Scenario, Tally, Trial
from proof.wire import Wire

SLOTS = 12
"""Each waits most of the time for the end of a lease."""

TAKEN_OVER_S = 12.0

SENDING = ("poll", "sendto")
"""What a socket with a timeout does to send: it waits until there is room, and then it sends."""


class Thaw(NamedTuple):
    """Whether it froze, how many messages had arrived when it went on, and how it ended then."""

    frozen: bool
    arrived: int
    status: int


def play(trial: Trial, tally: Tally) -> None:
    with Nursery() as nursery:
        points = survey(nursery, trial.folder)
    chosen = sample(points, trial.size)
    tally.notes.append(f"{len(chosen)} of {len(points)} points")
    twice: list[Point] = []
    for point, thaw in at_each(chosen, SLOTS, partial(freeze, trial.folder)):
        tally.visit(str(point), reached=thaw.frozen)
        if thaw.status:
            tally.find(f"{point}: the frozen one ended with {thaw.status} when it went on")
        place = trial.folder / str(point)
        if settle(place, str(point), tally):
            twice.append(point)
        lines = lines_of(place / "arrived")
        for message in copies(lines[: thaw.arrived]) & copies(lines[thaw.arrived :]):
            if not (message.endswith("@hook>") and point.call in SENDING):
                tally.find(f"{point}: the frozen one sent {message} when another one had")
    tally.notes.append(f"second copies at {len(twice)} points: {', '.join(map(str, twice))}")


def freeze(folder: Path, nursery: Nursery, point: Point) -> Thaw:
    """The first of some runs that came so far, or that ended badly, else the last."""
    for _ in range(TRIES):
        thaw = freeze_once(folder / str(point), nursery, point)
        if thaw.frozen or thaw.status:
            break
    return thaw


def freeze_once(place: Path, nursery: Nursery, point: Point) -> Thaw:
    """Freeze there, let another one follow the script, go on, and see both to their ends."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    inject = point.signalled("STOP")
    with Wire(place / "arrived") as wire:
        url, told, trace = url_in(place), place / "told", place / "trace"
        with (
            ThreadPoolExecutor(1) as pool,
            nursery.child(url, wire.ports, told, "-o", str(trace), *inject) as child,
        ):
            arrived = 0
            frozen = child.await_stopped(trace)
            if frozen:
                other = pool.submit(follow, url, wire.ports, told)
                wait([other], TAKEN_OVER_S)
                arrived = len(lines_of(wire.log))
                os.kill(child.pid, signal.SIGCONT)
                other.result()
        follow(url, wire.ports, told)
    return Thaw(frozen, arrived, child.status)


SCENARIO = Scenario(
    "syscall-freeze",
    "Wherever a worker freezes, only what was on the wire comes twice, and late results are void.",
    {"small": 24, "full": 0, "soak": 0},
    play,
    (LINUX, STRACE),
)
