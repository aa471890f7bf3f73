"""The checker itself: it is silent about a history that is right, and finds each thing wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tactful import State
from tactful.core.model import Kind
from tactful.testing import checker
from tactful.testing.checker import Asked, Copy, Ended, History, Reign, check, check_limits

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
NEWS = Kind("news", "default", "post", 1)
PACE = {"name": "pace", "types": ["news"], "limit": "2/minute"}


def right() -> History:
    """Ann gets three news at two a minute, Ben two things in one digest, Cem nothing at all."""
    return History(
        asked=[
            Asked("a", "ann", "send", "n1", "1"),
            Asked("b", "ann", "send", "n2", "2", tries=2, replayed=True),
            Asked("c", "ann", "defer", "n3", "3"),
            Asked("d", "ben", "send", "n4", "4"),
            Asked("e", "ben", "digest", "n5", "5"),
            Asked("f", "cem", "reject", "n6", "6"),
            Asked("g", "cem", "queued", "n7"),
            Asked("h", "cem", "defer", "n8", "8", cancelled=True),
            Asked("i", "cem", "send", "n9", "9"),
        ],
        wire=[
            Copy("1", "ann", NEWS, 0, ("a",)),
            Copy("2", "ann", NEWS, 1_000, ("b",)),
            Copy("3", "ann", NEWS, MINUTE, ("c",), ambiguous=True),
            Copy("4", "ben", NEWS, MINUTE, ("d", "e")),
            Copy("3", "ann", NEWS, MINUTE + 1_000, ("c",), maybe_duplicate=True),
        ],
        ended=[
            Ended("1", "n1", "ann", State.DELIVERED),
            Ended("2", "n2", "ann", State.SENT),
            Ended("3", "n3", "ann", State.DELIVERED),
            Ended("4", "n4", "ben", State.DELIVERED),
            Ended("5", "n5", "ben", State.DIGESTED, digest="4"),
            Ended("6", "n6", "cem", State.REJECTED),
            Ended("7", "n7", "cem", State.EXPIRED, updated_at=9, expires_at=9),
            Ended("8", "n8", "cem", State.CANCELLED),
            Ended("9", "n9", "cem", State.FAILED),
        ],
        reigns=[Reign(0, (PACE,))],
        refused={"9"},
    )


def test_a_right_history_has_no_findings() -> None:
    report = check(right())

    assert report.findings == ()
    assert (report.attempts, report.ok, report.delivered, report.recovered) == (10, 8, 5, 1)
    assert [text.partition(",")[0] for text in report.duplicated_explained] == ["c to ann"]
    assert report.max_in_window == {"pace": 2}


def with_end(number: str, **changes: Any) -> Callable[[History], History]:
    def change(history: History) -> History:
        rows = [replace(row, **changes) if row.id == number else row for row in history.ended]
        return replace(history, ended=rows)

    return change


def with_copy(place: int, **changes: Any) -> Callable[[History], History]:
    def change(history: History) -> History:
        wire = list(history.wire)
        wire[place] = replace(wire[place], **changes)
        return replace(history, wire=wire)

    return change


def without_end(number: str) -> Callable[[History], History]:
    return lambda h: replace(h, ended=[row for row in h.ended if row.id != number])


def one_more(copy: Copy) -> Callable[[History], History]:
    return lambda h: replace(h, wire=[*h.wire, copy])


WRONG: dict[str, tuple[Callable[[History], History], str]] = {
    "accepted, then forgotten": (without_end("2"), "lost: b to ann was accepted and is not"),
    "recorded as sent, never sent": (
        lambda h: replace(h, wire=h.wire[1:]),
        "lost: a to ann is stored as delivered and did not arrive",
    ),
    "digested into nothing": (
        with_copy(3, items=("d",)),
        "lost: e to ben is stored as digested and was in no digest",
    ),
    "still waiting": (with_end("3", state=State.DEFERRED), "stuck: c to ann is still deferred"),
    "leased for ever": (with_end("3", state=State.SENDING), "stuck: c to ann is still sending"),
    "a broadcast that left somebody out": (without_end("7"), "lost: g to cem was accepted"),
    "rejected after all": (with_end("3", state=State.REJECTED), "lost: c to ann was rejected"),
    "given up without a reason": (
        lambda h: replace(h, refused=()),
        "lost: i to cem was given up without a refusal",
    ),
    "given up as unknown": (with_end("2", state=State.UNKNOWN), "lost: b to ann was given up as"),
    "expired too early": (with_end("7", expires_at=10), "lost: g to cem expired before its time"),
    "cancelled by nobody": (with_end("1", state=State.CANCELLED), "lost: a to ann was cancelled"),
    "superseded by nothing": (
        with_end("9", state=State.SUPERSEDED),
        "lost: i to cem was superseded by nothing",
    ),
    "sent twice, known to have arrived": (
        one_more(Copy("1", "ann", NEWS, 5 * MINUTE, ("a",), maybe_duplicate=True)),
        "duplicated: a to ann, copy 2 as 1: an earlier one was known",
    ),
    "a second copy that does not say so": (
        with_copy(4, maybe_duplicate=False),
        "duplicated: c to ann, copy 2 as 3: does not say",
    ),
    "admitted twice": (
        lambda h: replace(
            h,
            wire=[*h.wire, Copy("x", "ann", NEWS, 5 * MINUTE, ("a",))],
            ended=[*h.ended, Ended("x", "nx", "ann", State.DELIVERED)],
        ),
        "unexpected: delivery x to ann belongs to nothing",
    ),
    "sent though it was refused": (
        one_more(Copy("6", "cem", NEWS, 0, ("f",))),
        "unexpected: cem got f, which was refused (reject)",
    ),
    "sent though it was cancelled": (
        one_more(Copy("8", "cem", NEWS, 0, ("h",))),
        "unexpected: cem got h, which was cancelled",
    ),
    "sent to somebody else": (
        with_copy(0, recipient="ben"),
        "unexpected: 1 for ann went to ben",
    ),
    "made up": (one_more(Copy("y", "cem", NEWS, 0, ("z",))), "unexpected: y arrived and is not"),
    "one millisecond too early": (
        with_copy(2, at=MINUTE - 1),
        "over the limit: pace (2/minute): 3 of 2 for ann with 3",
    ),
    "judged by an old rule": (
        lambda h: replace(h, reigns=[Reign(0, ()), Reign(2, ({**PACE, "limit": "1/2min"},))]),
        "over the limit: pace (1/2min): 3 of 1 for ann with 3",
    ),
}


@pytest.mark.parametrize("bug", WRONG)
def test_a_wrong_history_is_found_out(bug: str) -> None:
    change, finding = WRONG[bug]

    findings = check(change(right())).findings

    assert any(text.startswith(finding) for text in findings), findings


def over(rule: dict[str, Any], *copies: Copy, **zones: str) -> int:
    """How many copies this one rule finds fault with."""
    violations, _ = check_limits(copies, [Reign(0, ({"name": "r", **rule},))], zones)
    return len(violations)


def at(*instants: int, **changes: Any) -> list[Copy]:
    kind = NEWS._replace(**{k: v for k, v in changes.items() if k in Kind._fields})
    given = {k: v for k, v in changes.items() if k not in Kind._fields}
    return [replace(Copy("m", "ann", kind, instant), **given) for instant in instants]


def test_a_change_of_rules_says_nothing_about_what_went_before() -> None:
    copies = at(0, 1, 2)
    one = ({"name": "r", "limit": "1/hour"},)

    assert check_limits(copies, [Reign(0, ()), Reign(3, one)])[0] == []
    assert len(check_limits(copies, [Reign(0, ()), Reign(2, one)])[0]) == 1


def test_calendar_windows_are_those_of_the_recipient() -> None:
    rule = {"limit": "1/day calendar"}
    evening = 20 * 60 * MINUTE  # in Tokyo it is five in the morning of the next day

    assert over(rule, *at(evening, evening + 5 * 60 * MINUTE)) == 0
    assert over(rule, *at(evening, evening + 3 * 60 * MINUTE)) == 1
    assert over(rule, *at(evening, evening + 3 * 60 * MINUTE), ann="Asia/Tokyo") == 1
    assert over(rule, *at(evening - 6 * 60 * MINUTE, evening), ann="Asia/Tokyo") == 0
    assert over({"limit": "1/month calendar"}, *at(0, 30 * DAY, 31 * DAY)) == 1
    assert over({"limit": "1/week calendar"}, *at(0, 3 * DAY, 4 * DAY)) == 1


def test_scopes_share_a_budget_or_do_not() -> None:
    news, offers = at(0, 1), at(2, type="offers")
    ben = at(3, recipient="ben")

    assert over({"limit": "2/hour"}, *news, *offers, *ben) == 1
    assert over({"limit": "2/hour", "per": "recipient+type"}, *news, *offers, *ben) == 0
    assert over({"limit": "1/hour", "types": ["offers"]}, *news, *offers) == 0
    assert over({"limit": "1/hour", "exempt": ["normal"]}, *news) == 0
    assert over({"limit": "1/hour", "priorities": ["high"]}, *news) == 0


def test_a_reserve_is_kept_for_its_priority() -> None:
    rule = {"limit": "3/hour", "reserve": {"high": 1}}

    assert over(rule, *at(0, 1), *at(2, priority=2)) == 0
    assert over(rule, *at(0, 1, 2)) == 1


def test_a_flow_is_steady_but_for_its_burst() -> None:
    rule = {"limit": "10/s", "per": "channel"}

    assert over(rule, *at(0, 100, 200)) == 0
    assert over(rule, *at(0, 98)) == 1
    assert over({**rule, "burst": 3}, *at(0, 0, 0, 100)) == 0
    assert over({**rule, "burst": 3}, *at(0, 0, 0, 0)) == 1
    assert over({**rule, "per": "domain"}, *at(0, address="a@x"), *at(0, address="b@y")) == 0
    assert over({**rule, "per": "domain"}, *at(0, address="a@x"), *at(0, address="b@X")) == 1


def test_hours_are_kept() -> None:
    night, noon = 23 * 60 * MINUTE, 12 * 60 * MINUTE

    assert over({"quiet": "22:00-08:00"}, *at(noon, night)) == 1
    assert over({"quiet": "22:00-08:00"}, *at(8 * 60 * MINUTE, 8 * 60 * MINUTE - 1)) == 1
    assert over({"window": "09:00-17:00 mon-wed"}, *at(noon)) == 1  # it was a Thursday
    assert over({"window": "09:00-17:00 thu"}, *at(noon)) == 0


def test_the_checker_shares_no_code_with_the_engine() -> None:
    tree = ast.parse(Path(checker.__file__).read_text(encoding="utf-8"))
    ours = {
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tactful")
    }
    judging = {name for name in ours if name.startswith("tactful.verify.")}

    assert ours - judging == {"tactful.core.model"}
