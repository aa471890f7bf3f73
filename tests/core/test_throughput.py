"""Throughput limits against a list of every hand-over that was ever granted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.core.checks import Gate, compile_checks
from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Kind, Millis, Priority
from tactful.core.rules import Rule
from tactful.core.throughput import Cell, conform, slot_behind

START = 1_700_000_000_000
counts = st.integers(1, 200) | st.sampled_from([1_000, 7_000, 1_000_000])
windows_ms = st.integers(1, 5_000) | st.sampled_from([SECOND, MINUTE, HOUR, DAY])
bursts = st.integers(1, 30)
cells = st.builds(Cell.of, counts, windows_ms, bursts)
waits_ms = st.lists(st.integers(0, 50) | st.integers(0, 5_000), min_size=1, max_size=80)


def granted(cell: Cell, asked: list[Millis]) -> list[Millis]:
    """The instants out of `asked` at which the cell lets one go, starting from idle."""
    tat_us, went = 0, []
    for now in asked:
        new_tat_us, _ = conform(cell, tat_us, now)
        if new_tat_us is not None:
            tat_us = new_tat_us
            went.append(now)
    return went


def drain(cell: Cell, count: int) -> list[Millis]:
    """The instants of `count` hand-overs by a worker who always comes back when he was told to."""
    tat_us, now, went = 0, START, []
    while len(went) < count:
        new_tat_us, at = conform(cell, tat_us, now)
        if new_tat_us is None:
            now = at
        else:
            tat_us = new_tat_us
            went.append(now)
    return went


def asked_after(waits: list[int]) -> list[Millis]:
    now, asked = START, []
    for wait in waits:
        now += wait
        asked.append(now)
    return asked


def test_a_burst_goes_at_once_and_then_one_each_period() -> None:
    went = drain(Cell.of(100, SECOND, 20), 24)
    assert went == [START] * 20 + [START + 10 * n for n in (1, 2, 3, 4)]


def test_without_a_burst_the_line_is_even() -> None:
    assert drain(Cell.of(4, SECOND, 1), 4) == [START, START + 250, START + 500, START + 750]


def test_a_burst_comes_back_by_waiting() -> None:
    cell = Cell.of(10, SECOND, 3)
    asked = [START] * 5 + [START + 100] * 5 + [START + 300] * 5
    assert granted(cell, asked) == [START] * 3 + [START + 100] + [START + 300] * 2


@settings(print_blob=True, deadline=None)
@given(counts, windows_ms, bursts, waits_ms)
def test_no_stretch_of_time_holds_more_than_the_rate_and_one_burst(
    count: int, window_ms: int, burst: int, waits: list[int]
) -> None:
    """From any hand-over to any later one: at most `burst` plus the rate times the time between.

    The clock shows whole milliseconds, so a stretch may be one longer than it looks.
    """
    went = granted(Cell.of(count, window_ms, burst), asked_after(waits))
    for first, start in enumerate(went):
        for last in range(first, len(went)):
            number, stretch = last - first + 1, went[last] - start + 1
            assert number * window_ms <= burst * window_ms + stretch * count


@settings(print_blob=True, deadline=None)
@given(counts, windows_ms, bursts)
def test_the_long_run_is_never_above_the_limit(count: int, window_ms: int, burst: int) -> None:
    went = drain(Cell.of(count, window_ms, burst), 300)
    assert (len(went) - burst) * window_ms <= (went[-1] - went[0] + 1) * count


@pytest.mark.parametrize("count", [1, 3, 7, 30, 100, 333, 600, 700, 999, 1_000])
@pytest.mark.parametrize("burst", [1, 2, 10])
def test_the_long_run_reaches_the_limit(count: int, burst: int) -> None:
    """A rate that is no whole number of milliseconds apart loses nothing by being rounded."""
    went = drain(Cell.of(count, SECOND, burst), 2_000)
    rate = (len(went) - burst) * SECOND / (went[-1] - went[0])
    assert 0.99 * count <= rate <= 1.01 * count


@settings(print_blob=True, deadline=None)
@given(cells)
def test_an_idle_cell_lets_its_burst_go_at_one_instant(cell: Cell) -> None:
    burst = cell.tolerance_us // cell.period_us + 1
    assert len(granted(cell, [START] * (burst + 1))) >= burst


@settings(print_blob=True, deadline=None)
@given(cells, waits_ms)
def test_a_refusal_changes_nothing_and_names_its_first_instant(
    cell: Cell, waits: list[int]
) -> None:
    tat_us = 0
    for now in asked_after(waits):
        new_tat_us, at = conform(cell, tat_us, now)
        if new_tat_us is not None:
            assert at == now
            assert new_tat_us > tat_us
            tat_us = new_tat_us
            continue
        assert at > now
        assert conform(cell, tat_us, now) == (None, at)
        assert conform(cell, tat_us, at - 1)[0] is None
        assert conform(cell, tat_us, at)[0] is not None


@settings(print_blob=True, deadline=None)
@given(cells, waits_ms)
def test_asking_in_vain_delays_nobody(cell: Cell, waits: list[int]) -> None:
    asked = asked_after(waits)
    went = granted(cell, asked)
    assert granted(cell, went) == went


@settings(print_blob=True, deadline=None)
@given(cells, st.integers(-1_000, 10**6), st.integers(0, 50), st.integers(0, 100))
def test_a_place_in_line_is_after_now_and_after_those_ahead(
    cell: Cell, lead_us: int, ahead: int, later: int
) -> None:
    now = START
    tat_us = now * 1_000 + lead_us
    slots = [slot_behind(cell, tat_us, place, now) for place in range(ahead + 1)]
    assert all(slot > now for slot in slots)
    assert all(one <= two for one, two in pairwise(slots))
    assert slot_behind(cell, tat_us, ahead, now + later) >= slots[-1]


@settings(print_blob=True, deadline=None)
@given(cells, st.integers(1, 40), st.integers(1, 20))
def test_whoever_waits_in_line_is_let_go_when_told(cell: Cell, used: int, waiting: int) -> None:
    """All places are given at one instant; each then goes at its own, and none is sent away."""
    tat_us = 0
    for _ in range(used):
        new_tat_us, _ = conform(cell, tat_us, START)
        tat_us = tat_us if new_tat_us is None else new_tat_us
    slots = [slot_behind(cell, tat_us, ahead, START) for ahead in range(waiting)]
    for slot in slots:
        new_tat_us, _ = conform(cell, tat_us, slot)
        assert new_tat_us is not None
        tat_us = new_tat_us


def test_the_place_in_line_is_the_next_one_that_is_free() -> None:
    cell = Cell.of(10, SECOND, 2)
    tat_us = 0
    for _ in range(2):
        tat_us = conform(cell, tat_us, START)[0] or 0
    assert [slot_behind(cell, tat_us, ahead, START) for ahead in range(3)] == [
        START + 100,
        START + 200,
        START + 300,
    ]


# What one gate holds together -----------------------------------------------------------------


def gate_of(per: str) -> Gate:
    rule = Rule("provider", limit="100/s", per=per, burst=20)
    (gate,) = compile_checks([rule], Kind("news", "default", "email", Priority.NORMAL)).gates
    return gate


def test_a_gate_has_the_rate_and_burst_of_its_rule() -> None:
    assert gate_of("channel").cell == Cell.of(100, SECOND, 20)


def test_a_channel_gate_holds_all_addresses_of_a_channel_together() -> None:
    gate = gate_of("channel")
    assert gate.key("email", "a@x.com") == gate.key("email", "b@y.com")
    assert gate.key("email", "a@x.com") != gate.key("sms", "a@x.com")


def test_a_domain_gate_holds_the_addresses_of_a_domain_together() -> None:
    gate = gate_of("domain")
    assert gate.key("email", "a@x.com") == gate.key("email", "B@X.COM")
    assert gate.key("email", "a@x.com") != gate.key("email", "a@y.com")
    assert gate.key("email", "a@x.com") != gate.key("sms", "a@x.com")
    assert gate.key("email", '"a@b"@x.com') == gate.key("email", "a@x.com")
