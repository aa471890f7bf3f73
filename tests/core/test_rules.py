"""What a rule may say: every form that is read, every one that is refused, and the way back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.core.errors import InvalidRule, OverLimit, RequestError
from tactful.core.model import DAY, HOUR, MINUTE, SECOND, Kind, Priority
from tactful.core.rules import (
    COUNT_MAX,
    WINDOW_MAX_MS,
    Limit,
    Rule,
    parse_limit,
    parse_priority,
    rule_from,
)
from tactful.core.windows import Hours, Unit, longest_ms, parse_hours

NAN = math.nan
NEWS = Kind("news", "editorial", "email", Priority.NORMAL)


# Limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("2/minute", Limit(2, MINUTE)),
        ("1/day", Limit(1, DAY)),
        ("3/hour", Limit(3, HOUR)),
        ("3 per hour", Limit(3, HOUR)),
        ("3 in 2 hours", Limit(3, 2 * HOUR)),
        ("1 every 5 min", Limit(1, 5 * MINUTE)),
        ("20/30min", Limit(20, 30 * MINUTE)),
        ("20 / 30 min", Limit(20, 30 * MINUTE)),
        ("  20/30MIN  ", Limit(20, 30 * MINUTE)),
        ("5/1s", Limit(5, SECOND)),
        ("5/sec", Limit(5, SECOND)),
        ("5/second", Limit(5, SECOND)),
        ("5/90seconds", Limit(5, 90 * SECOND)),
        ("5/m", Limit(5, MINUTE)),
        ("5/2minutes", Limit(5, 2 * MINUTE)),
        ("5/h", Limit(5, HOUR)),
        ("5/d", Limit(5, DAY)),
        ("5/7days", Limit(5, 7 * DAY)),
        ("5/w", Limit(5, 7 * DAY)),
        ("5/2weeks", Limit(5, 14 * DAY)),
        ("5/day rolling", Limit(5, DAY)),
        ("0/day", Limit(0, DAY)),
        ("007/day", Limit(7, DAY)),
        ("1/366d", Limit(1, 366 * DAY)),
        ("1000000/s", Limit(1_000_000, SECOND)),
        ("1/minute calendar", Limit(1, MINUTE, Unit.MINUTE)),
        ("1/hour calendar", Limit(1, HOUR, Unit.HOUR)),
        ("1/day Calendar", Limit(1, DAY, Unit.DAY)),
        ("4 per 1 week calendar", Limit(4, 7 * DAY, Unit.WEEK)),
        ("1/month calendar", Limit(1, 31 * DAY, Unit.MONTH)),
    ],
)
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit
    assert parse_limit(str(limit)) == limit


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (None, "must read like"),
        (3, "must read like"),
        (NAN, "must read like"),
        (True, "must read like"),
        (b"2/minute", "must read like"),
        ("", "must read like"),
        ("2", "must read like"),
        ("2/", "must read like"),
        ("/minute", "must read like"),
        ("-1/minute", "must read like"),
        ("+1/minute", "must read like"),
        ("1.5/minute", "must read like"),
        ("1e3/minute", "must read like"),
        ("nan/minute", "must read like"),
        ("1/-1minute", "must read like"),
        ("1/0.5min", "must read like"),
        ("1/minute daily", "must read like"),
        ("1/minute; 2/hour", "must read like"),
        ("1/minute\x00", "must read like"),
        ("1" * 13 + "/minute", "must read like"),
        ("1/" + "1" * 10 + "s", "must read like"),
        ("1/year", "unit must be"),
        ("1/fortnight", "unit must be"),
        ("1000001/minute", "0 to 1000000"),
        ("999999999999/minute", "0 to 1000000"),
        ("1/0min", "window must be longer than 0"),
        ("1/0s", "window must be longer than 0"),
        ("1/000h", "window must be longer than 0"),
        ("1/367d", "at most 366 days"),
        ("1/999999999w", "at most 366 days"),
        ("1/2days calendar", "a calendar window is one"),
        ("1/0day calendar", "a calendar window is one"),
        ("1/second calendar", "a calendar window is one"),
        ("1/month", "a month is a calendar window"),
        ("1/2months rolling", "a month is a calendar window"),
    ],
)
def test_what_is_no_limit_is_refused(text: object, bound: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        parse_limit(text, "limit")
    assert (caught.value.field, caught.value.value) == ("limit", text)
    assert bound in caught.value.bound
    assert str(caught.value).startswith("limit: ")


@pytest.mark.parametrize(
    "values",
    [
        (-1, MINUTE),
        (COUNT_MAX + 1, MINUTE),
        (True, MINUTE),
        (1.0, MINUTE),
        (NAN, MINUTE),
        ("1", MINUTE),
        (1, 0),
        (1, -MINUTE),
        (1, WINDOW_MAX_MS + 1),
        (1, True),
        (1, 0.5),
        (1, NAN),
        (1, math.inf),
    ],
)
def test_a_limit_made_of_numbers_is_held_to_the_same_bounds(values: tuple[Any, Any]) -> None:
    with pytest.raises(InvalidRule) as caught:
        Rule("r", limit=Limit(*values))
    assert caught.value.bound


@pytest.mark.parametrize("window_ms", [1, 20, 1_500, MINUTE + 1])
def test_a_limit_of_any_length_can_be_shown(window_ms: int) -> None:
    """A rule made of numbers is printed in answers and errors like any other."""
    assert str(Limit(2, window_ms)).startswith("2/")


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(2, MINUTE), "2/minute"),
        (Limit(2, 90 * MINUTE), "2/90minute"),
        (Limit(2, 7 * DAY), "2/7day"),
        (Limit(2, 61 * SECOND), "2/61second"),
        (Limit(2, 48 * HOUR), "2/2day"),
        (Limit(0, 7 * DAY, Unit.WEEK), "0/week calendar"),
    ],
)
def test_a_limit_is_shown_in_its_largest_whole_unit(limit: Limit, text: str) -> None:
    assert str(limit) == text


def test_a_limit_reaches_back_over_its_longest_window() -> None:
    assert Limit(1, 90).reach_ms == 90
    for unit in Unit:
        assert Limit(1, 90, unit).reach_ms == longest_ms(unit)


# Priorities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["high", "HIGH", " High ", 2, Priority.HIGH])
def test_a_priority_is_read_by_name_and_number(value: object) -> None:
    assert parse_priority(value, "priority") is Priority.HIGH


@pytest.mark.parametrize("value", ["urgent", "", "2", -1, 4, True, False, 2.0, NAN, None, [2]])
def test_what_is_no_priority_is_refused(value: object) -> None:
    with pytest.raises(RequestError) as caught:
        parse_priority(value, "priority")
    assert (caught.value.field, caught.value.bound) == (
        "priority",
        "must be low, normal, high or critical",
    )


# Rules ----------------------------------------------------------------------------------------


def test_a_rule_is_kept_in_normal_form() -> None:
    rule = Rule(
        " Daily Cap ",
        limit="5/day",
        types=["News", "news ", "ALERT"],
        categories={"Offers"},
        channels=("E-Mail",),
        priorities=["high", 0],
        per=" Recipient, TYPE ",
        exempt=[Priority.CRITICAL, "critical"],
        reserve={"HIGH": 2},
    )
    assert rule.name == "daily_cap"
    assert rule.limit == Limit(5, DAY)
    assert rule.types == ("alert", "news")
    assert rule.categories == ("offers",)
    assert rule.channels == ("e-mail",)
    assert rule.priorities == (Priority.LOW, Priority.HIGH)
    assert rule.per == "recipient+type"
    assert rule.exempt == (Priority.CRITICAL,)
    assert rule.reserve == {"high": 2}


@pytest.mark.parametrize(
    ("per", "normal"),
    [
        ("recipient", "recipient"),
        ("recipient+type", "recipient+type"),
        ("recipient + category", "recipient+category"),
        ("recipient channel", "recipient+channel"),
        ("CHANNEL", "channel"),
        ("domain", "domain"),
    ],
)
def test_every_scope_is_read(per: str, normal: str) -> None:
    rule = Rule("r", limit="5/s", per=per)
    assert rule.per == normal
    assert rule.is_throughput is (normal in ("channel", "domain"))


def test_hours_are_read_from_text_or_taken_as_they_are() -> None:
    assert Rule("q", quiet="22:00-08:00").quiet == Hours(22 * 60, 8 * 60)
    assert Rule("w", window=Hours(540, 1020, frozenset({0}))).window == Hours(
        540, 1020, frozenset({0})
    )


REFUSED: list[tuple[dict[str, Any], str, object, str]] = [
    ({"name": ""}, "name", "", "text of 1 to 100"),
    ({"name": None}, "name", None, "text of 1 to 100"),
    ({"name": "a\x00b"}, "name", "a\x00b", "text of 1 to 100"),
    ({"limit": None}, "limit", "none", "exactly one of"),
    ({"quiet": "22:00-08:00"}, "limit", "limit, quiet", "exactly one of"),
    ({"window": "22:00-08:00"}, "limit", "limit, window", "exactly one of"),
    ({"limit": None, "quiet": "22-8"}, "quiet", "22-8", "must look like"),
    ({"limit": None, "quiet": 22}, "quiet", 22, "must look like"),
    ({"limit": None, "window": "09:00-17:00 foo"}, "window", "09:00-17:00 foo", "days must be"),
    ({"limit": None, "window": "09:00-09:00"}, "window", "09:00-09:00", "must differ"),
    ({"limit": "-1/day"}, "limit", "-1/day", "must read like"),
    ({"limit": "1/0s"}, "limit", "1/0s", "longer than 0"),
    ({"limit": 5}, "limit", 5, "must read like"),
    ({"limit": False}, "limit", False, "must read like"),
    ({"types": "news"}, "types", "news", "must be a list"),
    ({"types": 5}, "types", 5, "must be a list"),
    ({"types": []}, "types", [], "at least one"),
    ({"types": ["news", ""]}, "types", "", "text of 1 to 100"),
    ({"types": b"news"}, "types", ord("n"), "text of 1 to 100"),
    ({"categories": [None]}, "categories", None, "text of 1 to 100"),
    ({"channels": [["email"]]}, "channels", ["email"], "text of 1 to 100"),
    ({"priorities": "high"}, "priorities", "high", "must be a list"),
    ({"priorities": 2}, "priorities", 2, "must be a list"),
    ({"priorities": []}, "priorities", [], "at least one"),
    ({"priorities": ["top"]}, "priorities", "top", "must be low"),
    ({"priorities": [True]}, "priorities", True, "must be low"),
    ({"exempt": "critical"}, "exempt", "critical", "must be a list"),
    ({"exempt": None}, "exempt", None, "must be a list"),
    ({"exempt": [NAN]}, "exempt", NAN, "must be low"),
    ({"per": "user"}, "per", "user", "must be one of recipient"),
    ({"per": ""}, "per", "", "must be one of recipient"),
    ({"per": None}, "per", None, "must be one of recipient"),
    ({"per": "type+recipient"}, "per", "type+recipient", "must be one of recipient"),
    ({"on_limit": "drop"}, "on_limit", "drop", "must be one of defer"),
    ({"on_limit": None}, "on_limit", None, "must be one of defer"),
    ({"burst": 0, "per": "channel"}, "burst", 0, "at least 1"),
    ({"burst": -1, "per": "domain"}, "burst", -1, "at least 1"),
    ({"burst": True, "per": "channel"}, "burst", True, "at least 1"),
    ({"burst": 1.5, "per": "channel"}, "burst", 1.5, "at least 1"),
    ({"burst": NAN, "per": "channel"}, "burst", NAN, "at least 1"),
    ({"burst": "2", "per": "channel"}, "burst", "2", "at least 1"),
    ({"burst": 2}, "burst", 2, "per = channel or domain"),
    ({"limit": "0/s", "per": "channel"}, "limit", Limit(0, SECOND), "rolling and at least 1"),
    (
        {"limit": "1/day calendar", "per": "domain"},
        "limit",
        Limit(1, DAY, Unit.DAY),
        "rolling and at least 1",
    ),
    (
        {"limit": None, "quiet": "22:00-08:00", "per": "channel"},
        "limit",
        None,
        "rolling and at least 1",
    ),
    ({"per": "channel", "on_limit": "reject"}, "on_limit", "reject", "can only defer"),
    ({"per": "channel", "reserve": {"high": 1}}, "reserve", {"high": 1}, "throughput"),
    ({"reserve": 1}, "reserve", 1, "must map priorities"),
    ({"reserve": [("high", 1)]}, "reserve", [("high", 1)], "must map priorities"),
    ({"reserve": {"top": 1}}, "reserve", "top", "must be low"),
    ({"reserve": {"low": 1}}, "reserve", "low", "nobody to reserve from"),
    ({"reserve": {"high": 0}}, "reserve.high", 0, "at least 1"),
    ({"reserve": {"high": -1}}, "reserve.high", -1, "at least 1"),
    ({"reserve": {"high": True}}, "reserve.high", True, "at least 1"),
    ({"reserve": {"high": 1.0}}, "reserve.high", 1.0, "at least 1"),
    ({"reserve": {"high": NAN}}, "reserve.high", NAN, "at least 1"),
    ({"reserve": {"high": 6}}, "reserve", {"high": 6}, "at most 5"),
    ({"reserve": {"high": 3, 3: 3}}, "reserve", {"high": 3, 3: 3}, "at most 5"),
    (
        {"limit": None, "quiet": "22:00-08:00", "reserve": {"high": 1}},
        "reserve",
        {"high": 1},
        "at most 0",
    ),
]


@pytest.mark.parametrize(("change", "field", "value", "bound"), REFUSED)
def test_a_rule_that_is_wrong_is_refused_with_field_value_and_bound(
    change: dict[str, Any], field: str, value: object, bound: str
) -> None:
    with pytest.raises(InvalidRule) as caught:
        Rule(**{"name": "r", "limit": "5/day", **change})
    assert caught.value.field == field
    assert caught.value.value is value or caught.value.value == value
    assert bound in caught.value.bound
    assert caught.value.code == "invalid_rule"


def test_a_reserve_may_take_the_whole_limit() -> None:
    assert Rule("r", limit="3/day", reserve={"high": 1, "critical": 2}).reserve == {
        "high": 1,
        "critical": 2,
    }


def test_a_reserve_named_twice_is_refused() -> None:
    with pytest.raises(InvalidRule) as caught:
        Rule("r", limit="5/day", reserve={"high": 1, "HIGH": 2})
    assert caught.value.field.startswith("reserve")


@pytest.mark.parametrize(
    ("change", "matches"),
    [
        ({}, True),
        ({"types": ["News"]}, True),
        ({"types": ["alert"]}, False),
        ({"categories": ["Editorial"]}, True),
        ({"categories": ["offers"]}, False),
        ({"channels": ["email", "sms"]}, True),
        ({"channels": ["sms"]}, False),
        ({"priorities": ["normal", "low"]}, True),
        ({"priorities": ["high"]}, False),
        ({"exempt": ["critical"]}, True),
        ({"exempt": ["normal"]}, False),
        ({"priorities": ["normal"], "exempt": ["normal"]}, False),
        ({"types": ["news"], "channels": ["sms"]}, False),
    ],
)
def test_a_rule_speaks_of_what_all_its_filters_name(change: dict[str, Any], matches: bool) -> None:
    assert Rule("r", limit="5/day", **change).matches(NEWS) is matches


# The way to plain data and back ---------------------------------------------------------------

names = st.text("abcXYZ é_-9", min_size=1, max_size=12).filter(str.strip)
name_lists = st.none() | st.lists(names, min_size=1, max_size=3)
priority_lists = st.lists(st.sampled_from([*Priority, "low", "High", "CRITICAL"]), max_size=3)
hours = st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(
    lambda pair: pair[0] != pair[1]
)
spans = st.builds(
    lambda pair, days: Hours(*pair, frozenset(days)),
    hours,
    st.sets(st.integers(0, 6), min_size=1),
)
rolling = st.builds(
    lambda count, times, unit: f"{count}/{times}{unit}",
    st.integers(0, COUNT_MAX),
    st.integers(1, 52),
    st.sampled_from(["s", "min", "hours", "d", "w"]),
)
calendar = st.builds(
    lambda count, unit: f"{count}/{unit} calendar", st.integers(0, 99), st.sampled_from(Unit)
)
filters = {
    "name": names,
    "types": name_lists,
    "categories": name_lists,
    "channels": name_lists,
    "priorities": st.none() | priority_lists.filter(bool),
    "exempt": priority_lists,
}
on_limits = st.sampled_from(["defer", "digest", "collapse", "reject"])
personal = st.fixed_dictionaries(
    {
        **filters,
        "limit": rolling | calendar,
        "per": st.sampled_from(["recipient", "Recipient+Type", "recipient category"]),
        "on_limit": on_limits,
    }
)
reserved = st.fixed_dictionaries(
    {
        **filters,
        "limit": st.sampled_from(["9/day", "12/hour calendar"]),
        "reserve": st.dictionaries(
            st.sampled_from(["normal", "HIGH", Priority.CRITICAL]), st.integers(1, 3)
        ),
    }
)
throughput = st.fixed_dictionaries(
    {
        **filters,
        "limit": rolling.filter(lambda text: not text.startswith("0/")),
        "per": st.sampled_from(["channel", "domain"]),
        "burst": st.integers(1, 50),
    }
)
timed = st.fixed_dictionaries({**filters, "on_limit": on_limits}).flatmap(
    lambda fields: st.builds(
        lambda key, span: {**fields, key: span}, st.sampled_from(["quiet", "window"]), spans
    )
)


@settings(print_blob=True, deadline=None)
@given(personal | reserved | throughput | timed)
def test_a_rule_survives_the_way_to_json_and_back(written: Mapping[str, Any]) -> None:
    rule = Rule(**written)
    data = json.loads(json.dumps(rule.to_dict()))
    assert rule_from(data) == rule
    assert rule_from(data).to_dict() == data
    assert rule.to_dict().keys() <= written.keys()


def test_plain_data_leaves_out_what_is_at_its_default() -> None:
    assert Rule("R", limit="5 per 60s").to_dict() == {"name": "r", "limit": "5/minute"}
    assert Rule("q", quiet="22:00-8:00 sat,sun", on_limit="digest").to_dict() == {
        "name": "q",
        "quiet": str(parse_hours("22:00-08:00 sat,sun", "quiet")),
        "on_limit": "digest",
    }


def test_a_rule_can_take_its_name_from_outside() -> None:
    assert rule_from({"limit": "5/day"}, name="Cap").name == "cap"
    assert rule_from({"limit": "5/day", "name": "x"}, name="Cap").name == "cap"


@pytest.mark.parametrize(
    ("data", "field", "value", "bound"),
    [
        ({"limit": "5/day"}, "name", None, "is missing"),
        ({"name": "r", "limits": "5/day"}, "limits", "5/day", "is no field of a rule"),
        ({"name": "r", 5: 6}, "5", 6, "is no field of a rule"),
        ([("name", "r")], "rule", [("name", "r")], "must be a table"),
        ("r", "rule", "r", "must be a table"),
        (None, "rule", None, "must be a table"),
        ({"name": "r", "limit": "1/0s"}, "limit", "1/0s", "longer than 0"),
    ],
)
def test_data_that_is_no_rule_is_refused(data: Any, field: str, value: object, bound: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        rule_from(data)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert bound in caught.value.bound


def test_a_refusal_as_an_exception_names_the_rule_and_when_it_would_agree() -> None:
    later, never = OverLimit("cap", 5_000), OverLimit("cap", None)
    assert (later.rule, later.retry_at, later.field) == ("cap", 5_000, "limit")
    assert "at 5000 ms" in str(later)
    assert "never" in str(never)
    assert never.code == "over_limit"


def test_an_error_shows_no_more_than_the_beginning_of_a_long_value() -> None:
    assert len(str(InvalidRule("name", "x" * 10_000, "is too long"))) < 150
