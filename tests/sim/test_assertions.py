"""Assertions about figures: what can be said, what is true, and what is refused."""

from __future__ import annotations

import pytest

from tactful.core.errors import RequestError
from tactful.sim.assertions import check, holds
from tactful.sim.exercise import EXERCISE, adjusted
from tactful.sim.figures import figures
from tactful.sim.run import simulate

FOUND = figures(simulate(adjusted(EXERCISE, users=200, seed=5)))
EMPTY = figures(simulate(adjusted(EXERCISE, users=0)))


@pytest.mark.parametrize(
    "text",
    [
        "sent == 1000",
        "sent == 1000 and lost > 0",
        "lost == 0 or received_ratio > 0.8",
        "not lost == 0",
        "0 < lost < 200",
        "received + lost == sent",
        "p99_delay < 2h",
        "p99_delay <= 0s and max_delay == 0",
        "news.sent == 1000",
        'types["news"].sent == sent',
        "opened / received > 0.6",
        "-1 < lost * 2 - 1",
        "(sent > 1 and sent < 5) or submitted != 3",
    ],
)
def test_what_is_true_holds(text: str) -> None:
    check(text)
    assert holds(text, FOUND)
    assert not holds(f"not ({text})", FOUND)


def test_figures_of_nothing_are_zero() -> None:
    assert holds("sent == 0 and received_ratio == 0 and p50_delay == 0", EMPTY)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "must read like"),
        ("lost ==", "must read like"),
        ("lost = 0", "must read like"),
        ("gone == 0", "gone"),
        ("mail.gone == 0", "gone"),
        ("lost in sent", "compare"),
        ("lost is sent", "compare"),
        ("print(1)", "print"),
        ("__import__('os')", "__import__"),
        ("().__class__", "__class__"),
        ("sent ** 9", "sent ** 9"),
        ("'a' == 'a'", "'a'"),
        ("True", "True"),
        ("[1][0] == 1", "[1]"),
        ("(lambda: 1)()", "lambda"),
        ("1 / 0 == 1", "divides by 0"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_the_run(text: str, named: str) -> None:
    with pytest.raises(RequestError) as refused:
        check(text)
    assert refused.value.field == "assert"
    assert named in refused.value.bound


def test_a_type_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(RequestError, match="news"):
        holds("mail.sent == 0", FOUND)
