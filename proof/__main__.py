"""`make prove`: try the promises; exits with 1 when one is broken."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import apsw
from rich.console import Console

import tactful
from proof.catalogue import SCENARIOS
from proof.report import Played, show
from proof.trial import Scenario, Trial

WIDTH = 130
TIERS = ("small", "full", "soak")
SAID_KEPT = 40
STDERR = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--tier", choices=TIERS, default="small")
    parser.add_argument("--only", metavar="A,B", help=f"some of {', '.join(SCENARIOS)}")
    parser.add_argument("--seed", type=int, help="repeat a run, as far as processes can be")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(SCENARIOS)
    unknown = sorted(set(chosen) - set(SCENARIOS))
    if unknown:
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and clear up
    seed = SystemRandom().getrandbits(32) if options.seed is None else options.seed
    progress = Console(stderr=True)
    played = []
    for name in chosen:
        progress.print(f"{name} ...")
        played.append(play(SCENARIOS[name], options.tier, seed))
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    show(played, console)
    broken = sum(one.tally.broken for one in played)
    console.print(
        f"A promise was broken: {broken} findings."
        if broken
        else "Every promise that was tried held."
    )
    if options.json:
        machine = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        document = {
            "tactful": tactful.__version__,
            "machine": machine,
            "sqlite": apsw.sqlite_lib_version(),
            "tier": options.tier,
            "seed": seed,
            "broken": broken,
            "scenarios": [one.to_dict() for one in played],
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return 1 if broken else 0


def play(scenario: Scenario, tier: str, seed: int) -> Played:
    """An exception in the middle is a finding, too: nothing was proven then."""
    one = Played(scenario, seed, missing=scenario.missing())
    if one.missing:
        return one
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="proof-") as folder,
        tempfile.TemporaryFile("w+", errors="replace") as said,
    ):
        try:
            with _aside(said.fileno()):
                scenario.play(Trial(scenario.sizes[tier], seed, Path(folder)), one.tally)
        except Exception as error:
            one.tally.find(f"ended with {type(error).__name__}: {error}")
        said.seek(0)
        one.said = list(deque(said, SAID_KEPT))
    one.seconds = time.monotonic() - began
    if not one.tally.points:
        one.tally.find("nothing was tried")
    return one


@contextmanager
def _aside(descriptor: int) -> Iterator[None]:
    """What this process and all that it starts write to stderr goes there.

    Servers die and stores are out of reach: that they say so, a hundred times, is no news.
    """
    kept = os.dup(STDERR)
    os.dup2(descriptor, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
