"""The swarm is checked: engines that are broken on purpose are found out, each of them."""

from __future__ import annotations

from itertools import count

import pytest
from broken_engines import BUGS, BentStore

from tactful.testing.swarm import DISTURBANCES, try_seed

SEEDS_MAX = 300
SHOWS_WITHOUT = {"does not see who waits": DISTURBANCES}
"""What is left out to find some sooner: where much moves slots, a wrong one is hard to tell."""


@pytest.mark.parametrize("bug", BUGS)
def test_an_engine_that(bug: str) -> None:
    """Within some hundred seeds, by one that has nothing to say against the engine as it is."""
    without = SHOWS_WITHOUT.get(bug, ())
    for seed in count():
        assert seed < SEEDS_MAX, f"an engine that {bug} gets away with it"
        found = try_seed(seed, without, lambda store: BentStore(store, BUGS[bug]()))
        if found.findings:
            break

    assert try_seed(seed, without).findings == ()
