"""What workers leave behind is released, also by a store that has to be waited for."""

from __future__ import annotations

import queue
from collections.abc import Sequence

from tactful.core.errors import Unavailable
from tactful.runtime.leftovers import Leftovers

PATIENCE_S = 8.0


class Leases:
    """What owners hold, in a store that can be out of reach a number of times."""

    def __init__(self, held: dict[str, int], failures: int = 0) -> None:
        self.held = held
        self.failures = failures
        self.calls: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self.told: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self.complaints: queue.SimpleQueue[str] = queue.SimpleQueue()

    def release(self, owners: Sequence[str]) -> Sequence[int]:
        self.calls.put(list(owners))
        if self.failures:
            self.failures -= 1
            raise Unavailable("out of reach")
        return [self.held.pop(owner, 0) for owner in owners]

    def leftovers(self, retry_ms: int = 10, second_look_ms: int = 60_000) -> Leftovers:
        return Leftovers(
            self.release,
            lambda number, leases: self.told.put((number, leases)),
            self.complaints.put,
            retry_ms=retry_ms,
            second_look_ms=second_look_ms,
        )


def test_what_somebody_left_is_released_and_told() -> None:
    leases = Leases({"one": 3, "two": 5})
    leftovers = leases.leftovers()
    leftovers.add("one", 1)
    assert leases.told.get(timeout=PATIENCE_S) == (1, 3)
    leftovers.close()

    assert leases.held == {"two": 5}


def test_who_left_nothing_is_not_spoken_of() -> None:
    leases = Leases({})
    leftovers = leases.leftovers()
    leftovers.add("one", 1)
    leftovers.close()

    assert leases.told.empty()


def test_a_store_that_is_out_of_reach_is_asked_again_until_it_is_not() -> None:
    leases = Leases({"one": 3, "two": 5}, failures=3)
    leftovers = leases.leftovers()
    leftovers.add("one", 1)
    leftovers.add("two", 2)
    told = {leases.told.get(timeout=PATIENCE_S) for _ in range(2)}
    leftovers.close()

    assert told == {(1, 3), (2, 5)}
    assert [leases.complaints.get(timeout=PATIENCE_S) for _ in range(3)] == ["out of reach"] * 3


def test_a_claim_that_shows_after_its_owners_death_is_released_too() -> None:
    """The server was still committing it."""
    leases = Leases({})
    leftovers = leases.leftovers(second_look_ms=50)
    leftovers.add("one", 1)
    assert leases.calls.get(timeout=PATIENCE_S) == ["one"]
    leases.held["one"] = 7
    assert leases.calls.get(timeout=PATIENCE_S) == ["one"]
    leftovers.close()

    assert leases.held == {}
    assert leases.calls.empty()


def test_closing_waits_for_a_last_look_and_gives_up_if_that_fails() -> None:
    leases = Leases({"one": 3}, failures=1_000)
    leftovers = leases.leftovers(retry_ms=60_000)
    leftovers.add("one", 1)
    assert leases.complaints.get(timeout=PATIENCE_S) == "out of reach"
    leftovers.close()

    assert leases.complaints.get(timeout=PATIENCE_S) == "out of reach"
    assert leases.complaints.empty()
    assert leases.held == {"one": 3}
