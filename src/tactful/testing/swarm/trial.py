"""One seed from beginning to end, in figures and findings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from tactful.ports import Store
from tactful.testing.swarm.drawing import draw
from tactful.testing.swarm.judging import judge
from tactful.testing.swarm.post import NoRest
from tactful.testing.swarm.stage import Stage


class Trial(NamedTuple):
    """What came of a seed.

    `copies` is how many messages were taken at the other end, and `again` how many of them said
    that they may be second ones; `faults` were injected, `digest` names all that happened.
    """

    seed: int
    deliveries: int
    copies: int
    again: int
    faults: int
    digest: str
    findings: tuple[str, ...]


def try_seed(
    seed: int,
    without: Collection[str] = (),
    breaking: Callable[[Store], Store] = lambda store: store,
) -> Trial:
    """Draw, play and judge; an engine that raises what it should not is a finding, too.

    `breaking` stands between the engines and their store, but not before the judges.
    """
    stage = Stage(draw(seed, without), breaking=breaking)
    log = logging.getLogger("tactful")
    was = log.level
    log.setLevel(logging.CRITICAL + 1)  # faults on purpose are no news
    try:
        stage.play()
        findings = judge(stage)
    except (Exception, NoRest) as error:
        findings = [f"raised {type(error).__name__}: {error}"]
    finally:
        log.setLevel(was)
    copies = stage.end.copies
    return Trial(
        seed,
        len(stage.archive.deliveries),
        len(copies),
        sum(copy.maybe_duplicate for copy in copies),
        stage.faults,
        stage.digest(),
        tuple(findings),
    )
