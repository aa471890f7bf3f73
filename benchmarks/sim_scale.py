"""Scale mode: five messages to each of many people under three rules, all draws included.

python -m benchmarks.sim_scale [--people 10000000] [--cores 2] [--streams] [--json FILE]

Two of five messages are over a limit and wait for their slot. With --streams each person gets five
messages of two Poisson streams instead, at instants of their own. What is compiled is kept from one
time to the next; `ready_s` is how long it took to load it, or to compile it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

from tactful.core.model import DAY, HOUR, MINUTE
from tactful.core.rules import Rule
from tactful.sim.scale import run_scale
from tactful.sim.scenario import (
    Behaviour,
    Broadcasts,
    Policies,
    Population,
    Says,
    Scenario,
    Stream,
    Way,
)

MESSAGES = 5
RULES = (
    Rule("calm", "2/20min"),
    Rule("alike", "3/hour", per="recipient+type"),
    Rule("daily", "20/day calendar"),
)
BROADCASTS = (Broadcasts(Says("news"), tuple(place * 10 * MINUTE for place in range(MESSAGES))),)
STREAMS = (
    Stream(Says("like"), 3 / HOUR),
    Stream(Says("comment"), (MESSAGES - 3) / HOUR),
)


def scenario(people: int, *, streams: bool) -> Scenario:
    """A tenth of the copies is lost; people open what their habits say."""
    return Scenario(
        horizon_ms=HOUR,
        patience_ms=DAY,
        population=Population(people),
        traffic=STREAMS if streams else BROADCASTS,
        policies=Policies(RULES),
        channels=(Way("inbox", loss=0.1),),
        behaviour=Behaviour(never=0.02, always=0.33),
    )


def measure(people: int, cores: int, *, streams: bool = False) -> dict[str, Any]:
    """Seconds, deliveries per second, and the most memory the process ever held."""
    begun = time.perf_counter()
    run_scale(scenario(1, streams=streams), cores=1)
    ready = time.perf_counter()
    load = os.getloadavg()[0]
    cpu = time.process_time()
    total = run_scale(scenario(people, streams=streams), cores=cores).total
    wall, cpu = time.perf_counter() - ready, time.process_time() - cpu
    return {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": round(load, 2),
        "people": people,
        "cores": cores,
        "deliveries": total.submitted,
        "deferred": total.deferred,
        "ready_s": round(ready - begun, 2),
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "deliveries_per_s": round(total.submitted / wall),
        "deliveries_per_cpu_s": round(total.submitted / cpu),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000_000)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--streams", action="store_true", help="Poisson streams, no broadcasts")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    found = measure(options.people, options.cores, streams=options.streams)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), "utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
