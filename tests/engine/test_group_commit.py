"""Many callers share one run, and nobody pays for another's trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tactful.engine.group_commit import GroupCommit

PATIENCE_S = 20


class Crowd:
    """Callers who come while the first of them is being served."""

    def __init__(self, run: Callable[[Sequence[int]], Sequence[int]], most: int = 200) -> None:
        self.runs: list[list[int]] = []
        self.commits: GroupCommit[int, int] = GroupCommit(self._counted, most)
        self._real = run
        self._begun = threading.Event()
        self._go_on = threading.Event()
        self._never = threading.Event()
        self._late = 0

    def _counted(self, items: Sequence[int]) -> Sequence[int]:
        self.runs.append(list(items))
        if not self._begun.is_set():
            self._begun.set()
            assert self._go_on.wait(PATIENCE_S)
            while self.commits.waiting < self._late:
                self._never.wait(0.001)
        return self._real(items)

    def serve(self, items: Sequence[int]) -> list[Future[int]]:
        """The first item goes in alone; the others come while it is being served."""
        coming = threading.Barrier(len(items))
        self._late = len(items) - 1

        def late(item: int) -> int:
            coming.wait(PATIENCE_S)
            return self.commits.submit(item)

        with ThreadPoolExecutor(len(items)) as pool:
            found = [pool.submit(self.commits.submit, items[0])]
            assert self._begun.wait(PATIENCE_S)
            found += [pool.submit(late, item) for item in items[1:]]
            coming.wait(PATIENCE_S)
            self._go_on.set()
        return found


def doubled(items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


def test_a_lone_caller_is_served_at_once_and_alone() -> None:
    runs: list[list[int]] = []

    def run(items: Sequence[int]) -> list[int]:
        runs.append(list(items))
        return doubled(items)

    commits: GroupCommit[int, int] = GroupCommit(run)

    assert [commits.submit(1), commits.submit(2)] == [2, 4]
    assert runs == [[1], [2]]


def test_two_hundred_callers_share_a_few_runs_and_each_gets_their_own_answer() -> None:
    crowd = Crowd(doubled)
    found = crowd.serve(range(200))

    assert [future.result() for future in found] == doubled(range(200))
    assert sorted(item for run in crowd.runs for item in run) == list(range(200))
    assert [len(run) for run in crowd.runs] == [1, 199]


def test_no_run_holds_more_than_the_most() -> None:
    crowd = Crowd(doubled, most=7)
    found = crowd.serve(range(40))

    assert [future.result() for future in found] == doubled(range(40))
    assert max(len(run) for run in crowd.runs) <= 7


def test_one_bad_item_fails_alone() -> None:
    def picky(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise ValueError("thirteen")
        return doubled(items)

    found = Crowd(picky).serve(range(40))

    with pytest.raises(ValueError, match="thirteen"):
        found[13].result()
    del found[13]
    assert [future.result() for future in found] == doubled([n for n in range(40) if n != 13])


def test_an_interruption_reaches_all_it_was_for_and_leaves_nobody_waiting() -> None:
    calls = 0

    def interrupted(items: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        return doubled(items)

    crowd = Crowd(interrupted)
    found = crowd.serve(range(5))

    assert isinstance(found[0].exception(), KeyboardInterrupt)
    assert [future.result() for future in found[1:]] == [2, 4, 6, 8]
    assert crowd.commits.submit(21) == 42


def test_nobody_gets_an_empty_answer_when_a_run_one_by_one_is_interrupted() -> None:
    """Who was not served because of somebody else's interruption hears an error, not nothing."""
    grouped = False
    for _ in range(100):

        def run(items: Sequence[int]) -> list[int]:
            if len(items) > 1:
                raise ValueError("not together")
            if 1 in items:
                raise KeyboardInterrupt
            return doubled(items)

        crowd = Crowd(run)
        found = crowd.serve(range(12))
        for item, future in enumerate(found):
            if future.exception() is None:
                assert future.result() == 2 * item
        grouped = grouped or any(len(group) > 2 and 1 in group[:-1] for group in crowd.runs)
        if grouped:
            break
    assert grouped
