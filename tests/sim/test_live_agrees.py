"""The simulator and a live engine decide alike.

A history is played on the virtual clock, on the store in memory, and every call that an engine got
is kept with its instant and its answer, and so is what the channels said. Then the calls are made
once more, to an engine on a SQLite file whose clock is set to those instants. It is told no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tactful import Message, Outcome, State, Tactful
from tactful.errors import NotFound
from tactful.testing import ManualClock
from tactful.testing.swarm import TROUBLE, Call, Stage, draw
from tactful.testing.swarm.archive import Archive

PATIENCE_S = 60.0
OUTSIDE = (*TROUBLE, "pruning")
"""What did not come from callers; and who prunes has less to compare."""


class Answering:
    """A channel that answers as another one did."""

    address_kind = None
    concurrency = 1

    def __init__(self, name: str, batch: int, outcomes: Mapping[tuple[str, int], Outcome]) -> None:
        self.name = name
        self.batch = batch
        self._outcomes = outcomes

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [self._outcomes[message.id, message.attempt] for message in messages]

    def close(self) -> None:
        """Nothing is open."""


def known(ask: Callable[[Tactful], Callable[[str], int]]) -> Callable[[Tactful, str], int]:
    """Ask about what may be pruned already."""

    def call(app: Tactful, wanted: str) -> int:
        try:
            return ask(app)(wanted)
        except NotFound:
            return 0

    return call


ASKED: Mapping[str, Callable[[Tactful, Any], Any]] = {
    "types": lambda app, told: app.types.put(*told),
    "templates": lambda app, told: app.templates.put(*told),
    "rules": lambda app, told: app.rules.apply(told),
    "people": lambda app, told: app.recipients.put_many(told),
    "wish": lambda app, told: app.recipients.put(told),
    "send": lambda app, told: app.send_many(told),
    "broadcast": lambda app, told: app.broadcast(**told),
    "again": lambda app, told: app.send(**told) if "to" in told else app.broadcast(**told),
    "cancel": known(lambda app: app.cancel),
    "pause": known(lambda app: app.pause),
    "resume": known(lambda app: app.resume),
    "retry": lambda app, told: app.retry(told),
    "facts": lambda app, told: app.record_many(told),
    "tick": lambda app, told: dict(app.tick()),
}


def work(app: Tactful, _: Any) -> None:
    """What `tick` does, by the worker and its lanes in the background."""
    app.start()
    assert app.drain(PATIENCE_S)
    app.stop()


def live(
    stage: Stage, url: str, asked: Mapping[str, Callable[[Tactful, Any], Any]]
) -> tuple[list[Call], list[str]]:
    """What a live engine answers to the calls of a history, and what is stored then."""
    case = stage.case
    clock = ManualClock(case.scenario.start)
    app = Tactful(
        url,
        channels=[
            Answering(way.name, case.batches[way.name], stage.end.outcomes)
            for way in case.scenario.channels
        ],
        clock=clock,
        settings=case.scenario.settings,
        seed=case.engine_seed(1),
    )
    calls = []
    for call in stage.calls:
        clock.set(call.at)
        calls.append(replace(call, answer=asked[call.what](app, call.told)))
    archive = Archive(app.store)
    archive.look()
    app.close()
    return calls, list(archive.lines())


@pytest.mark.parametrize("seed", range(10))
def test_a_live_engine_on_a_file_decides_as_the_simulated_one_did(
    tmp_path: Path, seed: int
) -> None:
    """Receipts, instants, rules, states, attempts and events, one by one, and their ids."""
    stage = Stage(draw(seed, OUTSIDE))
    stage.play()

    calls, stored = live(stage, f"sqlite:///{tmp_path / 'live.db'}", ASKED)

    for ours, theirs in zip(calls, stage.calls, strict=True):
        assert ours == theirs, f"{seed=}"
    assert stored == list(stage.archive.lines()), f"{seed=}"


@pytest.mark.parametrize("seed", range(4))
def test_a_worker_in_the_background_decides_as_the_simulated_one_did(
    tmp_path: Path, seed: int
) -> None:
    """Threads tell in another order what they have done; what they have done is the same."""
    stage = Stage(draw(seed, (*OUTSIDE, "small settings")))
    stage.play()

    calls, stored = live(stage, f"sqlite:///{tmp_path / 'live.db'}", {**ASKED, "tick": work})

    for ours, theirs in zip(calls, stage.calls, strict=True):
        assert ours.what == "tick" or ours == theirs, f"{seed=}"
    assert decided(stored) == decided(stage.archive.lines()), f"{seed=}"


def decided(lines: Iterable[str]) -> list[str]:
    """Of all that is stored the deliveries and the attempts."""
    return [line for line in lines if not line.startswith("Event")]


def test_the_histories_are_worth_comparing() -> None:
    """In them most of what can happen does."""
    states: set[State] = set()
    asked: set[str] = set()
    for seed in range(10):
        stage = Stage(draw(seed, OUTSIDE))
        stage.play()
        states |= {row.state for row in stage.archive.deliveries.values()}
        asked |= {call.what for call in stage.calls}

    assert asked == set(ASKED)
    assert len(states) > 8, states
