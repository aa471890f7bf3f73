"""`power`: the power is cut at system calls of the script, and another machine start goes on.

The store is on an ext4 in a file, which keeps to itself what nobody forced to the disk
(`commit=300`). SIGSTOP holds the writer right after a call; the file as it is then is the disk
after a power cut. What the other ends and the callers know at that instant is kept beside it. Each
copy is mounted, by which its journal is played, and the script is followed to its end under another
boot id, as after a real start.

After a cut everything claimed counts as begun. What was on a wire since the last commit that
reached the disk comes again, and says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

from proof.syscall_kill import settle, survey
from proof.tracing import Nursery
from proof.trial import LINUX, MOUNT, ROOT, STRACE, Need, Scenario, Tally, Trial, rounds, works
from proof.wire import Wire

CALLS = ("pwrite64", "fdatasync", "ftruncate", "unlink", "mkdir", "rename", "write", "sendto")
IMAGE_BYTES = 32 << 20
CUTS = 40
"""In one run of the script: holding it takes time, and permits end."""

AGAIN_MOST = 7
SLOTS = 3
TRIES = 100
BOOT_ID = "/proc/sys/kernel/random/boot_id"
STARTED_ANEW = f'mount --bind "$0" {BOOT_ID} && exec "$@"'


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    with Nursery() as nursery:
        stops = sum(point.call in CALLS for point in survey(nursery, trial.folder))
        for number in rounds(tally, trial.size, min(CUTS, stops)):
            folder = trial.folder / f"run{number}"
            folder.mkdir()
            most = min(trial.size - tally.points, CUTS, stops)
            chosen = frozenset(draw.sample(range(stops), most))
            cuts = cut(nursery, folder, chosen)
            tally.unreached += len(chosen) - len(cuts)
            with ThreadPoolExecutor(SLOTS) as pool:
                for place in pool.map(start_anew, cuts):
                    tally.points += 1
                    with mounted(place / "image", place / "disk"):
                        settle(place / "disk", str(place.name), tally, AGAIN_MOST)
                    shutil.rmtree(place)
    tally.notes.append(f"cuts at {tally.points} of {number + 1} x {stops} points")


def cut(nursery: Nursery, folder: Path, chosen: frozenset[int]) -> list[Path]:
    """Run the script once, and keep what was on the disk at these of its stops."""
    image, disk, trace, told = (folder / name for name in ("image", "disk", "trace", "told"))
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(image)), check=True)
    places = []
    inject = ("-e", f"trace={','.join(CALLS)}", "-e", f"inject={','.join(CALLS)}:signal=STOP")
    with mounted(image, disk), Wire(folder / "arrived") as wire:
        url = f"sqlite:///{disk / 'store.db'}"
        with nursery.child(url, wire.ports, told, "-o", str(trace), *inject) as child:
            for number in count():
                if not child.await_stopped(trace, number + 1):
                    break
                if number in chosen:
                    places.append(keep(folder, number))
                os.kill(child.pid, signal.SIGCONT)
    return places


def keep(folder: Path, number: int) -> Path:
    """The disk, and what the others know, at this instant."""
    place = folder / f"stop {number}"
    place.mkdir()
    copy = ("cp", "--sparse=always", str(folder / "image"), str(place / "image"))
    for name in ("arrived", "told"):
        if (folder / name).exists():
            shutil.copy(folder / name, place / name)
    subprocess.run(copy, check=True)
    return place


def start_anew(place: Path) -> Path:
    """After the cut: the disk is mounted, the kernel has another boot id, the script goes on."""
    boot = place / "boot_id"
    boot.write_text(f"{uuid.uuid4()}\n", "ascii")
    anew = ("unshare", "-m", "sh", "-c", STARTED_ANEW, str(boot))
    with (
        mounted(place / "image", place / "disk") as disk,
        Wire(place / "arrived") as wire,
        Nursery(*anew) as nursery,
    ):
        status = nursery.follow(f"sqlite:///{disk / 'store.db'}", wire.ports, place / "told")
        for name in ("arrived", "told"):
            shutil.copy(place / name, disk / name)
    if status:
        raise AssertionError(f"{place.name}: the script ended with {status}")
    return place


@contextmanager
def mounted(image: Path, disk: Path) -> Iterator[Path]:
    disk.mkdir(exist_ok=True)
    mount = ("mount", "-o", "loop,commit=300", str(image), str(disk))
    subprocess.run(mount, check=True)
    try:
        yield disk
    finally:
        unmount(disk)


def unmount(disk: Path) -> None:
    """Whoever used it has ended, but the kernel may still be closing a file of theirs."""
    never = threading.Event()
    for _ in range(TRIES):
        if subprocess.run(("umount", str(disk)), check=False).returncode == 0:
            return
        never.wait(0.1)
    raise AssertionError(f"{disk} cannot be unmounted")


LOOP = Need(
    "mkfs.ext4 and loop devices", lambda: works("mkfs.ext4", "-V") and works("losetup", "-f")
)

SCENARIO = Scenario(
    "power",
    "A power cut takes nothing that was acknowledged, and no attempt that was on the wire.",
    {"small": 20, "full": 300, "soak": 4_000},
    play,
    (LINUX, ROOT, STRACE, MOUNT, LOOP),
)
