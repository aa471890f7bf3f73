"""`make bench-peers`: every peer in turn, one table, one file of figures.

python -m benchmarks.peers [--count 20000] [--only NAME,...] [--json FILE] [--publish]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.peers import conditions, page, tables, trials


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=trials.FULL_COUNT, help="mails for Tactful; peers get fewer"
    )
    parser.add_argument("--only", help=f"some of {', '.join(trials.PEERS)}, with commas between")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the figures to benchmarks/results and into docs/benchmarks.md",
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(trials.PEERS)
    unknown = sorted(set(chosen) - set(trials.PEERS))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)}: not one of {', '.join(trials.PEERS)}")
    if options.count < trials.LEAST_COUNT:
        parser.error(f"--count: {options.count}: at least {trials.LEAST_COUNT}")
    if options.publish and (options.only or options.count != trials.FULL_COUNT):
        parser.error("--publish: only a whole run is published, without --only and --count")

    figures = conditions.observed()
    figures["runs"], figures["missing"], servers = trials.run(chosen, options.count)
    figures |= servers
    print(tables.for_a_person(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if options.publish:
        page.publish(figures)
    return 1 if any(entry["failed"] for entry in figures["missing"]) else 0


if __name__ == "__main__":
    sys.exit(main())
