"""The quick case, without a file: everybody gets so many messages, and some get lost.

People have the habits of a well-known exercise: two in a hundred and one open nothing, thirty-three
open everything, and the others open each message with a chance of 0.6.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tactful.core.model import MINUTE
from tactful.sim.scenario import Behaviour, Broadcasts, Population, Says, Scenario, Way

GAP_MS: Final = 10 * MINUTE
EXERCISE: Final = Scenario(
    name="exercise",
    population=Population(1_000),
    traffic=(
        Broadcasts(
            Says("news", text="Message {number} to everybody."), tuple(range(0, 5 * GAP_MS, GAP_MS))
        ),
    ),
    channels=(Way("inbox", loss=0.1),),
    behaviour=Behaviour(never=2 / 101, always=33 / 101, open=0.6),
)


def adjusted(
    scenario: Scenario,
    *,
    users: int | None = None,
    messages: int | None = None,
    loss: float | None = None,
    opens: float | None = None,
    seed: int | None = None,
) -> Scenario:
    """The scenario with some things said otherwise.

    `messages` is how many broadcasts there are of each kind, `loss` that of every channel, and
    `opens` the chance to open for everybody: habits and fatigue then make no difference.
    """
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    if users is not None:
        population = replace(scenario.population, count=users, people=None)
        scenario = replace(scenario, population=population)
    if messages is not None:
        traffic = tuple(
            replace(one, at=_repeated(one.at, messages)) if isinstance(one, Broadcasts) else one
            for one in scenario.traffic
        )
        last = max(
            (one.at[-1] for one in traffic if isinstance(one, Broadcasts) and one.at), default=0
        )
        horizon = max(scenario.horizon_ms, last + GAP_MS)
        scenario = replace(scenario, traffic=traffic, horizon_ms=horizon)
    if loss is not None:
        ways = tuple(replace(way, loss=loss) for way in scenario.channels)
        scenario = replace(scenario, channels=ways)
    if opens is not None:
        segments = tuple(replace(one, open=None) for one in scenario.population.segments)
        usual = replace(scenario.behaviour.fatigue, opens=0.0)
        behaviour = replace(scenario.behaviour, never=0.0, always=0.0, open=opens, fatigue=usual)
        scenario = replace(
            scenario,
            behaviour=behaviour,
            population=replace(scenario.population, segments=segments),
        )
    return scenario


def _repeated(at: tuple[int, ...], count: int) -> tuple[int, ...]:
    """So many instants, at the distance of the first two or ten minutes."""
    first = at[0] if at else 0
    gap = at[1] - at[0] if len(at) > 1 and at[1] > at[0] else GAP_MS
    return tuple(first + place * gap for place in range(count))
