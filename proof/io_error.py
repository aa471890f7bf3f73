"""`io-error`: a write to the disk fails with EIO, at each one; who sees it stops, another goes on.

After a failed fsync nobody knows what the disk holds, and asking again is no answer: the kernel may
have thrown the pages away. So the store takes no more work until a new process looks at the file.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from proof.script import follow
from proof.script_process import UNAVAILABLE
from proof.syscall_kill import settle, survey, url_in
from proof.tracing import Nursery, Point, at_each, spread, text_of
from proof.trial import LINUX, STRACE, Scenario, Tally, Trial
from proof.wire import Wire

SLOTS = 4
SYNCS = ("fsync", "fdatasync")


def play(trial: Trial, tally: Tally) -> None:
    with Nursery() as nursery:
        points = [point for point in survey(nursery, trial.folder) if point.call in SYNCS]
    stopped = 0
    chosen = spread(points, trial.size or len(points))
    for point, (failed, status) in at_each(chosen, SLOTS, partial(fail, trial.folder)):
        tally.visit(str(point), reached=failed)
        stopped += status == UNAVAILABLE << 8
        if status not in (0, UNAVAILABLE << 8):
            tally.find(f"{point}: the process ended with {status}")
        if settle(trial.folder / str(point), str(point), tally):
            tally.find(f"{point}: a second copy")
    tally.notes.append(f"{len(chosen)} of {len(points)} points; the store stopped at {stopped}")


def fail(folder: Path, nursery: Nursery, point: Point) -> tuple[bool, int]:
    """Whether a process met the error, and how it ended."""
    place = folder / str(point)
    place.mkdir()
    inject = ("-e", f"trace={point.call}", "-e", f"inject={point.call}:error=EIO:when={point.nth}")
    with Wire(place / "arrived") as wire:
        url, told, trace = url_in(place), place / "told", place / "trace"
        options = ("-o", str(trace), *inject)
        with nursery.child(url, wire.ports, told, *options, patient=False) as child:
            pass
        follow(url, wire.ports, told)
    return "(INJECTED)" in text_of(trace), child.status


SCENARIO = Scenario(
    "io-error",
    "After a write to the disk has failed nothing is lost, and nothing comes twice.",
    {"small": 10, "full": 0, "soak": 0},
    play,
    (LINUX, STRACE),
)
