"""What exactly is judged: edges of windows, of versions, of hours; arrivals; files."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.windows import Unit, calendar_window, hours_end, parse_hours
from tactful.errors import InvalidRule, RequestError
from tactful.verify import Arrival, History, Report, read_arrivals, read_history, verify
from tactful.verify.clocks import wall_clock
from tactful.verify.history import (
    Attempt,
    Delivery,
    Event,
    Person,
    Policy,
    Receipt,
    read_receipts,
)
from tactful.verify.rules import read_rule

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOON = 1_792_929_600_000  # 2026-10-25 12:00 UTC


def judged(
    *instants: int,
    zone: str = "UTC",
    skew_ms: int = 0,
    changes: tuple[tuple[int, dict[str, Any] | None], ...] = (),
    **rule: Any,
) -> int:
    """How many of these hand-overs to one person the rule, and its later versions, object to."""
    versions = ((0, rule), *changes) if rule else changes
    history = History(
        [Policy(n, "r", body, at) for n, (at, body) in enumerate(versions)],
        [Person("ada", zone)],
        attempts=[Attempt("ada", at, str(n), 1, "news") for n, at in enumerate(instants)],
    )
    return verify(history, skew_ms=skew_ms).violations


def test_a_rolling_window_is_half_open() -> None:
    assert judged(NOON, NOON + MINUTE, limit="1/minute") == 0
    assert judged(NOON, NOON + MINUTE - 1, limit="1/minute") == 1
    assert judged(NOON, NOON, NOON + MINUTE - 1, limit="2 per 60 s") == 1
    assert judged(NOON, limit="0/day") == 1


def test_a_tightening_counts_what_was_before_and_judges_what_comes_after() -> None:
    before = [NOON, NOON + 1, NOON + 2]
    tight = ((NOON + 10, {"limit": "1/hour"}),)

    assert judged(*before, limit="3/hour", changes=tight) == 0
    assert judged(*before, NOON + 11, limit="3/hour", changes=tight) == 1
    assert judged(*before, NOON + HOUR + 2, limit="3/hour", changes=tight) == 0
    assert judged(*before, NOON + 11, limit="3/hour", changes=((NOON + 10, None),)) == 0


def test_in_the_instant_of_a_change_both_versions_may_have_been_in_force() -> None:
    tight = ((NOON + 10, {"limit": "1/hour"}),)

    assert judged(NOON, NOON + 10, limit="2/hour", changes=tight) == 0
    assert judged(NOON, NOON + 11, limit="2/hour", changes=tight) == 1
    assert judged(NOON, NOON + 11, limit="2/hour", changes=tight, skew_ms=1) == 0
    assert judged(NOON, NOON + 10, NOON + 10, limit="2/hour", changes=tight) == 1


def test_the_order_of_events_tells_what_equal_instants_do_not() -> None:
    """With a clock that stands still a rule, and what was accepted after it, have one instant."""
    history = History(
        [Policy(1, "r", {"limit": "1/hour"}, NOON)],
        attempts=[Attempt("ada", NOON, name, 1, "news") for name in ("a", "b")],
        events=[
            Event(1, "rule.changed", NOON, "", {"names": ["r"]}),
            Event(2, "accepted", NOON, "a"),
            Event(3, "accepted", NOON, "b"),
        ],
    )

    assert verify(history).violations == 1
    history.events = [Event(9 - event.seq, *event[1:]) for event in history.events]
    assert verify(history).violations == 0


@given(
    st.integers(0, 60),
    st.sampled_from(("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo")),
    st.sampled_from(("minute", "hour", "day", "week", "month")),
    st.integers(0, 2 * 366 * 24 * 4),
)
def test_two_instants_share_a_name_exactly_if_the_engine_has_them_in_one_window(
    apart: int, zone: str, unit: str, quarter: int
) -> None:
    at = NOON + quarter * 15 * MINUTE
    other = at + apart * 29 * MINUTE
    start, end = calendar_window(at, Unit(unit), ZoneInfo(zone))
    clock = wall_clock(zone)

    assert (clock.window(at, unit) == clock.window(other, unit)) == (start <= other < end)
    assert clock.window(start, unit) == clock.window(end - 1, unit) != clock.window(end, unit)
    assert clock.window_end(at, unit, 40 * DAY if unit == "month" else 9 * DAY) == end


@given(
    st.sampled_from(("Europe/Berlin", "America/New_York", "Pacific/Apia", "America/Havana")),
    st.sampled_from(("22:00-08:00", "02:15-02:45", "09:00-17:00 mon-fri", "23:30-00:30 sat,sun")),
    st.integers(0, 16 * 366 * 24 * 12),
)
def test_hours_are_those_of_the_engine(zone: str, text: str, step: int) -> None:
    at = 1_293_000_000_000 + step * 5 * MINUTE
    rule = read_rule({"name": "r", "quiet": text})
    assert rule.hours is not None

    engines = hours_end(at, parse_hours(text, "quiet"), ZoneInfo(zone)) is not None
    assert wall_clock(zone).within(at, rule.hours) == engines


def test_a_date_that_was_skipped_and_an_hour_that_came_twice() -> None:
    """Samoa had no 30 December 2011; Berlin had 02:30 twice on 25 October 2026."""
    apia = wall_clock("Pacific/Apia")
    skip = int(datetime(2011, 12, 30, 10, tzinfo=ZoneInfo("UTC")).timestamp()) * SECOND
    assert apia.window(skip, "day")[0] - apia.window(skip - 1, "day")[0] == 2

    berlin = ZoneInfo("Europe/Berlin")
    first = int(datetime(2026, 10, 25, 2, 30, tzinfo=berlin).timestamp()) * SECOND
    assert judged(first, first + HOUR, zone="Europe/Berlin", limit="1/hour calendar") == 0
    assert judged(first, first + HOUR, zone="Europe/Berlin", limit="1/day calendar") == 1
    assert judged(first - 3 * HOUR, first, zone="Europe/Berlin", limit="1/day calendar") == 0


@given(
    st.lists(st.integers(0, 40), max_size=30),
    st.integers(1, 4),
    st.integers(1, 20),
    st.integers(1, 3),
)
def test_windows_and_rates_agree_with_counting_every_pair(
    instants: list[int], count: int, window: int, burst: int
) -> None:
    """The slow way: each hand-over with all before it."""
    at = [NOON + instant for instant in sorted(instants)]
    crowded = sum(sum(at[j] - window < at[i] for i in range(j + 1)) > count for j in range(len(at)))
    rushed = sum(
        any((j - i + 1 - burst) * window > (at[j] - at[i] + 1) * count for i in range(j))
        for j in range(len(at))
    )

    assert judged(*at, limit=f"{count}/{window}ms") == crowded
    assert judged(*at, limit=f"{count}/{window}ms", per="channel", burst=burst) == rushed


def attempt(number: int, **fields: Any) -> Attempt:
    given = {"type": "news", "outcome": "accepted", **fields}
    return Attempt("ada", NOON + number, "d", number, **given)


def with_attempts(*attempts: Attempt, **fields: Any) -> Report:
    told = {"state": "sent", "attempts": len(attempts), **fields}
    delivery = Delivery("d", "ada", NOON, **told)
    return verify(History(deliveries=[delivery], attempts=list(attempts)))


def test_a_second_copy_is_explained_or_it_is_not() -> None:
    lost_answer = attempt(1, outcome="unknown")

    assert with_attempts(attempt(1, outcome="retry", counts=False), attempt(2)).clean
    explained = with_attempts(lost_answer, attempt(2, maybe_duplicate=True))
    assert explained.clean
    assert explained.recovered == len(explained.duplicated_explained) == 1
    assert with_attempts(lost_answer, attempt(2)).duplicated_unexplained
    assert with_attempts(attempt(1), attempt(2, maybe_duplicate=True)).duplicated_unexplained


def test_what_callers_were_told_is_held_against_the_store() -> None:
    deliveries = [
        Delivery("a", "ada", NOON, "sent", attempts=1),
        Delivery("b", "ada", NOON, "rejected"),
    ]
    attempts = [Attempt("ada", NOON, "a", 1, "news", outcome="accepted")]

    def told(*pairs: tuple[str, str]) -> Report:
        lines = [
            json.dumps({"decision": decision, "notification_id": "n", "delivery_id": id_})
            for id_, decision in pairs
        ]
        receipts: list[Receipt] = read_receipts(lines)
        return verify(History(deliveries=deliveries, attempts=attempts, receipts=receipts))

    assert told(("a", "send"), ("b", "reject")).clean
    assert told(("c", "send")).lost == ("c, of which a caller was told send, is not stored",)
    assert told(("b", "defer")).lost == ("b, of which a caller was told defer, is rejected",)
    assert told(("a", "reject")).unexpected == ("a, of which a caller was told reject, is sent",)


def test_the_log_of_a_mail_server_is_held_against_the_ledger() -> None:
    history = History(
        [Policy(1, "r", {"limit": "1/hour"}, 0)],
        deliveries=[
            Delivery(name, "ada", NOON, "sent", None, "email", "ada@example.com", attempts=1)
            for name in ("a", "b")
        ],
        attempts=[
            Attempt("ada", NOON, "a", 1, "news", "default", "email", outcome="accepted"),
            Attempt("ada", NOON + HOUR, "b", 1, "news", "default", "email", outcome="accepted"),
        ],
    )
    first, second = (
        {"message_id": "<a@x>", "rcpt": ["ada@example.com"], "wall_ms": NOON + 9_000},
        {"message_id": "<b@x>", "rcpt": ["ada@example.com"], "wall_ms": NOON + HOUR + 4_000},
    )

    def seen(*lines: dict[str, Any]) -> Report:
        return verify(history, read_arrivals([json.dumps(line) for line in lines]))

    report = seen(first, second)
    assert report.clean
    assert (report.arrived, report.spread_ms) == (2, 5_000)
    assert seen(first).lost == ("b for ada is sent and did not arrive",)
    assert len(seen(first, second, second).duplicated_unexplained) == 1
    assert len(seen(first, {**second, "rcpt": ["eve@example.com"]}).unexpected) == 1
    assert len(seen(first, second, {**second, "message_id": "<z@x>"}).unexpected) == 1


def test_what_is_too_close_at_the_mail_server_is_found_there_too() -> None:
    """However its clock is set, and less what one mail took longer than another."""
    for apart, found in ((HOUR, 0), (HOUR - 1, 1), (HOUR - 2_001, 2)):
        instants = (NOON, NOON + apart)
        history = History(
            [Policy(1, "r", {"limit": "1/hour"}, 0)],
            deliveries=[Delivery(str(at), "ada", at, "sent", attempts=1) for at in instants],
            attempts=[Attempt("ada", at, str(at), 1, "news") for at in instants],
        )
        lags = (DAY, DAY + 1_000)
        arrivals = [Arrival(at + lag, str(at), "") for at, lag in zip(instants, lags, strict=True)]
        assert verify(history, arrivals).violations == found


def test_waiting_longer_than_the_rule_asks_for_shows_as_unused_room() -> None:
    """A closed window instead of a half-open one: eleven milliseconds for each ten."""

    def used(step: int) -> float | None:
        instants = [NOON + place * step for place in range(50)]
        deliveries = [
            Delivery(str(n), "ada", NOON, "sent", attempts=1, updated_at=at)
            for n, at in enumerate(instants)
        ]
        attempts = [
            Attempt("ada", at, str(n), 1, "news", outcome="accepted")
            for n, at in enumerate(instants)
        ]
        events = [
            Event(n, "deferred", NOON, str(n), {"rule": "r"}) for n in range(1, len(instants))
        ]
        policies = [Policy(1, "r", {"limit": "1/10ms"}, 0)]
        report = verify(History(policies, [], deliveries, attempts, events))
        assert report.clean
        return report.rules["r"].used

    assert used(10) == 1.0
    assert used(11) == pytest.approx(10 / 11, abs=0.001)
    assert used(20) == pytest.approx(0.5, abs=0.001)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=6, max_size=30))
def test_nothing_is_unused_where_each_goes_as_soon_as_it_may(
    arrivals: list[tuple[int, int]],
) -> None:
    """Three places in 10 ms, one of them only for what is high; the most urgent first."""
    waiting = [(-priority, at, str(n)) for n, (at, priority) in enumerate(arrivals)]
    deliveries, attempts, events = [], [], []
    for now in range(60 + 10 * len(waiting)):
        for negative, since, id_ in sorted(waiting):
            inside = [one.priority for one in attempts if one.at > NOON + now - 10]
            low = sum(priority < 2 for priority in inside)
            if since > now or len(inside) == 3 or (low == 2 and negative > -2):
                continue
            waiting.remove((negative, since, id_))
            at, priority = NOON + now, -negative
            deliveries.append(
                Delivery(id_, "ada", NOON, "sent", priority=priority, attempts=1, updated_at=at)
            )
            attempts.append(
                Attempt("ada", at, id_, 1, "news", priority=priority, outcome="accepted")
            )
            if now > since:
                events.append(Event(len(events), "deferred", NOON + since, id_, {"rule": "r"}))
    rules = [Policy(1, "r", {"limit": "3/10ms", "reserve": {"high": 1}}, 0)]
    report = verify(History(rules, [], deliveries, attempts, events))
    assert not waiting
    assert report.clean
    assert report.rules["r"].used == (1.0 if events else None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[]", "line 1: must be a JSON object"),
        ('{"record": "atempt"}', "line 1: record: must be one of"),
        ('{"record": "recipient", "id": "ada"}', "line 1: timezone: is missing"),
        ('{"record": "recipient", "id": 7, "timezone": "UTC"}', "line 1: id: must be a text"),
        ('{"record": "event", "seq": 1, "name": "x", "at": -1}', "line 1: at: must be 0 to"),
        ('{"record": "event", "seq": true, "name": "x", "at": 1}', "seq: must be a whole number"),
        ('{"record": "event", "sec": 1}', "line 1: sec: is no field"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_history([line])


def test_a_rule_or_a_zone_that_cannot_be_read_is_no_clean_history() -> None:
    for body, words in (
        ({"limit": "2/fortnight"}, "rule r, version 0: limit"),
        ({"limit": "2/minute", "per": "planet"}, "rule r, version 0: per"),
        ({"limit": "2/minute", "except": ["critical"]}, "rule r, version 0: except"),
        ({"quiet": "25:00-08:00"}, "rule r, version 0: quiet"),
        ({"limit": "2/minute", "quiet": "22:00-08:00"}, "exactly one"),
    ):
        with pytest.raises(InvalidRule, match=words):
            judged(NOON, **body)
    with pytest.raises(RequestError, match="timezone"):
        judged(NOON, zone="Europe/Atlantis", limit="1/day calendar")


def test_every_way_to_write_a_limit_means_the_same() -> None:
    for text in ("3/2min", "3 per 2 minutes", "3 in 2m", "3 every 120 s", "3/2min rolling"):
        rule = read_rule({"name": "r", "limit": text})
        assert timedelta(milliseconds=rule.window_ms) == timedelta(minutes=2)
        assert rule.count == 3


# Pauses ---------------------------------------------------------------------------------------


def paused(*instants: int, until: int | None = NOON + HOUR, **more: Any) -> tuple[str, ...]:
    """What is said about hand-overs of something that was paused at noon."""
    ends = [] if until is None else [Event(3, "resumed", until, notification="n")]
    history = History(
        deliveries=[
            Delivery("d", "ada", NOON - HOUR, state="delivered", notification="n", attempts=1)
        ],
        attempts=[Attempt("ada", at, "d", n, "news") for n, at in enumerate(instants, 1)],
        events=[
            Event(1, "accepted", NOON - HOUR, "d"),
            Event(2, "paused", NOON, notification="n"),
            *ends,
        ],
    )
    found: tuple[str, ...] = verify(history, **more).unexpected
    return found


def test_a_hand_over_while_it_was_paused_is_found() -> None:
    (told,) = paused(NOON + MINUTE)
    assert told == f"d for ada was paused at {NOON}, and attempt 1 was at {NOON + MINUTE}"
    assert len(paused(NOON + DAY, until=None)) == 1
    assert paused(NOON - MINUTE) == paused(NOON + HOUR) == ()


def test_what_was_claimed_when_it_was_paused_may_arrive() -> None:
    """Clocks differ, and what is in hand is not called back."""
    assert paused(NOON + SECOND) == paused(NOON + HOUR - SECOND) == ()
    assert len(paused(NOON + 2, skew_ms=1)) == 1
