"""Deciding anew: what rules hold asks again when the rules change, or a line at a gate begins anew.

No transaction takes all of it: with a million in the queue that would keep every sender waiting for
half a minute. So whoever changes something only asks for it, by a note in the store. All that rules
hold is then made due some at a time, the most urgent first, by whoever works (`fanout`); all of one
person's of one priority at once, so that it is decided in the order of acceptance. Until its turn
comes it keeps its slot; whatever becomes due is decided by the rules in force anyhow.

The note says how far that has come, so a crash costs nothing. Who asks meanwhile makes it go on to
the end and through once more: were it to start again each time, those at the end would never come
to their turn where rules change all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tactful.core.model import Millis, Priority
from tactful.ports import Reader, Store, Tx

NOTE: Final = "replan"
STEP: Final = 1_000
_DONE: Final = ""


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where it goes on: behind this person, among what has this priority; whether once more."""

    priority: int = max(Priority)
    after: str = ""
    again: bool = False

    @classmethod
    def read(cls, note: str | None) -> _Walk | None:
        if not note:
            return None
        priority, again, after = note.split(" ", 2)
        return cls(int(priority), after, again == "again")

    def __str__(self) -> str:
        return f"{self.priority} {'again' if self.again else 'once'} {self.after}"


class _Portion(NamedTuple):
    """Whose deliveries come next, by priority, and where it goes on then."""

    people: Sequence[tuple[int, Sequence[str]]]
    then: _Walk | None


def ask(tx: Tx) -> None:
    """From here on all that rules hold is decided anew."""
    _keep(tx, _asked(tx))


def replan(tx: Tx, now: Millis, limit: int = STEP) -> int:
    """Ask for it, and do as much; in a transaction that is alone. Gives how many."""
    return _step(tx, now, _next(tx, _asked(tx), limit))


def replanning(reader: Reader) -> bool:
    """Whether any is left to be decided anew."""
    return _Walk.read(reader.note(NOTE)) is not None


def carry_on(store: Store, clock: Callable[[Tx], Millis], limit: int = STEP) -> int:
    """Make up to about `limit` more due for a new decision; gives how many, 0 if none are left."""
    with store.reading() as reader:
        walk = _Walk.read(reader.note(NOTE))
        if walk is None:
            return 0
        portion = _next(reader, walk, limit)
    with store.transaction() as tx:
        tx.guard([who for _, people in portion.people for who in people])
        now = clock(tx)
        if _Walk.read(tx.note(NOTE)) != walk:
            return 1  # somebody else went on, or asked meanwhile
        return max(1, _step(tx, now, portion))


def _asked(tx: Tx) -> _Walk:
    walk = _Walk.read(tx.note(NOTE)) or _Walk()
    return walk if walk == _Walk() else replace(walk, again=True)


def _next(reader: Reader, walk: _Walk, limit: int) -> _Portion:
    people, left = [], limit
    while True:
        found = reader.held(walk.priority, walk.after, left)
        if found:
            people.append((walk.priority, list(dict.fromkeys(found))))
        if len(found) == left:
            return _Portion(people, replace(walk, after=found[-1]))
        left -= len(found)
        if walk.priority == min(Priority):
            return _Portion(people, _Walk() if walk.again else None)
        walk = replace(walk, priority=walk.priority - 1, after="")


def _step(tx: Tx, now: Millis, portion: _Portion) -> int:
    woken = sum(tx.wake(now, people, anew=priority) for priority, people in portion.people)
    _keep(tx, portion.then)
    return woken


def _keep(tx: Tx, walk: _Walk | None) -> None:
    note = _DONE if walk is None else str(walk)
    if note != (tx.note(NOTE) or _DONE):
        tx.set_note(NOTE, note)
