"""Who of a group of workers is to be started, asked to end or killed, and when: only decisions.

Nothing here starts a process or reads a clock, so that a test can play a week of deaths in no time.

* One worker starts at a time. The first meets an empty group and what the one before left behind;
  a configuration that is wrong is found by one of them, not by all; and those that start at
  different instants do not look into the queue in step.
* Whoever dies is started again at once. If it dies again within `STEADY_MS` of its start the pause
  before the next start doubles, from `PAUSE_MS` to `PAUSE_MAX_MS`: neither a message that kills its
  worker nor a broken installation makes the machine start processes all day.
* Whoever is asked to end and does not within the patience is killed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from tactful.core.model import MINUTE, SECOND, Millis

STEADY_MS = MINUTE
PAUSE_MS = SECOND
PAUSE_MAX_MS = 30 * SECOND
ECHO_MS = 10
"""A signal that comes twice within this time came once: some send it to a process and its group."""
START_MS = 10 * SECOND
"""For no longer than this does a worker that is starting hold up the start of the others."""


class Action(NamedTuple):
    """What is to be done to the worker in a place, now."""

    verb: Literal["start", "end", "kill"]
    place: int


class _Phase(Enum):
    DOWN = "down"
    STARTING = "starting"
    WORKING = "working"
    ENDING = "ending"


@dataclass(slots=True)
class _Place:
    """One place and the worker in it: `since` it started, or was asked to end.

    `deaths` counts the last ones in a row that came soon after a start; `free_at` is when a new
    worker may start here.
    """

    phase: _Phase = _Phase.DOWN
    since: Millis = 0
    free_at: Millis = 0
    deaths: int = 0
    killed: bool = False


class Roster:
    """The places of a group, numbered from 1; every instant comes from one clock that only runs.

    `hopeless` are exit codes that say that starting again is of no use. If a worker ends so when it
    starts, and no other one works, the group ends; `failed` is the code then.
    """

    def __init__(
        self,
        size: int,
        *,
        patience_ms: Millis = 30 * SECOND,
        hopeless: Collection[int] = (),
    ) -> None:
        self._places = {number: _Place() for number in range(1, size + 1)}
        self._patience_ms = patience_ms
        self._hopeless = hopeless
        self._to_replace: list[int] = []
        self._replacing: int | None = None
        self._stopping_since: Millis | None = None
        self._hurried = False
        self.failed: int | None = None

    # What has happened ------------------------------------------------------------------------

    def working(self, place: int) -> None:
        """The worker in this place is up."""
        found = self._places[place]
        if found.phase is _Phase.STARTING:
            found.phase = _Phase.WORKING

    def is_ending(self, place: int) -> bool:
        """Whether the worker in this place was asked to end."""
        return self._places[place].phase is _Phase.ENDING

    def ended(self, place: int, code: int | None, now: Millis) -> Millis | None:
        """The worker in this place is gone (`code` None: it could not be started).

        Gives the pause before the next one starts, or None if there will be none.
        """
        found = self._places[place]
        before, found.phase = found.phase, _Phase.DOWN
        if before is _Phase.STARTING and code in self._hopeless and not self._anybody_works():
            self.failed = code
            self.stop(now)
        if self._stopping_since is not None:
            return None
        pause = 0 if before is _Phase.ENDING else self._pause_after_death(found, now)
        found.free_at = now + pause
        return pause

    def replace_all(self, now: Millis) -> None:
        """Put a new worker into every place, one after the other."""
        self._replacing = None
        self._to_replace = list(self._places)
        for place in self._places.values():
            place.deaths = 0
            place.free_at = min(place.free_at, now)

    def stop(self, now: Millis) -> None:
        """All are to end; asked for a second time, at once."""
        if self._stopping_since is None:
            self._stopping_since = now
        elif now - self._stopping_since >= ECHO_MS:
            self._hurried = True

    # What follows -----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether all have ended, as they were asked to."""
        stopping = self._stopping_since is not None
        return stopping and all(p.phase is _Phase.DOWN for p in self._places.values())

    def due(self, now: Millis) -> list[Action]:
        """What is to be done now; it counts as done."""
        actions: list[Action] = []
        stopping = self._stopping_since is not None
        if stopping:
            for number, place in self._places.items():
                actions += self._end(number, place, now)
        else:
            actions += self._replace(now)
        for number, place in self._places.items():
            if place.phase is _Phase.ENDING and not place.killed and self._kill_at(place) <= now:
                place.killed = True
                actions.append(Action("kill", number))
        return actions if stopping else [*actions, *self._start(now)]

    def next_at(self) -> Millis | None:
        """When there will be something to do if nothing happens before; None: never."""
        places = self._places.values()
        ending = [p for p in places if p.phase is _Phase.ENDING and not p.killed]
        found = [self._kill_at(place) for place in ending]
        if self._stopping_since is None:
            held_until = self._held_until()
            down = [place for place in places if place.phase is _Phase.DOWN]
            found += [max(place.free_at, held_until) for place in down]
        return min(found, default=None)

    def _start(self, now: Millis) -> list[Action]:
        free = [n for n, p in self._places.items() if p.phase is _Phase.DOWN and p.free_at <= now]
        if not free or now < self._held_until():
            return []
        number = min(free, key=lambda number: self._places[number].free_at)
        place = self._places[number]
        place.phase, place.since, place.killed = _Phase.STARTING, now, False
        return [Action("start", number)]

    def _end(self, number: int, place: _Place, now: Millis) -> list[Action]:
        if place.phase not in (_Phase.STARTING, _Phase.WORKING):
            return []
        place.phase, place.since = _Phase.ENDING, now
        return [Action("end", number)]

    def _replace(self, now: Millis) -> list[Action]:
        """The next is replaced once the worker that took the place of the one before is up."""
        if self._replacing is not None:
            if self._places[self._replacing].phase is not _Phase.WORKING:
                return []
            self._replacing = None
        if not self._to_replace:
            return []
        self._replacing = self._to_replace.pop(0)
        return self._end(self._replacing, self._places[self._replacing], now)

    def _pause_after_death(self, place: _Place, now: Millis) -> Millis:
        place.deaths = place.deaths + 1 if now - place.since < STEADY_MS else 1
        if place.deaths == 1:
            return 0
        return min(PAUSE_MAX_MS, PAUSE_MS << min(place.deaths - 2, 20))

    def _held_until(self) -> Millis:
        """Until when a worker that is starting holds up the start of others."""
        starting = [p.since for p in self._places.values() if p.phase is _Phase.STARTING]
        return max(starting) + START_MS if starting else 0

    def _kill_at(self, place: _Place) -> Millis:
        return place.since + (0 if self._hurried else self._patience_ms)

    def _anybody_works(self) -> bool:
        return any(place.phase is _Phase.WORKING for place in self._places.values())
