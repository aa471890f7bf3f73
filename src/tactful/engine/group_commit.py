"""Many callers, one commit.

A durable commit costs a flush to the disk, whoever it is for. Callers put what they want into a
line; whoever gets the turn serves all that stand there in one transaction, and the others find
their answers when their turn comes. A lone caller waits for nobody.

If a shared run fails, each item is run again by itself, so one caller's trouble is never another's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from tactful.core.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")


class _Place(Generic[T, R]):
    """Where one caller stands; `called` is set when it is served, or is to serve others."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.result: R | None = None
        self.error: BaseException | None = None
        self.answered = False
        self.served = False
        self.called = threading.Event()

    def answer(self, result: R) -> None:
        self.result = result
        self.answered = True


class GroupCommit(Generic[T, R]):
    """`run` gets up to `most` items and gives their results in order, all or nothing."""

    def __init__(self, run: Callable[[Sequence[T]], Sequence[R]], most: int = 200) -> None:
        self._run = run
        self._most = most
        self._line: list[_Place[T, R]] = []
        self._lock = threading.Lock()
        self._serving = False

    @property
    def waiting(self) -> int:
        """How many stand in line while others are being served."""
        with self._lock:
            return len(self._line)

    def submit(self, item: T) -> R:
        """The result for this item, once it is committed; raises what its run raised."""
        place: _Place[T, R] = _Place(item)
        with self._lock:
            self._line.append(place)
            turn = not self._serving
            self._serving = True
        if not turn:
            place.called.wait()
        if not place.served:
            self._serve()
        if place.error is not None:
            raise place.error
        return place.result  # type: ignore[return-value]  # set by whoever served

    def _serve(self) -> None:
        """Serve the head of the line, then call the next one to do the same."""
        with self._lock:
            places, self._line = self._line[: self._most], self._line[self._most :]
        try:
            self._settle(places)
        finally:
            with self._lock:
                following = self._line[0] if self._line else None
                self._serving = following is not None
            for place in places:
                if not place.answered and place.error is None:
                    place.error = Unavailable(
                        "interrupted; nothing is known to be stored, ask again"
                    )
                place.served = True
                place.called.set()
            if following is not None:
                following.called.set()

    def _settle(self, places: Sequence[_Place[T, R]]) -> None:
        try:
            results = self._run([place.item for place in places])
        except Exception as error:
            if len(places) == 1:
                places[0].error = error
            else:
                for place in places:
                    self._serve_alone(place)
        except BaseException as error:
            for place in places:
                place.error = error
            raise
        else:
            for place, result in zip(places, results, strict=True):
                place.answer(result)

    def _serve_alone(self, place: _Place[T, R]) -> None:
        try:
            (result,) = self._run([place.item])
            place.answer(result)
        except Exception as error:
            place.error = error
