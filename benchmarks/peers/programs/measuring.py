"""What every peer's program shares: its job, the time, the processors. Standard library only.

A program is started with a job in a JSON file, whose name is in the environment, and prints its
figures as the last line of its output. Processor time is read from `/proc`, so it covers threads,
workers and servers alike, and can be read between the warm-up and the end: what it costs to start
an interpreter and import a framework is never charged to anybody.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

JOB_VARIABLE = "PEER_JOB"
ROUNDS = 3

_TICKS = os.sysconf("SC_CLK_TCK")


def job() -> dict[str, Any]:
    """What this program is to do."""
    found: dict[str, Any] = json.loads(Path(os.environ[JOB_VARIABLE]).read_text("utf-8"))
    return found


def report(figures: dict[str, Any]) -> None:
    """Hand the figures to whoever started this program."""
    print(json.dumps(figures), flush=True)


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its descendants, those that have ended included."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text("utf-8")
        except OSError:
            continue  # it has just ended
        fields = text.rpartition(") ")[2].split()  # a process's name may hold blanks
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(int(field) for field in fields[11:15])
    family, waiting = set(), [pid]
    while waiting:
        member = waiting.pop()
        family.add(member)
        waiting += [child for child, parent in parents.items() if parent == member]
    return sum(ticks.get(member, 0) for member in family) / _TICKS


class Meter:
    """Processor seconds of each of some processes since the meter was made, by name."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = processes
        self._before = {name: cpu_seconds(pid) for name, pid in processes.items()}

    def read(self) -> dict[str, float]:
        return {
            name: cpu_seconds(pid) - self._before[name] for name, pid in self._processes.items()
        }


def wait_until(done: Callable[[], bool], seconds: float = 300.0) -> None:
    """Ask every 20 ms; raises `TimeoutError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done after {seconds:.0f} s")
        time.sleep(0.02)


def decisions(hit: Callable[[str], bool], work: dict[str, Any]) -> dict[str, Any]:
    """How often a second `hit` can be asked whether a person may get one more, and remember it.

    Everybody is asked about ten times in a round and every answer must be yes: the limits are
    wide. Each round has people of its own, so that all rounds meet histories of one length.
    """
    rates = []
    for number in range(ROUNDS + 1):
        people = [f"round{number}-person{n}@example.com" for n in range(work["people"])]
        asked = [people[n % len(people)] for n in range(work["count"])]
        began = time.perf_counter()
        granted = sum(map(hit, asked))
        rates.append(len(asked) / (time.perf_counter() - began))
        assert granted == len(asked), f"{granted} of {len(asked)} granted"
    return {"per_second": round(statistics.median(rates[1:]))}
