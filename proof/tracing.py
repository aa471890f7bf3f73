"""System calls, seen and broken into with `strace`, from the outside of an unchanged program.

`strace` counts the calls of each name in each thread, so a point is a name and a number. At a point
a signal or an error is injected: SIGKILL strikes before the call has any effect, SIGSTOP right
after it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0
LOOK_S = 0.002
CALLS = "%file,%desc,%network"
WIRE_CALLS = frozenset(("sendto", "sendmsg", "recvfrom", "recvmsg", "poll"))
"""What a process does at a connection."""

_STOPPED = re.compile(r"--- SIGSTOP \{[^\n]*\n\d+ +--- stopped by SIGSTOP")
"""A stop that was injected; that of its start has no first line."""

_CALL = re.compile(r"^(\d+) +(\w+)\(", re.M)


class Point(NamedTuple):
    """The `nth` call of this name."""

    call: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call} {self.nth}"

    def signalled(self, name: str) -> tuple[str, ...]:
        """Options of strace that send this signal, `KILL` or `STOP`, when it comes to that call."""
        inject = f"inject={self.call}:signal={name}:when={self.nth}"
        return "-e", f"trace={self.call}", "-e", inject


class Nursery:
    """A process that makes the processes to be traced; a context manager.

    `within` is a command that runs it in another world.
    """

    def __init__(self, *within: str) -> None:
        self._command = [*within, sys.executable, "-m", "proof.script_process"]

    def __enter__(self) -> Nursery:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @contextmanager
    def child(
        self, url: str, ports: tuple[int, int], told: Path, *strace: str, patient: bool = True
    ) -> Iterator[Child]:
        """A child that follows the script under `strace` with these options."""
        child = self._born(url, ports, told, patient=patient)
        tracer = subprocess.Popen(["strace", "-f", "-qq", *strace, "-p", str(child.pid)])
        try:
            child.await_tracer()
            os.kill(child.pid, signal.SIGCONT)
            yield child
            self._await_end(child)
        except BaseException:
            os.kill(child.pid, signal.SIGKILL)
            raise
        finally:
            tracer.wait()

    def follow(self, url: str, ports: tuple[int, int], told: Path) -> int:
        """A child that nobody traces; gives how it ended."""
        child = self._born(url, ports, told, patient=True)
        os.kill(child.pid, signal.SIGCONT)
        self._await_end(child)
        return child.status

    def _born(self, url: str, ports: tuple[int, int], told: Path, *, patient: bool) -> Child:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([url, ports, str(told), patient]), file=self._process.stdin, flush=True)
        child = Child(int(self._process.stdout.readline()))
        child.await_state("Tt")
        return child

    def _await_end(self, child: Child) -> None:
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, os.kill, (child.pid, signal.SIGKILL))
        watchdog.start()
        child.status = int(self._process.stdout.readline())
        watchdog.cancel()


class Child:
    """One traced process; `status` is what `os.waitpid` gave in the end."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status = -1

    @property
    def was_killed(self) -> bool:
        return self.status == signal.SIGKILL

    def await_state(self, states: str) -> bool:
        """Until it is in one of these; False if it ends before."""
        never = threading.Event()
        for _ in range(round(PATIENCE_S / LOOK_S)):
            state = self._state()
            if state in states or state in "ZX":
                return state in states
            never.wait(LOOK_S)
        raise AssertionError(f"process {self.pid} never came into one of the states {states}")

    def await_stopped(self, trace: Path, times: int = 1) -> bool:
        """Until it was stopped so often, as its trace tells; False if it ends before."""
        never = threading.Event()
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if len(_STOPPED.findall(text_of(trace))) >= times:
                return True
            if self._state() in "ZX":
                return False
            never.wait(LOOK_S)
        raise AssertionError(f"process {self.pid} neither stopped nor ended")

    def await_tracer(self) -> None:
        never = threading.Event()
        status = Path(f"/proc/{self.pid}/status")
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if "TracerPid:\t0\n" not in status.read_text("ascii"):
                return
            never.wait(LOOK_S)
        raise AssertionError("strace did not come")

    def _state(self) -> str:
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text("ascii")
        except (FileNotFoundError, ProcessLookupError):
            return "X"
        return stat.rpartition(")")[2].split()[0]


def text_of(trace: Path) -> str:
    return trace.read_text("utf-8", "replace") if trace.exists() else ""


def points_in(trace: Path) -> list[Point]:
    """All points of a run that was traced, in their order; those of its first thread."""
    found = []
    counts: Counter[str] = Counter()
    first = ""
    for pid, call in _CALL.findall(text_of(trace)):
        first = first or pid
        if pid == first:
            counts[call] += 1
            found.append(Point(call, counts[call]))
    return found


def at_each(
    points: Iterable[Point], slots: int, visit: Callable[[Nursery, Point], T]
) -> Iterator[tuple[Point, T]]:
    """Visit points, so many at once, each slot with a nursery of its own; what comes of it."""
    free: SimpleQueue[Nursery] = SimpleQueue()

    def turn(point: Point) -> tuple[Point, T]:
        nursery = free.get()
        try:
            return point, visit(nursery, point)
        finally:
            free.put(nursery)

    with ExitStack() as stack, ThreadPoolExecutor(slots) as pool:
        for _ in range(slots):
            free.put(stack.enter_context(Nursery()))
        yield from pool.map(turn, points)


def sample(points: list[Point], size: int) -> list[Point]:
    """So many of them, evenly, half of them calls at a wire; all for 0."""
    if not size:
        return points
    at_wire = [point for point in points if point.call in WIRE_CALLS]
    others = [point for point in points if point.call not in WIRE_CALLS]
    return spread(at_wire, size // 2) + spread(others, size - size // 2)


def spread(points: list[Point], size: int) -> list[Point]:
    """So many of them, evenly."""
    if size >= len(points):
        return points
    return [points[(2 * n + 1) * len(points) // (2 * size)] for n in range(size)]
