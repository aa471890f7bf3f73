"""The simulator as a test rig: production engines in worlds drawn at random, and judges.

    python -m tactful.testing.swarm --seeds 1000

Each seed is one small world: people, rules, types, channels, traffic, and everything that goes
wrong besides (`drawing`). Which features it has is drawn, too. That is *swarm testing*: a run that
leaves half of the features out reaches states that a run with all of them hardly ever does, since
features get in each other's way (Groce, Zhang, Eide, Chen and Regehr 2012, "Swarm Testing").

It is played on a virtual clock (`stage`), with calls that fail, engines that crash, workers that
freeze and clocks that are turned. Then it is judged by what arrived and what is stored (`judging`).
Everything follows from the seed: a failing one is repeated by its number, and made smaller by
leaving features out.
"""

from tactful.testing.swarm.drawing import DISTURBANCES, FEATURES, TROUBLE, Case, draw
from tactful.testing.swarm.judging import judge
from tactful.testing.swarm.stage import Call, Stage
from tactful.testing.swarm.trial import Trial, try_seed

__all__ = [
    "DISTURBANCES",
    "FEATURES",
    "TROUBLE",
    "Call",
    "Case",
    "Stage",
    "Trial",
    "draw",
    "judge",
    "try_seed",
]
