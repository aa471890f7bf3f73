"""`make bench-all`: all benchmarks beside their peers, one after the other, with figures and plots.

Each writes its figures to benchmarks/results; what they look like goes to docs/plots. One that
fails is named in the end and costs the others nothing. All of them take 25 to 40 minutes.

    python -m benchmarks.everything [--only NAME,...]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks import plots

TRIALS: dict[str, Sequence[str]] = {
    "peers": ("benchmarks.peers", "--publish"),
    "scaling": ("benchmarks.scaling",),
    "limiter": ("benchmarks.limiter",),
    "admission": ("benchmarks.admission",),
    "latency": ("benchmarks.latency", "--audience", "200000"),
    "simulation": ("benchmarks.simulation",),
    "million": ("benchmarks.memory",),
    "bloat": ("benchmarks.bloat",),
}


def run(name: str) -> bool:
    """Whether it came to its end; `peers` keeps its own figures."""
    module, *options = TRIALS[name]
    if name != "peers":
        options += ["--json", str(plots.RESULTS / f"{name}.json")]
    print(f"\n=== {name}", flush=True)
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", module, *options], check=False).returncode
    print(f"--- {time.monotonic() - began:.0f} s", flush=True)
    return ended == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everything", description=__doc__)
    parser.add_argument("--only", metavar="A,B", help=f"some of {', '.join(TRIALS)}")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(TRIALS)
    unknown = sorted(set(chosen) - set(TRIALS))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(TRIALS)}")
    plots.RESULTS.mkdir(exist_ok=True)
    failed = [name for name in chosen if not run(name)]
    plots.write()
    if failed:
        print(f"without figures: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
