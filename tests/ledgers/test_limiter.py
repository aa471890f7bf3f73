"""The limiter on a real server: what is granted, until when not, what is kept and given back."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
import valkey
from histories import Histories, MakeLimiter

from tactful import Ask, Limiter, Rule
from tactful.core.windows import Unit, calendar_window
from tactful.errors import ConfigError, InvalidRule, RequestError

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
FUTURE = 2_000_000_000_000


def server_ms(client: valkey.Valkey) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1_000 + int(microseconds) // 1_000


def test_what_is_over_the_limit_hears_when_there_is_room_again(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("status", "2/minute", types=["status"]))
    before = server_ms(client)

    first, second, third = (limiter.acquire("ada", "status") for _ in range(3))

    assert before <= first.at <= second.at <= third.at <= server_ms(client)
    assert (first.granted, first.rule, first.remaining) == (True, "status", 1)
    assert (second.granted, second.rule, second.remaining) == (True, "status", 0)
    assert (third.granted, third.rule, third.remaining) == (False, "status", 0)
    assert third.retry_at == first.at + MINUTE
    assert third.retry_after_ms == first.at + MINUTE - third.at
    assert (third.id, first.retry_at, first.retry_after_ms) == (None, None, None)


def test_there_is_room_at_exactly_the_instant_that_was_told(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("status", "2/minute"), namespace="edge")
    histories = Histories(client, "edge")
    histories.advance("ada", FUTURE)
    limiter.acquire("ada", "status")
    limiter.acquire("ada", "status")
    told = limiter.acquire("ada", "status").retry_at
    assert told == FUTURE + MINUTE

    histories.advance("ada", told - 1)
    too_early = limiter.acquire("ada", "status")
    histories.advance("ada", told)
    in_time = limiter.acquire("ada", "status")

    assert (too_early.granted, too_early.at, too_early.retry_at) == (False, told - 1, told)
    assert (in_time.granted, in_time.at) == (True, told)


def test_all_rules_must_agree_or_none_is_charged(make: MakeLimiter) -> None:
    limiter = make(Rule("each", "1/day", per="recipient+type"), Rule("all", "3/day"))
    for _ in range(5):
        limiter.acquire("ada", "news")

    others = [limiter.acquire("ada", kind).granted for kind in ("status", "offers", "alarm")]

    assert others == [True, True, False]


def test_a_calendar_day_ends_at_midnight_where_the_recipient_lives(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("daily", "1/day calendar"), namespace="calendar")
    histories = Histories(client, "calendar")
    _, midnight = calendar_window(FUTURE, Unit.DAY, ZoneInfo("Pacific/Auckland"))
    histories.advance("ada", midnight - 2)

    last_of_the_day = limiter.acquire("ada", "news", zone="Pacific/Auckland")
    too_many = limiter.acquire("ada", "news", zone="Pacific/Auckland")
    histories.advance("ada", midnight)
    first_of_the_next = limiter.acquire("ada", "news", zone="Pacific/Auckland")

    assert last_of_the_day.granted
    assert (too_many.granted, too_many.retry_at) == (False, midnight)
    assert first_of_the_next.granted


def test_exempt_priorities_are_neither_limited_nor_counted(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "1/day", exempt=["critical"]))

    urgent = [limiter.acquire("ada", "alarm", priority="critical") for _ in range(3)]
    usual = limiter.acquire("ada", "alarm")

    assert all(answer.granted and answer.id is None for answer in urgent)
    assert usual.granted


def test_a_reserved_slot_is_left_for_whom_it_is_reserved(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "2/day", reserve={"high": 1}))

    granted = [
        limiter.acquire("ada", "news", priority=priority).granted
        for priority in ("normal", "normal", "high", "high")
    ]

    assert granted == [True, False, True, False]


def test_nothing_at_all_never_has_room(make: MakeLimiter) -> None:
    limiter = make(Rule("off", "0/day"))

    answer = limiter.acquire("ada", "news")

    assert (answer.granted, answer.retry_at, answer.retry_after_ms) == (False, None, None)


def test_what_no_rule_matches_is_granted_and_not_written_down(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("status", "1/day", types=["status"]), namespace="unmatched")

    answer = limiter.acquire("ada", "news")

    assert (answer.granted, answer.rule, answer.remaining, answer.id) == (True, None, None, None)
    assert client.keys("unmatched:*") == []


def test_a_refusal_changes_nothing(make: MakeLimiter, client: valkey.Valkey) -> None:
    limiter = make(Rule("all", "1/day"), namespace="refused")
    key = Histories(client, "refused").key("ada")
    limiter.acquire("ada", "news")
    before = client.get(key), client.pexpiretime(key)

    limiter.acquire("ada", "news")

    assert (client.get(key), client.pexpiretime(key)) == before


def test_one_person_in_two_spellings_is_one_person(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "1/day"))

    first = limiter.acquire("Ada@Example.com ", "News")
    second = limiter.acquire("ada@example.com", "news")

    assert (first.granted, second.granted) == (True, False)


def test_many_asks_are_answered_in_their_order(make: MakeLimiter) -> None:
    limiter = make(Rule("status", "2/day", types=["status"]), Rule("each", "3/day"))
    people = [f"person{number}" for number in range(700)]
    asks = [Ask(who, what) for what in ("status", "status", "status", "news") for who in people]

    answers = limiter.acquire_many(asks)

    assert [answer.granted for answer in answers] == [True] * 1400 + [False] * 700 + [True] * 700
    assert {answer.rule for answer in answers[1400:2100]} == {"status"}


def test_one_recipient_may_be_asked_about_again_and_again_in_one_batch(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "1500/day"))

    answers = limiter.acquire_many([Ask("ada", "news")] * 2_000)

    assert [answer.granted for answer in answers] == [True] * 1500 + [False] * 500
    assert len({answer.id for answer in answers[:1500]}) == 1500
    assert [answer.remaining for answer in answers[:1500]] == list(range(1499, -1, -1))


def test_an_empty_batch_has_no_answers(make: MakeLimiter) -> None:
    assert make(Rule("all", "1/day")).acquire_many([]) == []


# Giving back ----------------------------------------------------------------------------------


def test_what_is_given_back_counts_no_more(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "1/day"))
    first = limiter.acquire("ada", "news")
    assert first.id is not None

    assert limiter.release(first.id)

    assert limiter.acquire("ada", "news").granted


def test_giving_back_twice_takes_nothing_from_anybody_else(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "2/day"))
    first = limiter.acquire("ada", "news")
    assert first.id is not None
    limiter.release(first.id)
    limiter.acquire("ada", "news")
    limiter.acquire("ada", "news")

    assert not limiter.release(first.id)

    assert not limiter.acquire("ada", "news").granted


def test_within_one_millisecond_no_id_is_used_again(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("all", "2/day"), namespace="moment")
    Histories(client, "moment").advance("ada", FUTURE)

    ids = set()
    for _ in range(50):
        answer = limiter.acquire("ada", "news")
        assert (answer.at, answer.id is not None) == (FUTURE, True)
        ids.add(answer.id)
        assert answer.id is not None
        assert limiter.release(answer.id)

    assert len(ids) == 50


def test_giving_back_too_late_does_nothing(make: MakeLimiter, client: valkey.Valkey) -> None:
    limiter = make(Rule("all", "1/minute"), namespace="late")
    first = limiter.acquire("ada", "news")
    assert first.id is not None
    Histories(client, "late").advance("ada", first.at + MINUTE)
    second = limiter.acquire("ada", "news")

    assert not limiter.release(first.id)

    assert second.granted
    assert not limiter.acquire("ada", "news").granted


def test_several_are_given_back_at_once(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "2/day"))
    answers = limiter.acquire_many([Ask(f"person{n % 300}", "news") for n in range(600)])
    ids = [answer.id or "" for answer in answers]

    first, second = limiter.release_many(ids[:400]), limiter.release_many(ids)

    assert first == [True] * 400
    assert second == [False] * 400 + [True] * 200
    assert limiter.release_many([]) == []


@pytest.mark.parametrize("one", ["", "ada", "12:ada", None, 7, "1-1:" + "a" * 321])
def test_what_is_no_id_is_refused(make: MakeLimiter, one: object) -> None:
    with pytest.raises(RequestError, match="id: must be the id"):
        make(Rule("all", "1/day")).release(one)  # type: ignore[arg-type]


# What is kept ---------------------------------------------------------------------------------


def test_a_history_ends_with_its_longest_window(make: MakeLimiter, client: valkey.Valkey) -> None:
    limiter = make(Rule("short", "2/minute"), Rule("long", "9/day"), namespace="ends")
    key = Histories(client, "ends").key("ada")

    answers = [limiter.acquire("ada", "news") for _ in range(2)]

    assert client.pexpiretime(key) == answers[-1].at + DAY


def test_no_more_is_kept_than_the_largest_limit_needs(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(
        Rule("second", "3/s", types=["status"]), Rule("day", "5/day", types=["news"]), namespace="k"
    )
    histories = Histories(client, "k")
    for step in range(200):
        histories.advance("ada", FUTURE + step * 400)
        limiter.acquire_many([Ask("ada", "status"), Ask("ada", "news")])

    assert sorted(histories.sizes("ada")) == [3, 5]


def test_taking_and_giving_back_all_day_long_leaves_nothing(
    make: MakeLimiter, client: valkey.Valkey
) -> None:
    limiter = make(Rule("all", "3/day"), namespace="pair")
    for _ in range(100):
        answer = limiter.acquire("ada", "news")
        assert limiter.release(answer.id or "")

    histories = Histories(client, "pair")
    assert histories.sizes("ada") == []
    assert client.strlen(histories.key("ada")) <= 12


def test_limiters_of_two_namespaces_do_not_meet(make: MakeLimiter) -> None:
    one, other = make(Rule("all", "1/day")), make(Rule("all", "1/day"))
    one.acquire("ada", "news")

    assert other.acquire("ada", "news").granted


def test_a_stricter_rule_counts_what_was_granted_before_it(make: MakeLimiter) -> None:
    wide = make(Rule("all", "9/day"), namespace="stricter")
    for _ in range(5):
        wide.acquire("ada", "news")
    strict = make(Rule("all", "2/day"), namespace="stricter")

    answer = strict.acquire("ada", "news")

    assert (answer.granted, answer.remaining) == (False, 0)


def test_while_rules_change_process_by_process_each_answer_is_right_under_its_own(
    make: MakeLimiter,
) -> None:
    old = make(Rule("all", "3/day"), namespace="changing")
    new = make(Rule("all", "5/day"), namespace="changing")

    answers = [one.acquire("ada", "news") for one in (new, old, new, old, new, new, old, new)]

    expected = [True, True, True, False, True, True, False, False]
    assert [answer.granted for answer in answers] == expected


def test_a_longer_window_counts_what_the_shorter_one_still_had(make: MakeLimiter) -> None:
    short = make(Rule("all", "2/minute"), namespace="longer")
    first, _ = (short.acquire("ada", "news") for _ in range(2))
    long = make(Rule("all", "2/day"), namespace="longer")

    answer = long.acquire("ada", "news")

    assert (answer.granted, answer.retry_at) == (False, first.at + 86_400_000)


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("night", quiet="22:00-08:00"), "a limiter knows no hours"),
        (Rule("door", "1/s", per="channel"), "counts for each recipient apart"),
        (Rule("much", "10001/day"), "counts to 10000 at most"),
        ("2/minute", "must be rules"),
    ],
)
def test_a_rule_that_it_cannot_keep_is_refused(make: MakeLimiter, rule: Rule, said: str) -> None:
    with pytest.raises(InvalidRule, match=said):
        make(rule)


def test_two_rules_of_one_name_are_refused(make: MakeLimiter) -> None:
    with pytest.raises(InvalidRule, match="must be of one rule only"):
        make(Rule("all", "1/day"), Rule("ALL", "2/day"))


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (Ask("", "news"), "recipient"),
        (Ask("ada", ""), "type"),
        (Ask("ada", "news", "loud"), "priority"),
        (Ask("ada", "news", channel=""), "channel"),
        (Ask("ada", "news", zone="Berlin"), "zone"),
        (Ask("ada", "news", zone="../x"), "zone"),
        (Ask("ada", ["news"]), "ask"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_ask_is_refused_and_the_others_are_not_asked(
    make: MakeLimiter, ask: Ask, field: str
) -> None:
    limiter = make(Rule("all", "1/day"))

    with pytest.raises(RequestError) as caught:
        limiter.acquire_many([Ask("bob", "news"), ask])

    assert caught.value.field == field
    assert limiter.acquire("bob", "news").granted


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("valkey", "must be a URL"),
        (None, "must be a URL"),
        ("http://host", "not http://"),
        ("valkey://host:port", "must be a URL"),
        ("valkey://host/one", "must be a number, not 'one'"),
        ("valkey+cluster://host/1", "has one database only"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Limiter(url, [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_down": "ignore"}, "on_down: must be raise or allow"),
        ({"timeout_ms": 0}, "timeout_ms: must be 1 to 60000"),
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Limiter("valkey://host", [], **options)  # type: ignore[arg-type]


def test_a_password_is_never_shown(make: MakeLimiter) -> None:
    limiter = make(Rule("all", "1/day"), url="valkeys://user:secret@host:1/2")

    assert repr(limiter) == "Limiter('valkeys://host:1', 1 rules)"
