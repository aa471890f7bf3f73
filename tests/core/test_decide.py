"""Decisions by example: what is promised about limits, priorities, hours and the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tactful.core.checks import compile_checks
from tactful.core.decide import Subject, decide, remaining
from tactful.core.model import (
    DAY,
    HOUR,
    MINUTE,
    NEVER,
    SECOND,
    Collapse,
    Decision,
    Defer,
    Digest,
    Entry,
    Expire,
    Kind,
    Millis,
    Priority,
    Reject,
    Send,
    Suppress,
)
from tactful.core.plan import next_slot
from tactful.core.rules import Limit, Rule
from tactful.core.windows import Unit

NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")


def ms(text: str) -> Millis:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


T0 = ms("2026-06-01T12:00Z")  # a Monday


def kind(
    name: str = "news",
    priority: Priority = Priority.NORMAL,
    category: str = "default",
    channel: str = "email",
) -> Kind:
    return Kind(name, category, channel, priority)


NEWS, STATUS, MARKETING = kind("news"), kind("status"), kind("marketing")
LOW, HIGH, CRITICAL = (kind("news", Priority(n)) for n in (0, 2, 3))


def at(kind: Kind, *instants: Millis) -> list[Entry]:
    return [Entry(instant, kind) for instant in instants]


def answer(
    rules: Sequence[Rule],
    kind: Kind,
    history: Sequence[Entry],
    now: Millis,
    planned: Sequence[Entry] = (),
    zone: tzinfo = UTC,
    **more: Any,
) -> Decision:
    return decide(Subject(kind, zone, **more), history, planned, compile_checks(rules, kind), now)


def sent_of(rules: Sequence[Rule], wanted: Sequence[Kind], now: Millis) -> list[bool]:
    """Who goes when all are asked about one after the other in one instant."""
    history: list[Entry] = []
    answers = []
    for one in wanted:
        goes = answer(rules, one, history, now) == Send()
        answers.append(goes)
        if goes:
            history.append(Entry(now, one))
    return answers


# Rolling limits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "window_ms"),
    [("1/s", SECOND), ("1/minute", MINUTE), ("1/90min", 90 * MINUTE), ("1/day", DAY)],
)
def test_a_window_is_over_at_exactly_its_length_and_not_a_millisecond_before(
    limit: str, window_ms: Millis
) -> None:
    rules, history = [Rule("r", limit=limit)], at(NEWS, T0)
    for now in (T0, T0 + 1, T0 + window_ms - 1):
        assert answer(rules, NEWS, history, now) == Defer(T0 + window_ms, "r")
    assert answer(rules, NEWS, history, T0 + window_ms) == Send()


def test_a_window_slides_and_is_not_cut_at_the_clock() -> None:
    rules = [Rule("r", limit="2/minute")]
    history = at(NEWS, T0 + 59_000, T0 + 59_500)
    assert answer(rules, NEWS, history, T0 + 60_000) == Defer(T0 + 119_000, "r")
    assert answer(rules, NEWS, history, T0 + 119_000) == Send()
    history += at(NEWS, T0 + 119_000)
    assert answer(rules, NEWS, history, T0 + 119_000) == Defer(T0 + 119_500, "r")


def test_five_calls_of_the_sample_rules() -> None:
    rules = [
        Rule("status", limit="2/minute", types=["Status"]),
        Rule("news", limit="1/day", types=["News"]),
        Rule("marketing", limit="3/hour", types=["Marketing"]),
    ]
    assert sent_of(rules, [NEWS, NEWS, NEWS], T0) == [True, False, False]
    assert sent_of(rules, [STATUS] * 3 + [NEWS], T0) == [True, True, False, True]
    assert sent_of(rules, [MARKETING] * 5, T0) == [True, True, True, False, False]
    history = at(MARKETING, T0, T0, T0)
    assert answer(rules, MARKETING, history, T0) == Defer(T0 + HOUR, "marketing")


def test_types_do_not_use_up_each_other_unless_a_rule_counts_them_together() -> None:
    apart = [Rule("r", limit="1/hour", per="recipient+type")]
    assert sent_of(apart, [NEWS, STATUS, NEWS, STATUS], T0) == [True, True, False, False]
    together = [Rule("r", limit="1/hour", types=["news", "status"])]
    assert sent_of(together, [NEWS, STATUS, MARKETING], T0) == [True, False, True]


def test_categories_and_channels_can_be_counted_apart() -> None:
    offer, sms = kind(category="offers"), kind(channel="sms")
    by_category = [Rule("r", limit="1/hour", per="recipient+category")]
    assert sent_of(by_category, [NEWS, offer, sms], T0) == [True, True, False]
    by_channel = [Rule("r", limit="1/hour", per="recipient+channel")]
    assert sent_of(by_channel, [NEWS, offer, sms], T0) == [True, False, True]


def test_a_type_that_no_rule_speaks_of_goes() -> None:
    rules = [Rule("r", limit="0/day", types=["status"])]
    assert sent_of(rules, [NEWS, NEWS, STATUS], T0) == [True, True, False]
    assert answer(rules, NEWS, [], T0, planned=at(NEWS, T0)) == Send()


def test_asking_in_vain_uses_up_nothing() -> None:
    rules, history = [Rule("r", limit="1/minute")], at(NEWS, T0)
    for now in range(T0, T0 + MINUTE, SECOND):
        assert answer(rules, NEWS, history, now) == Defer(T0 + MINUTE, "r")
    assert history == at(NEWS, T0)
    assert answer(rules, NEWS, history, T0 + MINUTE) == Send()


# Several rules --------------------------------------------------------------------------------

SEVERAL = [
    Rule("status", limit="2/minute", types=["status"]),
    Rule("all", limit="4/day"),
    Rule("channel", limit="3/hour", per="recipient+channel"),
]


def test_every_rule_must_agree_and_a_refusal_charges_none_of_them() -> None:
    history = at(STATUS, T0, T0)
    assert answer(SEVERAL, STATUS, history, T0) == Defer(T0 + MINUTE, "status")
    # What the type refused left its place in the other two.
    assert answer(SEVERAL, NEWS, history, T0) == Send()
    history += at(NEWS, T0)
    assert answer(SEVERAL, NEWS, history, T0) == Defer(T0 + HOUR, "channel")
    sms = kind(channel="sms")
    assert answer(SEVERAL, sms, history, T0) == Send()
    history += at(sms, T0)
    for one in (NEWS, STATUS, sms, MARKETING):
        assert answer(SEVERAL, one, history, T0) == Defer(T0 + DAY, "all")
    assert answer(SEVERAL, STATUS, history, T0 + DAY) == Send()


def test_the_slot_pleases_all_rules_and_the_rule_that_ends_last_is_named() -> None:
    rules = [Rule("minute", limit="1/minute"), Rule("hour", limit="2/hour")]
    history = at(NEWS, T0, T0 + 59 * MINUTE + 30 * SECOND)
    now = T0 + 59 * MINUTE + 40 * SECOND
    assert answer(rules, NEWS, history, now) == Defer(T0 + 60 * MINUTE + 30 * SECOND, "minute")
    assert answer(rules, NEWS, history, T0 + 60 * MINUTE) == Defer(
        T0 + 60 * MINUTE + 30 * SECOND, "minute"
    )


@pytest.mark.parametrize(
    ("on_limits", "expected"),
    [
        (("defer", "defer"), Defer(T0 + DAY, "day")),
        (("defer", "digest"), Digest(T0 + DAY, "day")),
        (("digest", "defer"), Digest(T0 + DAY, "hour")),
        (("collapse", "digest"), Collapse(T0 + DAY, "hour")),
        (("digest", "collapse"), Collapse(T0 + DAY, "day")),
        (("reject", "collapse"), Reject("hour", T0 + DAY)),
        (("reject", "reject"), Reject("day", T0 + DAY)),
        (("defer", "reject"), Reject("day", T0 + DAY)),
    ],
)
def test_the_sternest_of_the_rules_that_say_no_decides(
    on_limits: tuple[str, str], expected: Decision
) -> None:
    rules = [
        Rule("hour", limit="1/hour", on_limit=on_limits[0]),
        Rule("day", limit="1/day", on_limit=on_limits[1]),
    ]
    assert answer(rules, NEWS, at(NEWS, T0), T0) == expected
    assert answer(rules[::-1], NEWS, at(NEWS, T0), T0) == expected


def test_a_stern_rule_that_has_room_says_nothing() -> None:
    rules = [
        Rule("minute", limit="1/minute"),
        Rule("day", limit="9/day", on_limit="reject"),
    ]
    assert answer(rules, NEWS, at(NEWS, T0), T0) == Defer(T0 + MINUTE, "minute")


@pytest.mark.parametrize(
    ("on_limit", "expected"),
    [
        ("defer", Defer(NEVER, "off")),
        ("digest", Digest(NEVER, "off")),
        ("collapse", Collapse(NEVER, "off")),
        ("reject", Reject("off", NEVER)),
    ],
)
@pytest.mark.parametrize("limit", ["0/hour", "0/day calendar"])
def test_a_count_of_nought_never_lets_anything_go(
    limit: str, on_limit: str, expected: Decision
) -> None:
    rules = [Rule("some", limit="5/hour"), Rule("off", limit=limit, on_limit=on_limit)]
    assert answer(rules, NEWS, [], T0) == expected
    assert answer(rules, NEWS, at(NEWS, T0 - HOUR, T0), T0) == expected


# Rules that change ----------------------------------------------------------------------------


def test_a_stricter_rule_counts_what_was_already_sent() -> None:
    history = at(NEWS, *(T0 + n * MINUTE for n in range(3)))
    now = T0 + 3 * MINUTE
    assert answer([Rule("r", limit="1/minute")], NEWS, history, now) == Send()
    assert answer([Rule("r", limit="3/day")], NEWS, history, now) == Defer(T0 + DAY, "r")
    assert answer([Rule("r", limit="2/day")], NEWS, history, now) == Defer(T0 + DAY + MINUTE, "r")


def test_a_new_daily_cap_at_noon_knows_about_the_morning() -> None:
    history = at(NEWS, T0 - 5 * HOUR) + at(STATUS, T0 - 4 * HOUR)
    rules = [Rule("cap", limit="2/day calendar")]
    assert answer(rules, MARKETING, history, T0) == Defer(ms("2026-06-02T00:00Z"), "cap")


# Priorities -----------------------------------------------------------------------------------


def test_who_is_exempt_is_neither_limited_nor_counted() -> None:
    rules = [Rule("r", limit="1/hour", exempt=["critical"])]
    assert sent_of(rules, [CRITICAL, CRITICAL, NEWS, CRITICAL, HIGH], T0) == [
        True,
        True,
        True,
        True,
        False,
    ]


def test_a_lower_priority_never_takes_a_reserved_slot() -> None:
    rules = [Rule("r", limit="5/hour", reserve={"high": 2, "critical": 1})]
    assert sent_of(rules, [LOW, NEWS, LOW, NEWS], T0) == [True, True, False, False]
    assert sent_of(rules, [HIGH] * 5, T0) == [True] * 4 + [False]
    assert sent_of(rules, [CRITICAL] * 6, T0) == [True] * 5 + [False]
    crowd = [LOW] * 9 + [HIGH] * 9 + [CRITICAL] * 9
    went = [one for one, goes in zip(crowd, sent_of(rules, crowd, T0), strict=True) if goes]
    assert went == [LOW, LOW, HIGH, HIGH, CRITICAL]


def test_a_reserve_that_is_used_up_frees_the_rest() -> None:
    rules = [Rule("r", limit="4/hour", reserve={"critical": 2})]
    assert sent_of(rules, [CRITICAL, CRITICAL, LOW, LOW, LOW], T0) == [True] * 4 + [False]
    assert sent_of(rules, [CRITICAL, LOW, LOW, LOW, CRITICAL], T0) == [True] * 3 + [False, True]


def test_who_is_kept_from_a_reserve_waits_for_one_of_his_own_to_leave() -> None:
    rules = [Rule("r", limit="2/hour", reserve={"high": 1})]
    history = at(NEWS, T0) + at(HIGH, T0 + MINUTE)
    assert answer(rules, NEWS, history[:1], T0 + 1) == Defer(T0 + HOUR, "r")
    assert answer(rules, NEWS, history, T0 + 2 * MINUTE) == Defer(T0 + HOUR, "r")
    assert answer(rules, HIGH, history, T0 + 2 * MINUTE) == Defer(T0 + HOUR, "r")


def test_a_limit_that_is_all_reserved_leaves_nothing_to_those_below() -> None:
    rules = [Rule("r", limit="2/hour", reserve={"high": 2})]
    assert answer(rules, NEWS, [], T0) == Defer(NEVER, "r")
    assert sent_of(rules, [CRITICAL, HIGH, HIGH], T0) == [True, True, False]


# Hours ----------------------------------------------------------------------------------------


def test_quiet_hours_are_those_of_the_recipient() -> None:
    rules = [Rule("night", quiet="22:00-08:00")]
    for clock, until in [
        ("2026-06-01T21:59:59", None),
        ("2026-06-01T22:00:00", "2026-06-02T08:00"),
        ("2026-06-02T03:00:00", "2026-06-02T08:00"),
        ("2026-06-02T07:59:59", "2026-06-02T08:00"),
        ("2026-06-02T08:00:00", None),
    ]:
        for zone in (UTC, NEW_YORK, KOLKATA):
            now = round(datetime.fromisoformat(clock).replace(tzinfo=zone).timestamp()) * SECOND
            found = answer(rules, NEWS, [], now, zone=zone)
            if until is None:
                assert found == Send()
            else:
                end = datetime.fromisoformat(until).replace(tzinfo=zone).timestamp()
                assert found == Defer(round(end) * SECOND, "night")


def test_outside_of_the_send_window_it_waits_for_the_next_one() -> None:
    rules = [Rule("office", window="09:00-17:00 mon-fri", on_limit="digest")]
    assert answer(rules, NEWS, [], ms("2026-06-05T16:59:59Z")) == Send()
    monday = ms("2026-06-08T09:00Z")
    assert answer(rules, NEWS, [], ms("2026-06-05T17:00Z")) == Digest(monday, "office")
    assert answer(rules, NEWS, [], monday - 1) == Digest(monday, "office")
    assert answer(rules, NEWS, [], monday) == Send()


def test_a_slot_that_falls_into_quiet_hours_moves_behind_them() -> None:
    rules = [Rule("cap", limit="1/12h"), Rule("night", quiet="22:00-08:00", exempt=["critical"])]
    now, morning = T0 + HOUR, ms("2026-06-02T08:00Z")
    assert answer(rules, NEWS, at(NEWS, T0), now) == Defer(morning, "cap")
    assert answer(rules, CRITICAL, at(NEWS, T0), now) == Defer(T0 + 12 * HOUR, "cap")
    assert answer(rules, NEWS, at(NEWS, T0), ms("2026-06-01T23:00Z")) == Defer(morning, "night")


def test_quiet_hours_can_refuse() -> None:
    rules = [Rule("cap", limit="1/day"), Rule("night", quiet="22:00-08:00", on_limit="reject")]
    now = ms("2026-06-01T23:00Z")
    assert answer(rules, NEWS, [], now) == Reject("night", now + 9 * HOUR)
    assert answer(rules, NEWS, at(NEWS, now - HOUR), now) == Reject(
        "night", now + 23 * HOUR + 10 * HOUR
    )


def test_hours_that_are_always_quiet_leave_no_slot() -> None:
    assert answer([Rule("off", quiet="00:00-24:00")], NEWS, [], T0) == Defer(NEVER, "off")


def test_hours_that_are_always_quiet_leave_no_slot_beside_other_hours() -> None:
    rules = [Rule("off", quiet="00:00-24:00"), Rule("office", window="14:00-17:00")]
    assert answer(rules, NEWS, [], T0) == Defer(NEVER, "off")
    assert answer(rules[::-1], NEWS, [], T0) == Defer(NEVER, "off")


def test_hours_without_an_instant_in_common_leave_no_slot() -> None:
    rules = [Rule("am", window="09:00-11:00"), Rule("pm", window="14:00-16:00")]
    assert next_slot([], compile_checks(rules, NEWS), UTC, T0) == NEVER


# Calendars and clocks -------------------------------------------------------------------------


def test_a_calendar_day_ends_at_the_midnight_of_the_recipient() -> None:
    rules = [Rule("r", limit="1/day calendar")]
    history = at(NEWS, ms("2026-06-01T23:30-04:00"))
    midnight = ms("2026-06-02T00:00-04:00")
    assert answer(rules, NEWS, history, midnight - 1, zone=NEW_YORK) == Defer(midnight, "r")
    assert answer(rules, NEWS, history, midnight, zone=NEW_YORK) == Send()
    assert answer(rules, NEWS, history, midnight, zone=UTC) == Defer(ms("2026-06-03T00:00Z"), "r")


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-08T00:00-05:00", "2026-03-09T00:00-04:00", 23),
        ("2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00", 25),
    ],
)
def test_a_calendar_day_of_a_clock_change_is_as_long_as_it_is(
    start: str, end: str, hours: int
) -> None:
    rules, first, last = [Rule("r", limit="1/day calendar")], ms(start), ms(end)
    assert last - first == hours * HOUR
    assert answer(rules, NEWS, at(NEWS, first), first, zone=NEW_YORK) == Defer(last, "r")
    assert answer(rules, NEWS, at(NEWS, first), last - 1, zone=NEW_YORK) == Defer(last, "r")
    assert answer(rules, NEWS, at(NEWS, first), last, zone=NEW_YORK) == Send()
    assert answer(rules, NEWS, at(NEWS, first - 1), first, zone=NEW_YORK) == Send()


@pytest.mark.parametrize("now", [ms("2026-03-08T01:59:30-05:00"), ms("2026-11-01T01:30-04:00"), T0])
def test_an_hour_is_an_hour_when_the_clock_is_changed(now: Millis) -> None:
    rules, history = [Rule("r", limit="3/hour")], at(MARKETING, now, now, now)
    for later in (now + MINUTE, now + HOUR - 1):
        assert answer(rules, MARKETING, history, later, zone=NEW_YORK) == Defer(now + HOUR, "r")
    assert answer(rules, MARKETING, history, now + HOUR, zone=NEW_YORK) == Send()


def test_a_clock_that_was_a_year_ahead_blocks_nobody() -> None:
    history = at(NEWS, T0 + 365 * DAY)
    assert answer([Rule("r", limit="1/day")], NEWS, history, T0) == Send()
    assert answer([Rule("r", limit="1/day calendar")], NEWS, history, T0) == Send()


def test_a_clock_that_stepped_back_a_little_lets_nothing_through() -> None:
    rules = [Rule("r", limit="1/minute")]
    history = at(NEWS, T0)
    for now in (T0 - 1, T0 - 30 * SECOND, T0 - MINUTE + 1):
        assert answer(rules, NEWS, history, now) == Defer(T0 + MINUTE, "r")
    assert answer(rules, NEWS, history, T0 - MINUTE) == Send()


# Those who wait -------------------------------------------------------------------------------


def test_a_later_one_plans_behind_those_who_wait() -> None:
    rules = [Rule("r", limit="1/minute")]
    planned = at(NEWS, T0 + MINUTE, T0 + 2 * MINUTE)
    assert answer(rules, NEWS, at(NEWS, T0), T0, planned) == Defer(T0 + 3 * MINUTE, "r")


def test_a_slot_that_is_far_enough_off_blocks_nothing_now() -> None:
    rules = [Rule("r", limit="1/minute")]
    assert answer(rules, NEWS, [], T0, at(NEWS, T0 + MINUTE)) == Send()
    assert answer(rules, NEWS, [], T0, at(NEWS, T0 + MINUTE - 1)) == Defer(T0 + 2 * MINUTE - 1, "r")


def test_a_delivery_may_go_between_two_slots() -> None:
    checks = compile_checks([Rule("r", limit=Limit(1, 10))], NEWS)
    planned = at(NEWS, 100, 120)
    assert [next_slot(planned, checks, UTC, now) for now in (90, 91, 95, 110, 111)] == [
        90,
        110,
        110,
        110,
        130,
    ]


# The recipient and the time to live -----------------------------------------------------------


def test_who_is_suppressed_gets_nothing_whatever_the_rules_say() -> None:
    assert answer([], NEWS, [], T0, suppressed="muted") == Suppress("muted")
    assert answer([], NEWS, [], T0, suppressed="") == Suppress("")
    assert answer([], NEWS, [], T0, suppressed="bounced", expires_at=T0) == Suppress("bounced")


def test_it_expires_at_exactly_its_time_to_live() -> None:
    rules = [Rule("r", limit="1/day", on_limit="reject")]
    assert answer(rules, NEWS, [], T0 - 1, expires_at=T0) == Send()
    assert answer(rules, NEWS, [], T0, expires_at=T0) == Expire(T0)
    assert answer(rules, NEWS, at(NEWS, T0), T0 + 5, expires_at=T0) == Expire(T0)


# What remains ---------------------------------------------------------------------------------


def test_the_tightest_rule_says_what_remains() -> None:
    rules = [Rule("hour", limit="5/hour"), Rule("day", limit="6/day calendar")]
    checks = compile_checks(rules, NEWS)
    history = at(NEWS, T0 - 2 * HOUR, T0 - HOUR, T0 - HOUR + 1, T0)
    assert remaining([], [], checks, UTC, T0) == (5, "hour")
    assert remaining(history, [], checks, UTC, T0) == (2, "day")
    assert remaining(history, at(NEWS, T0), checks, UTC, T0) == (1, "day")
    assert remaining(history * 2, [], checks, UTC, T0) == (0, "day")
    assert remaining(history, [], compile_checks([], NEWS), UTC, T0) == (None, None)


def test_the_checks_tell_how_far_back_and_how_much_of_the_line_to_look_at() -> None:
    none = compile_checks([Rule("other", limit="1/day", types=["other"])], NEWS)
    assert (none.bounds, none.spans, none.gates) == ((), (), ())
    assert (none.reach_ms, none.view) == (0, 256)
    rules = [
        Rule("day", limit="1/day"),
        Rule("week", limit="300/week calendar"),
        Rule("night", quiet="22:00-08:00"),
        Rule("provider", limit="5/s", per="channel"),
    ]
    some = compile_checks(rules, NEWS)
    assert [len(part) for part in (some.bounds, some.spans, some.gates)] == [2, 1, 1]
    assert some.reach_ms == Limit(1, DAY, Unit.WEEK).reach_ms
    assert some.view == 301
