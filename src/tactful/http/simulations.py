"""Simulations as jobs: a scenario is handed in, runs in its turn, and its figures are fetched.

One runs at a time, in a process of its own with bounds on memory and time; a few wait. What is done
is kept until there are more, in the memory of this process: it is an answer, not a record.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Body, Depends, Request

from tactful.core.errors import ConfigError, NotFound, RequestError
from tactful.core.model import Millis
from tactful.http import answers
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin, LiveViewer
from tactful.http.places import IdPath
from tactful.http.problems import Problem
from tactful.runtime.entropy import new_name
from tactful.sim.reading import scenario_from
from tactful.sim.scenario import Broadcasts, Scenario, Stream

WAITING_MAX: Final = 8
KEPT_MAX: Final = 50
PEOPLE_MAX: Final = 100_000
DELIVERIES_MAX: Final = 2_000_000
MEMORY_MAX: Final = 4 << 30
SECONDS_MAX: Final = 600
ERROR_MAX: Final = 500

router = APIRouter(prefix="/simulations", tags=["simulations"], route_class=GuardedRoute)


@dataclass(slots=True)
class Job:
    """One simulation; `result` is JSON."""

    id: str
    name: str
    submitted_at: Millis
    scenario: bytes
    state: str = "queued"
    error: str | None = None
    result: bytes | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "failed", "cancelled")

    def to_dict(self) -> dict[str, Any]:
        """As it is told."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "submitted_at": self.submitted_at,
            "error": self.error,
            "result": None if self.result is None else orjson.loads(self.result),
        }


class Simulations:
    """The jobs of one process, run one after the other; safe to use from many threads."""

    def __init__(self, command: Callable[[], list[str]] | None = None) -> None:
        self._command = command or _own_command
        self._lock = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._line: deque[Job] = deque()
        self._thread: threading.Thread | None = None
        self._running: tuple[Job, subprocess.Popen[bytes]] | None = None
        self._closed = False

    def submit(self, name: str, scenario: bytes, now: Millis) -> Job:
        """Put a scenario into the line; raises Problem (429) where the line is full."""
        with self._lock:
            if self._closed:
                raise Problem(503, "unavailable", "the service is about to end")
            if len(self._line) >= WAITING_MAX:
                detail = f"{WAITING_MAX} simulations wait already"
                raise Problem(429, "busy", detail, headers={"Retry-After": "10"})
            job = Job(new_name(), name, now, scenario)
            self._jobs[job.id] = job
            self._line.append(job)
            over = [one for one in self._jobs.values() if one.is_over]
            for old in over[: max(0, len(self._jobs) - KEPT_MAX)]:
                del self._jobs[old.id]
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="simulations", daemon=True)
                self._thread.start()
            self._lock.notify_all()
            return job

    def list(self) -> list[Job]:
        """All that are known, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """One of them; raises NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("simulation", job_id, "is no simulation that is kept")
        return job

    def remove(self, job_id: str) -> None:
        """Forget it, and stop it if it runs; raises NotFound."""
        job = self.get(job_id)
        with self._lock:
            self._jobs.pop(job_id, None)
            self._cancel(job)

    def wait(self, job_id: str, timeout_s: float) -> Job:
        """Wait until it is over, or the time is up; raises NotFound."""
        job = self.get(job_id)
        with self._lock:
            self._lock.wait_for(lambda: job.is_over, timeout_s)
        return job

    def close(self) -> None:
        """Stop what runs, forget what waits; harmless when repeated."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                self._cancel(job)
            self._lock.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _cancel(self, job: Job) -> None:
        if job.is_over:
            return
        job.state = "cancelled"
        if job in self._line:
            self._line.remove(job)
        if self._running is not None and self._running[0] is job:
            self._running[1].kill()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._line)
                if self._closed:
                    return
                job = self._line.popleft()
                try:
                    process = _started(self._command())
                except OSError as error:
                    job.state, job.error = "failed", f"no process for it: {error.strerror}"
                    self._lock.notify_all()
                    continue
                job.state = "running"
                self._running = job, process
            said, ended = _outcome(process, job.scenario)
            with self._lock:
                self._running = None
                if job.state == "running":
                    _settle(job, said, ended)
                self._lock.notify_all()


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this program, and nothing from outside
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def _outcome(process: subprocess.Popen[bytes], scenario: bytes) -> tuple[bytes, int]:
    """What a process said, and how it ended: as None or a number below 0 if it was stopped."""
    try:
        said, _ = process.communicate(scenario, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"it took longer than {SECONDS_MAX} s".encode(), 1
    return said, process.returncode


def _settle(job: Job, said: bytes, ended: int) -> None:
    if ended == 0:
        job.state, job.result = "done", said
        return
    job.state = "failed"
    words = said.decode("utf-8", "replace") if ended == 1 else ""
    job.error = words[:ERROR_MAX] or f"it needs more than {MEMORY_MAX >> 30} GiB or it crashed"


def _own_command() -> list[str]:
    bounds = [str(MEMORY_MAX), str(SECONDS_MAX)]
    return [sys.executable, "-P", "-m", "tactful.http.simulation_process", *bounds]


# Routes ---------------------------------------------------------------------------------------


def _simulations(request: Request) -> Simulations:
    found: Simulations = request.app.state.simulations
    return found


Jobs = Annotated[Simulations, Depends(_simulations)]
Tables = Annotated[
    dict[str, Any],
    Body(
        description="The tables of a scenario file, as JSON; nothing in it may name a file.",
        examples=[{"population": {"count": 100}, "rules": {"calm": {"limit": "3/day"}}}],
    ),
]


def bounded(tables: Mapping[str, Any]) -> Scenario:
    """The scenario in these tables, if it is not too large to be run for somebody else.

    Raises RequestError, also for whatever would have a file be read.
    """
    population, traffic = tables.get("population"), tables.get("traffic")
    named = [("rules_file", tables.get("rules_file"))]
    if isinstance(population, Mapping):
        named.append(("population.csv", population.get("csv")))
    if isinstance(traffic, list):
        named += [
            (f"traffic[{place}].file", one.get("file"))
            for place, one in enumerate(traffic)
            if isinstance(one, Mapping)
        ]
    for field, value in named:
        if value is not None:
            raise RequestError(field, value, "must not be given: no file is read for a request")
    try:
        scenario = scenario_from(tables, Path("scenario"))
    except ConfigError as error:
        raise RequestError("scenario", "", str(error).removesuffix(", in scenario")) from None
    count = scenario.population.count
    if count > PEOPLE_MAX:
        raise RequestError("population.count", count, f"must be at most {PEOPLE_MAX} here")
    expected = int(sum(_deliveries(one, scenario) for one in scenario.traffic))
    if expected > DELIVERIES_MAX:
        bound = f"must come to at most {DELIVERIES_MAX} deliveries here"
        raise RequestError("traffic", expected, bound)
    return scenario


def _deliveries(traffic: object, scenario: Scenario) -> float:
    """About how many deliveries a stream of traffic makes."""
    count = scenario.population.count
    if isinstance(traffic, Broadcasts):
        return len(traffic.at) * count * max(1, len(traffic.says.channels))
    assert isinstance(traffic, Stream), "recorded traffic is in a file"
    lasts = scenario.horizon_ms * traffic.rate * traffic.burst
    return lasts * (count if traffic.per == "person" else 1) * max(1, len(traffic.says.channels))


@router.post("", status_code=202, response_model=answers.Simulation)
def submit(tables: Tables, key: Admin, jobs: Jobs, request: Request) -> Any:
    """Have a scenario simulated, when its turn comes; see `tactful simulate`."""
    scenario = bounded(tables)
    now = request.app.state.worlds.live.clock.now()
    return jobs.submit(scenario.name, orjson.dumps(tables), now).to_dict()


@router.get("", response_model=answers.Listing[answers.Simulation])
def simulations(key: LiveViewer, jobs: Jobs) -> Any:
    """All simulations that are kept, oldest first, without their results."""
    return {"items": [{**job.to_dict(), "result": None} for job in jobs.list()]}


@router.get("/{simulation_id}", response_model=answers.Simulation)
def simulation(simulation_id: IdPath, key: LiveViewer, jobs: Jobs) -> Any:
    """How far a simulation is, and its figures once it is done."""
    return jobs.get(simulation_id).to_dict()


@router.delete("/{simulation_id}", status_code=204)
def remove(simulation_id: IdPath, key: Admin, jobs: Jobs) -> None:
    """Forget a simulation; one that runs is stopped."""
    jobs.remove(simulation_id)
