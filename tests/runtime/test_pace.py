"""Rounds are large, and small while something is ahead of the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tactful import Settings, Tactful
from tactful.core.model import Millis, Priority
from tactful.ports import EVERYTHING, Ages, Delivery, Tx
from tactful.runtime.pace import URGENT_MS, Pace, Share, pace_of
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel

LOW, NORMAL, CRITICAL = Priority.LOW, Priority.NORMAL, Priority.CRITICAL


def test_rounds_are_small_for_some_seconds_after_something_urgent() -> None:
    pace = Pace(200, 25)
    assert pace.together(0) == 200

    pace.met([CRITICAL, *[NORMAL] * 50], 1_000)
    assert pace.together(1_000) == 25
    assert pace.together(1_000 + URGENT_MS - 1) == 25
    assert pace.together(1_000 + URGENT_MS) == 200


def test_an_audience_is_reached_in_smaller_steps_meanwhile() -> None:
    pace = Pace(200, 25)
    assert pace.beside(0) == 250
    pace.met([CRITICAL, NORMAL], 0)
    assert pace.beside(0) == 50


def test_each_that_comes_in_makes_it_longer() -> None:
    pace = Pace(200, 25)
    pace.met([CRITICAL, NORMAL], 0)
    pace.met([CRITICAL, LOW, LOW], URGENT_MS - 1)
    assert pace.together(URGENT_MS) == 25


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param([], id="nothing"),
        pytest.param([CRITICAL], id="alone"),
        pytest.param([CRITICAL] * 200, id="all alike"),
        pytest.param([*[NORMAL] * 180, *[LOW] * 20], id="a tenth is kept for what is less urgent"),
        pytest.param([*[NORMAL] * 13, *[LOW] * 12], id="more than half"),
    ],
)
def test_nothing_is_ahead_of_the_rest(claimed: list[Priority]) -> None:
    """Small rounds would only slow down what is urgent, too."""
    pace = Pace(200, 25)
    pace.met(claimed, 0)
    assert pace.together(0) == 200


def test_small_rounds_are_never_the_larger_ones() -> None:
    pace = Pace(10, 25)
    pace.met([CRITICAL, NORMAL], 0)
    assert pace.together(0) == 10


def test_who_hears_of_something_critical_takes_small_rounds_before_it_is_seen() -> None:
    pace = Pace(200, 25)
    pace.heard(1_000)
    assert pace.together(1_000) == 25
    assert pace.together(1_000 + URGENT_MS) == 200


def test_where_nearly_all_is_critical_hearsay_does_not_count() -> None:
    """Whoever submits thousands of them is served best by large rounds."""
    pace = Pace(200, 25)
    pace.heard(0)
    pace.met([*[CRITICAL] * 24, NORMAL], 1)
    assert pace.together(1) == 25
    pace.met([CRITICAL] * 25, 2)
    pace.heard(3)
    assert pace.together(3) == 200
    pace.heard(2 + URGENT_MS)
    assert pace.together(2 + URGENT_MS) == 25


def test_who_leaves_what_is_critical_to_another_has_to_make_way_only() -> None:
    settings = Settings(batch=80, urgent_batch=5)
    shares: list[tuple[Share, int]] = [("all", 5), ("urgent", 5), ("rest", 40)]
    for share, small in shares:
        pace = pace_of(settings, share)
        assert pace.together(0) == 80
        pace.heard(0)
        assert pace.together(0) == small


class _Claims:
    """A transaction that notes how much is claimed at most."""

    def __init__(self, tx: Tx, limits: list[int]) -> None:
        self._tx = tx
        self._limits = limits

    def due(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        found = self._tx.due(now, limit, busy, ages)
        if found:
            self._limits.append(limit)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


class _Watched(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        with super().transaction(durable=durable) as tx:
            yield _Claims(tx, self.limits)  # type: ignore[misc]  # the rest is the transaction's


def test_a_worker_goes_by_what_it_has_claimed() -> None:
    store = _Watched()
    settings = Settings(batch=40, urgent_batch=5)
    app = Tactful(store, channels=[CaptureChannel("post")], settings=settings)
    app.send_many([{"type": "news", "to": f"p{n}", "text": "news"} for n in range(100)])
    app.send(type="alarm", to="ada", text="now", priority="critical")
    with app:
        assert app.drain(8)
    app.close()

    assert store.limits[:3] == [40, 5, 5]
