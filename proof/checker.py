"""`checker`: the judge itself is judged, by limiters with a bug that was put into them.

Each lives in the same world as one without a bug, in which nothing may be found.
"""

from __future__ import annotations

from random import Random

from proof.buggy_limiter import BUGS, Limiter
from proof.trial import Scenario, Tally, Trial
from tactful.verify import Report, verify

WORLDS = 8


def found(report: Report) -> dict[str, int]:
    return {
        "over": report.violations,
        "lost": len(report.lost),
        "duplicated": len(report.duplicated_unexplained),
        "unexpected": len(report.unexpected),
    }


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    caught = 0
    for _ in range(trial.size):
        seed = draw.getrandbits(32)
        tally.judge(verify(Limiter(seed).live()), f"no bug, seed {seed}")
        for bug, kind in BUGS.items():
            tally.points += 1
            # Not every world brings every bug to light; one of a few does.
            worlds = (seed + n for n in range(WORLDS))
            if any(found(verify(Limiter(world, bug).live()))[kind] for world in worlds):
                caught += 1
            else:
                tally.find(f"not noticed: {bug}, seed {seed}")
    tally.notes.append(f"{caught} of {tally.points} bugs caught, of {len(BUGS)} kinds")


SCENARIO = Scenario(
    "checker",
    "The judge finds every bug that was put into a limiter, and nothing where there is none.",
    {"small": 1, "full": 20, "soak": 200},
    play,
)
