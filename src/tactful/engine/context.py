"""What the parts of one engine share; made once by whoever composes them.

Rules, admission and dispatch work on one store because there is one place to name it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tactful.core.errors import Contended
from tactful.core.model import Millis
from tactful.engine.histories import Past
from tactful.engine.identity import Ids
from tactful.engine.rulebook import Rulebook
from tactful.engine.settings import Settings
from tactful.engine.timekeeper import Timekeeper
from tactful.ports import Channel, Probe, Store, Tx, Unwatched

TRIES: Final = 4
R = TypeVar("R")


def _stands() -> Millis:
    return 0


@dataclass(frozen=True, slots=True)
class Context:
    """One engine's store, channels, time and habits.

    `changed` tells the worker of new work; `owner` is whose leases its claims are; `running` counts
    the milliseconds of a clock that nobody sets; `probe` is told what the work takes; `past` reads
    histories.
    """

    store: Store
    rulebook: Rulebook
    channels: Mapping[str, Channel]
    default_channel: str
    timekeeper: Timekeeper
    ids: Ids
    settings: Settings
    changed: Callable[[], None]
    owner: str = ""
    running: Callable[[], Millis] = _stands
    probe: Probe = field(default_factory=Unwatched)
    past: Past = field(default_factory=Past)

    def committed(self, work: Callable[[Tx], R]) -> R:
        """What `work` gives, in one transaction; begun anew when others had to go first."""
        for _ in range(TRIES - 1):
            with suppress(Contended), self.store.transaction() as tx:
                return work(tx)
        with self.store.transaction() as tx:
            return work(tx)
