"""The checker is checked: a right limiter passes, and each way of getting it wrong is found.

`proof.buggy_limiter` writes histories from seeds; a failing test prints the seed.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof.buggy_limiter import BUGS, HOUR, Limiter

from tactful.verify import Report, verify

SEEDS = range(4)


def findings(report: Report) -> dict[str, int]:
    return {
        "over": report.violations,
        "lost": len(report.lost),
        "duplicated": len(report.duplicated_unexplained),
        "unexpected": len(report.unexpected),
    }


@settings(max_examples=25, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32))
def test_a_limiter_that_is_right_passes_with_no_finding(seed: int) -> None:
    report = verify(Limiter(seed).live(12))

    assert report.clean, (seed, report.to_dict())
    assert report.attempts == report.waiting + report.ended


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_life_through_a_night_with_25_hours_passes(seed: int) -> None:
    report = verify(Limiter(seed).live())

    assert report.clean, (seed, report.to_dict())
    assert report.rules["daily"].fullest == 2
    assert report.rules["all"].fullest == 6
    assert len(report.duplicated_explained) > 0
    assert 0 < report.recovered < report.out < report.attempts


def find_out(bug: str, seeds: Iterable[int]) -> None:
    for seed in seeds:
        report = verify(Limiter(seed, bug).live())

        assert findings(report)[BUGS[bug]] > 0, (bug, seed, findings(report))


@pytest.mark.parametrize("bug", BUGS)
def test_a_limiter_with_this_bug_is_found_out(bug: str) -> None:
    """Whatever the seed: the same world is clean without the bug."""
    find_out(bug, SEEDS[:2])


@pytest.mark.soak
@pytest.mark.parametrize("bug", BUGS)
def test_a_limiter_with_this_bug_is_found_out_in_every_world(bug: str) -> None:
    find_out(bug, SEEDS)


def test_a_violation_names_the_rule_the_recipient_the_window_and_what_is_in_it() -> None:
    report = verify(Limiter(1, "a fixed window instead of a rolling one").live())

    one = next(found for found in report.limit_violations if found.rule == "pace")
    assert one.whom in ("ada", "ben", "cem")
    assert one.held > one.most
    assert len(one.inside) == one.held
    assert {other.recipient for other in one.inside} == {one.whom}
    assert one.inside[-1].at - one.inside[0].at < HOUR
    assert one.inside[-1].at == one.at
