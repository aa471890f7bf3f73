"""Who of a group is started, ended and killed, and when: decisions on a clock that a test moves."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tactful.runtime.roster import (
    ECHO_MS,
    START_MS,
    STEADY_MS,
    Action,
    Roster,
)

BAD_CONFIG = 2
KILLED = -9


def start(place: int) -> Action:
    return Action("start", place)


def end(place: int) -> Action:
    return Action("end", place)


def kill(place: int) -> Action:
    return Action("kill", place)


def at_work(size: int, **options: int) -> Roster:
    """A group that has started and works, at the instant 0."""
    roster = Roster(size, hopeless=(BAD_CONFIG,), **options)
    for place in range(1, size + 1):
        assert roster.due(0) == [start(place)]
        roster.working(place)
    assert roster.due(0) == []
    return roster


# Starting -------------------------------------------------------------------------------------


def test_workers_start_one_after_the_other() -> None:
    """The next one starts when the one before works."""
    roster = Roster(3)

    assert roster.due(0) == [start(1)]
    assert roster.due(500) == []
    roster.working(1)
    assert roster.due(700) == [start(2)]
    roster.working(2)
    assert roster.due(900) == [start(3)]
    roster.working(3)
    assert roster.due(1_000) == []
    assert roster.next_at() is None


def test_one_that_does_not_come_up_holds_up_the_others_for_a_while_only() -> None:
    roster = Roster(2)
    assert roster.due(0) == [start(1)]

    assert roster.next_at() == START_MS
    assert roster.due(START_MS - 1) == []
    assert roster.due(START_MS) == [start(2)]


def test_who_dies_is_started_again_at_once() -> None:
    roster = at_work(2)

    assert roster.ended(1, KILLED, 400) == 0
    assert roster.due(400) == [start(1)]


def test_pauses_grow_while_a_worker_dies_again_and_again() -> None:
    """However it dies, a machine does not start processes all day."""
    roster, now, pauses = Roster(1), 0, []
    for _ in range(9):
        assert roster.due(now) == [start(1)]
        now += 300
        pause = roster.ended(1, 1, now)
        assert pause is not None
        if pause:
            assert roster.due(now + pause - 1) == []
        assert roster.next_at() == now + pause
        pauses.append(pause)
        now += pause

    assert pauses == [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]


def test_a_worker_that_has_worked_for_a_while_owes_nothing_for_earlier_deaths() -> None:
    roster, now = Roster(1), 0
    for _ in range(5):
        assert roster.due(now) == [start(1)]
        now += roster.ended(1, 1, now) or 0
    assert roster.due(now) == [start(1)]
    roster.working(1)

    now += STEADY_MS
    assert roster.ended(1, KILLED, now) == 0
    assert roster.due(now) == [start(1)]
    assert roster.ended(1, KILLED, now + 5) == 1_000


def test_one_that_dies_holds_up_no_other() -> None:
    roster = at_work(2)
    roster.ended(1, KILLED, 0)
    assert roster.due(0) == [start(1)]
    roster.ended(1, KILLED, 0)
    assert roster.due(0) == []
    assert roster.next_at() == 1_000

    roster.ended(2, KILLED, 10)
    assert roster.due(10) == [start(2)]


# A configuration that cannot be used ----------------------------------------------------------


def test_the_group_ends_if_its_first_worker_says_that_the_configuration_is_wrong() -> None:
    roster = Roster(3, hopeless=(BAD_CONFIG,))
    assert roster.due(0) == [start(1)]

    assert roster.ended(1, BAD_CONFIG, 200) is None
    assert roster.due(200) == []
    assert roster.over
    assert roster.failed == BAD_CONFIG


def test_who_works_goes_on_when_another_cannot_use_the_configuration() -> None:
    """It was changed while they ran, and who works has read it before."""
    roster = at_work(2)
    roster.ended(1, KILLED, 0)
    roster.due(0)

    assert roster.ended(1, BAD_CONFIG, 100) == 1_000
    assert not roster.over
    assert roster.failed is None


def test_any_other_end_is_worth_another_start() -> None:
    """A store that is out of reach comes back."""
    roster = Roster(2, hopeless=(BAD_CONFIG,))
    roster.due(0)

    assert roster.ended(1, 5, 100) == 0


# Ending ---------------------------------------------------------------------------------------


def test_all_are_asked_to_end_and_none_is_started_again() -> None:
    roster = at_work(3)
    roster.ended(3, KILLED, 90)
    roster.stop(100)

    assert roster.due(100) == [end(1), end(2)]
    assert not roster.over
    assert roster.ended(1, 0, 400) is None
    assert roster.ended(2, 0, 500) is None
    assert roster.over
    assert roster.failed is None


def test_who_does_not_end_in_time_is_killed_once() -> None:
    roster = at_work(2, patience_ms=5_000)
    roster.stop(100)
    roster.due(100)
    roster.ended(1, 0, 200)

    assert roster.next_at() == 5_100
    assert roster.due(5_099) == []
    assert roster.due(5_100) == [kill(2)]
    assert roster.due(9_000) == []
    assert roster.next_at() is None


def test_asked_twice_to_end_all_are_killed() -> None:
    roster = at_work(2)
    roster.stop(0)
    roster.due(0)
    roster.stop(ECHO_MS)

    assert roster.due(ECHO_MS) == [kill(1), kill(2)]


def test_a_signal_that_comes_twice_at_once_came_once() -> None:
    """`timeout` sends it to a process and then to its group."""
    roster = at_work(1)
    roster.stop(0)
    roster.stop(1)

    assert roster.due(1) == [end(1)]


def test_a_worker_that_is_asked_while_it_starts_ends_too() -> None:
    roster = Roster(2)
    roster.due(0)
    roster.stop(10)

    assert roster.due(10) == [end(1)]
    roster.working(1)
    assert roster.is_ending(1)
    roster.ended(1, -15, 20)
    assert roster.over


# Replacing ------------------------------------------------------------------------------------


def test_all_are_replaced_one_after_the_other() -> None:
    """Never more than one is away."""
    roster = at_work(3)
    roster.replace_all(100)
    for place in (1, 2, 3):
        assert roster.due(100) == [end(place)]
        assert roster.due(150) == []
        assert roster.ended(place, 0, 200) == 0
        assert roster.due(200) == [start(place)]
        assert roster.due(250) == []
        roster.working(place)

    assert roster.due(300) == []
    assert roster.next_at() is None


def test_if_a_new_worker_cannot_work_the_old_ones_stay() -> None:
    roster = at_work(2)
    roster.replace_all(0)
    assert roster.due(0) == [end(1)]
    now = roster.ended(1, 0, 0) or 0
    for _ in range(10):
        assert roster.due(now) == [start(1)]
        now += 100
        now += roster.ended(1, 1, now) or 0
    assert roster.due(now) == [start(1)]
    roster.working(1)

    assert roster.due(now) == [end(2)]


def test_replacing_ends_the_pauses() -> None:
    """Whoever repaired the configuration does not want to wait."""
    roster, now = Roster(1), 0
    for _ in range(6):
        roster.due(now)
        now += roster.ended(1, 1, now) or 0
    assert roster.due(now - 10_000) == []

    roster.replace_all(now - 10_000)
    assert roster.due(now - 10_000) == [start(1)]


def test_who_is_replaced_and_does_not_end_is_killed() -> None:
    roster = at_work(2, patience_ms=5_000)
    roster.replace_all(0)

    assert roster.due(0) == [end(1)]
    assert roster.next_at() == 5_000
    assert roster.due(5_000) == [kill(1)]
    assert roster.ended(1, KILLED, 5_010) == 0


# Whatever happens -----------------------------------------------------------------------------

PLACES = st.integers(1, 4)


class Group(RuleBasedStateMachine):
    """Workers that do what they like, and a roster whose word is done at once."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster(4, patience_ms=1_000, hopeless=(BAD_CONFIG,))
        self.now = 0
        self.workers: dict[int, str] = {}
        self.starts: dict[int, list[int]] = {place: [] for place in range(1, 5)}

    def gone(self, place: int, code: int) -> None:
        del self.workers[place]
        self.roster.ended(place, code, self.now)

    @rule(place=PLACES)
    def works(self, place: int) -> None:
        if self.workers.get(place) == "starting":
            self.workers[place] = "working"
            self.roster.working(place)

    @rule(place=PLACES, code=st.sampled_from((KILLED, 1, 5, 0)))
    def dies(self, place: int, code: int) -> None:
        if place in self.workers:
            self.gone(place, code)

    @rule(place=PLACES)
    def finds_the_configuration_wrong(self, place: int) -> None:
        if self.workers.get(place) == "starting":
            self.gone(place, BAD_CONFIG)

    @rule(place=PLACES)
    def ends_as_asked(self, place: int) -> None:
        if self.workers.get(place) in ("end", "kill"):
            self.gone(place, 0)

    @rule()
    def all_are_replaced(self) -> None:
        self.roster.replace_all(self.now)
        for starts in self.starts.values():
            starts.clear()

    @rule(passed=st.sampled_from((100, 5_000)))
    def time_passes(self, passed: int) -> None:
        self.now += passed

    @rule()
    def nothing_happens_until_the_roster_wants_something(self) -> None:
        self.now = max(self.now, self.roster.next_at() or 0)

    @invariant()
    def obey(self) -> None:
        """A place holds one worker at most; starts in one place keep their distance."""
        for verb, place in self.roster.due(self.now):
            if verb != "start":
                assert place in self.workers
                self.workers[place] = verb
                continue
            assert place not in self.workers
            self.workers[place] = "starting"
            starts = self.starts[place]
            starts.append(self.now)
            assert len(starts) < 4 or starts[-1] - starts[-4] >= 1_000
        next_at = self.roster.next_at()
        assert next_at is None or next_at > self.now

    def teardown(self) -> None:
        """All can be ended, whatever they do."""
        self.roster.stop(self.now)
        self.obey()
        self.now += 1_000
        self.obey()
        assert set(self.workers.values()) <= {"kill"}
        for place in list(self.workers):
            self.gone(place, KILLED)
        assert self.roster.over
        assert self.roster.next_at() is None


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@pytest.mark.soak
def test_many_more_groups_are_kept_at_their_number() -> None:
    run_state_machine_as_test(Group, settings=settings(TestGroup.settings, max_examples=500))
