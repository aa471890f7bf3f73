"""Resident memory of one process over a million deliveries from submission to the 250.

python -m benchmarks.memory [--count 1000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import engine, items, smtp_sink

PAGE_KIB = 4


def resident_mib() -> int:
    """What the process holds in memory now."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * PAGE_KIB // 1024


def measure(count: int, folder: Path, marks: int = 10) -> dict[str, Any]:
    """Resident memory at `marks` points of the way, in MiB."""
    points = []
    started = time.perf_counter()
    with smtp_sink("c") as port:
        app, _ = engine(port, folder)
        with app:
            for number, portion in enumerate(items(count, count // 4), start=1):
                app.send_many(portion)
                if number % (count // 500 // marks or 1) == 0:
                    app.drain()
                    points.append(resident_mib())
            app.drain()
        states = app.status()["states"]
        app.close()
    wall = time.perf_counter() - started
    size = sum(file.stat().st_size for file in folder.iterdir())
    return {
        "notifications": count,
        "states": states,
        "resident_mib": points,
        "per_second": round(count / wall),
        "disk_mib": round(size / 1024 / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.count, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
