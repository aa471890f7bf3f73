"""A simulation in a process of its own: a scenario in JSON on stdin, its figures on stdout.

A process can be stopped at any moment and bounded in memory and time, which a thread cannot.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import orjson

from tactful.core.errors import TactfulError
from tactful.sim.figures import figures
from tactful.sim.reading import scenario_from
from tactful.sim.run import simulate


def main(memory_bytes: int, seconds: int) -> int:
    """Run it; gives 0, or 1 with what is wrong on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    scenario = scenario_from(orjson.loads(sys.stdin.buffer.read()), Path("scenario"))
    try:
        found = figures(simulate(scenario)).to_dict()
    except TactfulError as error:
        sys.stdout.buffer.write(str(error).encode())
        return 1
    except MemoryError:
        sys.stdout.buffer.write(f"it needs more than {memory_bytes >> 20} MiB".encode())
        return 1
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
