"""What a scenario is, what it is given, and what it counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

from tactful.verify import Report
from tactful.verify.limits import Violation

FINDINGS_KEPT = 50


@dataclass(slots=True)
class Tally:
    """The sums over all points of a scenario, and each broken promise in words.

    `points` is how often something was broken on purpose. `unreached` are the points at which the
    run was over before anything could break. `again` is how many copies came to a wire once more.
    `used` has, of each history, the largest share of a limit that was used while something waited.
    """

    points: int = 0
    unreached: int = 0
    attempts: int = 0
    ok: int = 0
    delivered: int = 0
    lost: int = 0
    unexpected: int = 0
    recovered: int = 0
    explained: int = 0
    unexplained: int = 0
    violations: int = 0
    again: int = 0
    used: list[float] = field(default_factory=list)
    broken: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def judge(self, report: Report, where: str) -> None:
        """Add the verdict on one history; `where` leads back to it."""
        self.attempts += report.attempts
        self.ok += report.ok
        self.delivered += report.out
        self.lost += len(report.lost)
        self.unexpected += len(report.unexpected)
        self.recovered += report.recovered
        self.explained += len(report.duplicated_explained)
        self.unexplained += len(report.duplicated_unexplained)
        self.violations += report.violations
        shares = [rule.used for rule in report.rules.values() if rule.used is not None]
        if shares:
            self.used.append(max(shares))
        for name, texts in (
            ("lost", report.lost),
            ("unexpected", report.unexpected),
            ("duplicated", report.duplicated_unexplained),
            ("over the limit", [_in_words(one) for one in report.limit_violations]),
        ):
            for text in texts:
                self.find(f"{where}: {name}: {text}")

    def visit(self, where: str, *, reached: bool) -> None:
        """Count one point; one at which nothing broke is named in the notes."""
        self.points += reached
        if not reached:
            self.unreached += 1
            self.notes.append(f"{where}: no run came so far")

    def find(self, text: str) -> None:
        """A promise was broken."""
        self.broken += 1
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(text)

    @property
    def utilisation(self) -> float | None:
        return sum(self.used) / len(self.used) if self.used else None

    def to_dict(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.__slots__ if name != "used"}
        return {**found, "utilisation": self.utilisation}


def _in_words(one: Violation) -> str:
    """A hand-over that was too much, with the instants of all in its window."""
    instants = [inside.at for inside in one.inside]
    since = ", ".join(f"+{at - instants[0]}" for at in instants[-20:])
    held = f"{one.held} of {one.most} {one.window}"
    return f"{one.rule} {one.limit} for {one.whom}: {held}: {instants[0]} {since}"


class Trial(NamedTuple):
    """What one scenario is given: how many points to try (0: all there are), a seed, a folder."""

    size: int
    seed: int
    folder: Path


class Need(NamedTuple):
    """Something that not every machine has; `is_met` tries it."""

    what: str
    is_met: Callable[[], bool]


class Scenario(NamedTuple):
    """`sizes` has the number of points for each tier; 0 stands for all of them."""

    name: str
    promise: str
    sizes: Mapping[str, int]
    play: Callable[[Trial, Tally], None]
    needs: Sequence[Need] = ()

    def missing(self) -> list[str]:
        return [need.what for need in self.needs if not need.is_met()]


def rounds(tally: Tally, goal: int, each: int) -> Iterator[int]:
    """The numbers of rounds with up to so many points each, until the tally has as many as asked.

    Twice as many rounds as would do have to be enough.
    """
    for number in range(2 * -(-goal // each)):
        if tally.points >= goal:
            return
        yield number


@contextmanager
def meanwhile(work: Callable[[Event], object]) -> Iterator[None]:
    """Do this in a thread as long as this lasts; it is given what is set at the end."""
    over = Event()
    thread = Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def works(*words: str) -> bool:
    """Whether a command is there and ends well."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


LINUX = Need("Linux", lambda: sys.platform == "linux")
ROOT = Need("root", lambda: os.geteuid() == 0)
STRACE = Need("strace that may trace (apt-get install strace)", lambda: works("strace", "true"))
MOUNT = Need("leave to mount", lambda: works("unshare", "-m", "mount", "-t", "tmpfs", "t", "/mnt"))
