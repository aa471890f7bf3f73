"""A simulation for the console in a process of its own: its report, and a comparison, as JSON.

On stdin it takes `{"scenario": tables, "rules": tables or null}`. With rules, the report is of the
scenario under these, beside which its own are compared.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from tactful.config import policies_of
from tactful.core.errors import ConfigError, RequestError, TactfulError
from tactful.sim.compare import compare
from tactful.sim.figures import figures
from tactful.sim.page import page
from tactful.sim.reading import scenario_from
from tactful.sim.run import simulate
from tactful.sim.scenario import Policies

RUNS: Final = 5
"""How many seeds a comparison takes."""
_FILE: Final = Path("rules")


def other_rules(tables: Mapping[str, Any]) -> Policies:
    """The rules, types and templates in these tables; raises RequestError."""
    try:
        found = policies_of(tables, _FILE)
    except ConfigError as error:
        raise RequestError("rules", "", str(error).removesuffix(f", in {_FILE}")) from None
    return Policies(found.rules or (), found.types or (), found.templates or ())


def played(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What comes of it; raises RequestError, ConfigError."""
    scenario = scenario_from(asked["scenario"], Path("scenario"))
    if asked["rules"] is None:
        return {"report": page(figures(simulate(scenario))), "differences": []}
    both = compare(scenario, other_rules(asked["rules"]), RUNS)
    return {"report": page(both.after), "differences": both.to_dict()["differences"]}


def main(memory_bytes: int, seconds: int) -> int:
    """Run it; gives 0, or 1 with what is wrong on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    out = sys.stdout.buffer
    try:
        out.write(orjson.dumps(played(orjson.loads(sys.stdin.buffer.read()))))
    except TactfulError as error:
        out.write(str(error).encode())
        return 1
    except MemoryError:
        out.write(f"it needs more than {memory_bytes >> 20} MiB".encode())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
