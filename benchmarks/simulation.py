"""Simulated deliveries per second: the whole command at several sizes, beside other simulators.

The command runs the production engine for every copy. Beside it in the same run: the same exercise
with SimPy and in plain Python, with one limit and nothing else behind them, each in a process of
its own; their seconds are those of the simulation alone, the command's are those of all it does,
from the start of Python on.

    python -m benchmarks.simulation [--rounds 3] [--large] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import PROGRAMS, Unavailable, prepare

SIZES = ((1_000, 5), (2_000, 5), (4_000, 5), (16_000, 5), (1_000, 50))
LARGE = (1_000, 1_000)
PEERS = ("SimPy", "plain Python")


def ours(users: int, messages: int) -> float:
    """Seconds of one whole command."""
    words = ["simulate", "--users", str(users), "--messages", str(messages), "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tactful", *words], check=True, capture_output=True
    )
    wall = time.perf_counter() - started
    assert json.loads(done.stdout)["total"]["sent"] == users * messages
    return wall


def theirs(peer: str, users: int, messages: int) -> float:
    """Seconds of a peer's simulation; raises `Unavailable`."""
    program = [Path(sys.executable), "-m", "benchmarks.plain_exercise"]
    if peer == "SimPy":
        program = [prepare("simpy_exercise").python, PROGRAMS / "simpy_exercise.py"]
    command = [*program, str(users), str(messages)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="1,000 people and messages, too")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
    }
    empty = statistics.median(ours(0, 0) for _ in range(options.rounds))
    print(f"{'the command with nobody':<32} {empty:6.2f} s", flush=True)
    figures["empty_s"] = empty
    for users, messages in (*SIZES, LARGE) if options.large else SIZES:
        copies = users * messages
        wall = statistics.median(ours(users, messages) for _ in range(options.rounds))
        rate = copies / (wall - empty)
        figures[f"{users}x{messages}"] = {"wall_s": wall, "per_second": rate}
        name = f"tactful simulate {users:,} x {messages:,}"
        print(f"{name:<32} {wall:6.2f} s   {rate:9,.0f}/s without the start", flush=True)
    for name in PEERS:
        try:
            wall = statistics.median(theirs(name, 16_000, 5) for _ in range(options.rounds))
        except Unavailable as error:
            print(f"{name:<32} {error}", flush=True)
            continue
        figures[name] = {"wall_s": wall, "per_second": 80_000 / wall}
        print(f"{name + ' 16,000 x 5':<32} {wall:6.2f} s   {80_000 / wall:9,.0f}/s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), "utf-8")


if __name__ == "__main__":
    main()
