"""`make bench`: how fast, and beside what; ours and the plain pipeline in turn, medians of three.

python -m benchmarks [--count 20000] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import apsw
from benchmarks import decide, end_to_end, plain_pipeline, stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    ours: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(end_to_end.run(options.count, options.count // 4, "c", Path(folder)))
        with tempfile.TemporaryDirectory() as folder:
            plain.append(plain_pipeline.measure(1_000, Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        parts = stages.measure(5_000, Path(folder))
    figures = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "sqlite": apsw.sqlite_lib_version(),
        "end_to_end": ours,
        "plain_pipeline": plain,
        "stages_cpu_us": parts,
        "decide": decide.measure(0.5, 3),
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), "utf-8")
    report(figures)


def report(figures: dict[str, Any]) -> None:
    """The figures for a person."""
    ours = statistics.median(run["per_second"] for run in figures["end_to_end"])
    plain = statistics.median(run["per_second"] for run in figures["plain_pipeline"])
    print(f"{figures['machine']}, SQLite {figures['sqlite']}\n")
    print("Submission to SMTP 250, three rules, Jinja2 subject + text + html, durable commits")
    print(f"  tactful, one process         {ours:>9,.0f}/s")
    print(f"  plain sqlite3 + smtplib      {plain:>9,.0f}/s   ({ours / plain:.1f} x slower)\n")
    print("Processor time per notification, in microseconds")
    for stage, spent in figures["stages_cpu_us"].items():
        print(f"  {stage:<28} {spent:>9.1f}")
    total = sum(v for stage, v in figures["stages_cpu_us"].items() if not stage.startswith("of "))
    print(f"  {'together':<28} {total:>9.1f}\n")
    print(decide.report(figures["decide"]))


if __name__ == "__main__":
    main()
