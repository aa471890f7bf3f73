"""Scale mode: the same semantics for millions of people, compiled.

It needs the extra `tactful[scale]` (NumPy and Numba) and is loaded when it is asked for. What it
does not cover it refuses by name. The modules, from the bottom up:

* `compiled` compiles functions and keeps what was compiled;
* `philox` draws: numbers that follow from the seed, the person and the message alone;
* `columns` holds a checked scenario as arrays, `cover` makes them and refuses, `calendar` tabulates
  calendars and hours with the core;
* `limits` is `core.decide` and `core.plan` over one person's arrays;
* `turns` is what `engine.admission`, `engine.line` and `engine.dispatch` do for one person;
* `behave` is what `sim.world` does with what is handed over, `arrive` what `sim.traffic` submits;
* `live` leads one person after the other through the scenario, `sums` adds up what came of it;
* `blocks` spreads people over threads and gives the figures.

People do not know each other: no rule that is covered counts for two of them. So the population is
a loop over persons, each with a life of some hundred bytes, and memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name

from tactful.core.errors import ConfigError
from tactful.sim.figures import Figures
from tactful.sim.scenario import Scenario


def run_scale(
    scenario: Scenario,
    *,
    cores: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Figures:
    """The figures of a scenario, for up to 10^8 people.

    `cores` is how many threads work, by default as many as there are; it changes no figure.
    `progress` is told from time to time which part of the people is through, from 0 to 1.

    The figures are those of `sim.figures`, with two differences: draws are others than those of
    the faithful mode, and percentiles of delays above a second are rounded up by at most 0.2 %.

    Raises RequestError for what scale mode does not cover, and ConfigError without its extra.
    """
    try:
        run: Callable[..., Figures] = resolve_name("tactful.sim.scale.blocks:run")
    except ImportError as error:
        if error.name is not None and error.name.split(".")[0] not in ("numba", "numpy"):
            raise
        raise ConfigError("scale mode needs `pip install 'tactful[scale]'`") from None
    return run(scenario, cores=cores, progress=progress)
