"""`cut-off`: one of two machines loses its network for longer than a lease, and comes back.

Whatever its two workers had claimed others take over. When the cable is back they go on by
themselves, and hand nothing over that is not theirs any more.
"""

from __future__ import annotations

import threading
from random import Random

from proof.fleet import wanted
from proof.fleet_process import SETTINGS
from proof.machines import MACHINES, RATE, fleet, load
from proof.networks import FAKETIME, NETWORKS, Network
from proof.trial import LINUX, ROOT, Scenario, Tally, Trial

DELIVERIES = 1_000
"""For each time that a cable is pulled."""

PATIENCE_S = 300.0


def play(trial: Trial, tally: Tally) -> None:
    draw = Random(trial.seed)
    size = trial.size * DELIVERIES
    never = threading.Event()
    with Network(MACHINES) as network, fleet(trial, network) as workers:
        changing = workers.change_rules()
        submitting = workers.submit(wanted(size, draw), size / RATE)
        for number in range(trial.size):
            never.wait(draw.uniform(0.5, 2))
            with network.cut_off(number % MACHINES):
                never.wait(SETTINGS.lease_ms / 1_000 + draw.uniform(0.5, 3))
            tally.points += 1
        submitting.join()
        workers.drain(PATIENCE_S + size / RATE)
        changing.join()
        report = workers.judge(size, "cut-off", tally)
    tally.notes.append(
        f"{size:,} deliveries, {report.recovered} went out after an answer was lost, {load()}"
    )


SCENARIO = Scenario(
    "cut-off",
    "A machine that loses its network costs no delivery and no limit, and no copy unexplained.",
    {"small": 1, "full": 20, "soak": 200},
    play,
    (LINUX, ROOT, NETWORKS, FAKETIME),
)
