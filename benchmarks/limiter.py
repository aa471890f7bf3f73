"""The limiter on Valkey beside the libraries that a team would take, in one run.

    python -m benchmarks.limiter [--count 50000] [--rounds 3] [--json FILE]

May this person get one more? Three rules match (100 per hour and type, 300 per day and channel,
500 per day); each person is asked about ten times, every answer is yes and remembered. Tactful is
asked in batches and one by one; the libraries can only be asked one rule at a time. Ours and theirs
take turns on one server. Processor time is that of the asking process and of the server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import Unavailable
from benchmarks.peers.programs.measuring import cpu_seconds
from benchmarks.peers.workshop import Workshop

from tactful import Ask, Limiter, Rule

RULES = (
    Rule("type", "100/hour", types=["shipping"]),
    Rule("channel", "300/day", channels=["email"]),
    Rule("all", "500/day"),
)
PER_PERSON = 10
ALONE = 20  # asked one by one, this many times fewer
PEERS = {
    "limits_library": "limits, moving window",
    "throttled_library": "throttled-py, GCRA",
    "pyrate_library": "pyrate-limiter",
}


def ours(workshop: Workshop, batch: int, count: int) -> dict[str, float]:
    """Decisions a second, and processor time of both sides in microseconds for each."""
    server = workshop.valkey()
    people = max(1, count // PER_PERSON)
    asks = [
        Ask(f"person{n % people}@example.com", "shipping", channel="email") for n in range(count)
    ]
    with Limiter(server.url(), RULES) as limiter:
        limiter.acquire_many([Ask(f"warm{n}", "shipping", channel="email") for n in range(1_000)])
        before = cpu_seconds(server.pid)
        began, spent = time.perf_counter(), time.process_time()
        granted = 0
        for first in range(0, count, batch):
            granted += sum(a.granted for a in limiter.acquire_many(asks[first : first + batch]))
        wall, spent = time.perf_counter() - began, time.process_time() - spent
    assert granted == count, f"{granted} of {count} granted"
    return {
        "per_second": count / wall,
        "client_us": spent / count * 1e6,
        "server_us": (cpu_seconds(server.pid) - before) / count * 1e6,
    }


def theirs(workshop: Workshop, program: str, count: int) -> dict[str, float]:
    job = {"store": "valkey", "rules": 3, "count": count, "people": max(1, count // PER_PERSON)}
    return {"per_second": workshop.decisions(program, job)["per_second"]}


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Medians of the rounds, by name."""
    found: dict[str, list[dict[str, float]]] = {}
    missing: dict[str, str] = {}
    with Workshop() as workshop:
        for _ in range(rounds):
            for batch in (1_000, 500, 100, 1):
                asked = count if batch > 1 else max(1, count // ALONE)
                name = f"Tactful, {batch} at once"
                found.setdefault(name, []).append(ours(workshop, batch, asked))
            for program, name in PEERS.items():
                try:
                    row = theirs(workshop, program, max(1, count // ALONE))
                except Unavailable as error:
                    missing[name] = str(error)
                else:
                    found.setdefault(name, []).append(row)
        versions = workshop.versions
    rows = {
        name: {key: round(statistics.median(row[key] for row in several), 1) for key in several[0]}
        for name, several in found.items()
    }
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return {
        "machine": machine,
        "versions": versions,
        "busy": round(os.getloadavg()[0], 1),
        "rows": rows,
        "missing": missing,
    }


def report(figures: dict[str, Any]) -> None:
    print(f"{figures['machine']}, Valkey {figures['versions']['valkey']}, load {figures['busy']}")
    for name, row in figures["rows"].items():
        cpu = f"{row['client_us']:8.1f} {row['server_us']:8.1f}" if "client_us" in row else ""
        print(f"{name:28} {row['per_second']:>11,.0f}/s {cpu}")
    for name, why in figures["missing"].items():
        print(f"{name:28} not measured: {why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    figures = measure(options.count, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    report(figures)


if __name__ == "__main__":
    main()
