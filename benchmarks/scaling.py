"""What more workers are worth, on PostgreSQL: 1, 2 and 4 processes that send.

Twice: to a mail server that answers at once, where the processors of the machine are what there is
to share, and to one that takes 50 ms over each mail, where workers wait most of the time and four
of them should do four times as much, also on two cores. There each has as much to do, however many
there are: a run begins and ends with lanes that stand idle.

    python -m benchmarks.scaling [--count 20000] [--slow-count 2000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import on_postgres
from benchmarks.end_to_end import SLOW_S

WORKERS = (1, 2, 4)
CONNECTIONS = 8
"""Of each worker to the slow server: 160 mails in a second are the most it can send."""


def measure(count: int, slow_count: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"latency_ms": SLOW_S * 1000, "connections": CONNECTIONS}
    for name, sink, each, connections in (
        ("at_once", "c", 0, 2),
        ("slow", "slow", slow_count, CONNECTIONS),
    ):
        runs: list[dict[str, Any]] = []
        for number in WORKERS:
            mails = each * number or count
            with tempfile.TemporaryDirectory() as folder:
                people = max(1, mails // 4)
                run = on_postgres.run(
                    mails, people, number, Path(folder), sink=sink, connections=connections
                )
            runs.append(run)
            print(
                f"{name:<8} {number} workers {run['per_second']:>7,}/s, "
                f"{run['per_second'] / runs[0]['per_second']:.2f} x",
                flush=True,
            )
        figures[name] = runs
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--slow-count", type=int, default=2_000)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    figures = measure(options.count, options.slow_count)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
