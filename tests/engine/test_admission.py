"""Admission: each decision about a single submission, and that its receipt is true."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from engine_bench import DAY, HOUR, MINUTE, START, Bench, asked

from tactful.core.errors import RequestError
from tactful.core.model import Recipient, State
from tactful.engine.settings import Settings
from tactful.templates.library import Template


def test_what_may_go_is_promised_and_says_what_is_left(bench: Bench) -> None:
    bench.rule("three", "3/minute")
    bench.rule("two", "2/hour")

    receipt = bench.send()
    stored = bench.delivery(receipt)

    assert (receipt.decision, receipt.deliver_at) == ("send", START)
    assert (receipt.remaining, receipt.rule) == (1, "two")
    assert (stored.state, stored.due_at, stored.promised) == (State.QUEUED, START, True)
    assert bench.events(receipt) == ["accepted"]
    assert bench.changes > 0


def test_without_any_rule_nothing_is_said_about_what_is_left(bench: Bench) -> None:
    receipt = bench.send()

    assert (receipt.decision, receipt.remaining, receipt.rule) == ("send", None, None)


def test_what_is_over_a_limit_waits_for_its_exact_slot(bench: Bench) -> None:
    bench.rule("two", "2/minute")
    bench.send()
    bench.run()
    bench.clock.advance(10)
    bench.send()
    bench.run()

    first, second, third = bench.send(), bench.send(), bench.send()

    assert [r.decision for r in (first, second, third)] == ["defer"] * 3
    assert [r.deliver_at for r in (first, second, third)] == [
        START + MINUTE,
        START + MINUTE + 10,
        START + 2 * MINUTE,
    ]
    stored = bench.delivery(first)
    assert (stored.state, stored.rule, stored.held) == (State.DEFERRED, "two", True)
    assert stored.due_at == first.deliver_at


def test_a_refusal_is_final_and_says_when_to_come_again(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="reject")
    bench.send()

    receipt = bench.send(text="too much")
    bench.at(DAY)

    assert (receipt.decision, receipt.rule) == ("reject", "one")
    assert (receipt.retry_at, receipt.remaining) == (START + HOUR, 0)
    assert bench.delivery(receipt).state is State.REJECTED
    assert bench.events(receipt) == ["rejected"]
    assert bench.texts == ["w"]


def test_a_rule_that_allows_none_says_never(bench: Bench) -> None:
    bench.rule("none", "0/day", types=["hard"], on_limit="reject")
    bench.rule("wait", "0/day", types=["soft"])

    hard, soft = bench.send("hard"), bench.send("soft")

    assert (hard.decision, hard.retry_at) == ("reject", None)
    assert (soft.decision, soft.deliver_at) == ("defer", None)
    assert soft.reason == "no slot is free before it expires"


def test_quiet_hours_make_it_wait_in_the_zone_of_the_recipient(bench: Bench) -> None:
    bench.person("ada", timezone="Asia/Tokyo")
    bench.rule("night", None, quiet="22:00-10:00")

    assert bench.send(to="ada").deliver_at == START + HOUR
    assert bench.send(to="bob").deliver_at == START + 10 * HOUR


def test_a_digest_is_joined_at_its_slot(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send()
    bench.run()
    bench.clock.advance(MINUTE)

    first, second = bench.send(text="a"), bench.send(text="b")

    assert [r.decision for r in (first, second)] == ["digest", "digest"]
    assert [r.deliver_at for r in (first, second)] == [START + HOUR] * 2
    assert bench.delivery(second).group == "digest:one"
    assert bench.events(second) == ["deferred"]


def test_a_scheduled_one_joins_no_digest_that_goes_before_its_time(bench: Bench) -> None:
    bench.rule("one", "1/day", on_limit="digest")
    bench.send()
    bench.run()
    bench.send(text="a")

    late = bench.send(text="not yet", deliver_at=START + DAY + HOUR)
    bench.at(DAY)

    assert (late.deliver_at or 0) >= START + DAY + HOUR
    assert "not yet" not in "".join(bench.texts)


def test_the_newest_of_a_collapse_group_takes_the_place_of_the_older(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send(text="0")
    bench.run()
    first = bench.send(text="1", collapse_key="order 7")
    other = bench.send(text="x", collapse_key="order 8")
    second = bench.send(text="2", collapse_key="Order 7")

    assert [r.decision for r in (first, other, second)] == ["collapse"] * 3
    assert second.deliver_at == first.deliver_at == START + HOUR
    assert other.deliver_at == START + 2 * HOUR
    gone = bench.delivery(first)
    assert (gone.state, gone.reason) == (
        State.SUPERSEDED,
        f"superseded by {second.delivery_id}",
    )
    assert bench.events(first) == ["deferred", "superseded"]
    bench.at(HOUR)
    bench.at(2 * HOUR)
    assert bench.texts == ["0", "2", "x"]


@pytest.mark.parametrize("on_limit", ["collapse", "digest"])
def test_nobody_takes_the_place_of_one_that_waits_only_for_its_end(
    bench: Bench, on_limit: str
) -> None:
    """Its end is no slot: what takes it, or joins it, would be told an instant and not go then."""
    bench.rule("one", "1/hour", on_limit=on_limit)
    bench.send()
    bench.run()
    doomed = bench.send(ttl="10m")
    last = bench.send()

    assert (doomed.decision, doomed.deliver_at) == (on_limit, None)
    assert (last.decision, last.deliver_at) == (on_limit, START + HOUR)
    bench.at(HOUR)
    assert bench.delivery(last).state is State.DELIVERED


def test_nobody_takes_the_place_of_another_type(bench: Bench) -> None:
    """A rule may allow the other one earlier."""
    bench.rule("one", "1/hour", per="recipient+type", on_limit="collapse")
    bench.send("news")
    bench.run()
    bench.at(30 * MINUTE)
    bench.send("status")
    bench.run()
    news = bench.send("news", collapse_key="k")
    status = bench.send("status", collapse_key="k")

    assert (news.deliver_at, status.deliver_at) == (START + HOUR, START + 90 * MINUTE)
    assert bench.delivery(news).state is State.SUPERSEDED
    bench.at(90 * MINUTE)
    assert bench.delivery(status).state is State.DELIVERED


def test_without_a_key_the_type_is_what_collapses(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send()
    older, newer = bench.send("news"), bench.send("news")
    apart = bench.send("status")

    assert bench.delivery(older).state is State.SUPERSEDED
    assert bench.delivery(newer).group == "collapse:one:news"
    assert bench.delivery(apart).state is State.DEFERRED


def test_what_is_muted_is_suppressed_unless_it_is_mandatory(bench: Bench) -> None:
    bench.person("ada", mute=("category:offers",))
    bench.type("deal", category="offers")
    bench.type("recall", category="offers", mandatory=True)

    deal, recall = bench.send("deal"), bench.send("recall")

    assert (deal.decision, deal.reason) == ("suppress", "muted: category:offers")
    assert bench.delivery(deal).state is State.SUPPRESSED
    assert bench.events(deal) == ["suppressed"]
    assert recall.decision == "send"


def test_who_cannot_be_reached_over_a_channel_is_suppressed_with_the_reason(bench: Bench) -> None:
    receipt = bench.send(to="ada", channels=["mail"])

    assert (receipt.decision, receipt.reason) == ("suppress", "no address")
    assert bench.delivery(receipt).state is State.SUPPRESSED


def test_several_channels_have_one_receipt_each(bench: Bench) -> None:
    bench.person("ada", email="ada@example.com")
    bench.rule("one", "1/hour", channels=["post"])
    bench.send(channels="post")

    receipt = bench.send(channels=["post", "mail", "sms"])
    everything = (receipt, *receipt.others)

    assert [(r.channel, r.decision) for r in everything] == [
        ("post", "defer"),
        ("mail", "send"),
        ("sms", "suppress"),
    ]
    assert len({r.notification_id for r in everything}) == 1
    assert len({r.delivery_id for r in everything}) == 3
    assert [bench.delivery(r).channel for r in everything] == ["post", "mail", "sms"]


def test_the_type_brings_channels_priority_and_time_to_live(bench: Bench) -> None:
    bench.person("ada", addresses={"sms": "1"})
    bench.type("alert", category="ops", channels=("sms",), priority="high", ttl_ms=MINUTE)

    usual = bench.delivery(bench.send("alert"))
    other = bench.delivery(bench.send("alert", channels="post", priority="low", ttl="1h"))

    assert (usual.channel, usual.priority, usual.category) == ("sms", 2, "ops")
    assert usual.expires_at == START + MINUTE
    assert (other.channel, other.priority, other.expires_at) == ("post", 0, START + HOUR)


# Schedules and ends --------------------------------------------------------------------------


def test_a_scheduled_one_waits_for_its_instant_and_lives_from_then_on(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + DAY, ttl="1h")
    stored = bench.delivery(receipt)

    assert (receipt.decision, receipt.deliver_at, receipt.rule) == ("defer", START + DAY, None)
    assert receipt.reason == "scheduled"
    assert (stored.due_at, stored.held) == (START + DAY, False)
    assert stored.expires_at == START + DAY + HOUR
    bench.at(DAY - 1)
    assert bench.texts == []
    bench.at(DAY)
    assert bench.texts == ["w"]


def test_an_instant_in_the_past_is_now(bench: Bench) -> None:
    assert bench.send(deliver_at=START - DAY).decision == "send"
    assert bench.delivery(bench.send(deliver_at=5, ttl="1h")).expires_at == START + HOUR


def test_a_scheduled_one_plans_around_what_will_have_gone_by_then(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send()
    waiting = bench.send()

    scheduled = bench.send(deliver_at=START + HOUR + MINUTE)

    assert waiting.deliver_at == START + HOUR
    assert (scheduled.decision, scheduled.deliver_at) == ("defer", START + 2 * HOUR)
    assert scheduled.rule == "one"


def test_a_slot_after_the_end_of_its_life_is_told_at_once(bench: Bench) -> None:
    """It waits all the same, since the rules may change; then it expires."""
    bench.rule("one", "1/hour")
    bench.send()

    receipt = bench.send(ttl="30m", text="short-lived")
    stored = bench.delivery(receipt)

    assert (receipt.decision, receipt.deliver_at) == ("defer", None)
    assert receipt.reason == "no slot is free before it expires"
    assert stored.due_at == stored.expires_at == START + 30 * MINUTE
    bench.at(30 * MINUTE)
    assert bench.delivery(receipt).state is State.EXPIRED
    assert bench.texts == ["w"]


def test_a_slot_exactly_at_the_end_of_its_life_comes_too_late(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send()

    bench.send(to="bob")

    assert bench.send(to="ada", ttl=HOUR).deliver_at is None
    assert bench.send(to="bob", ttl=HOUR + 1).deliver_at == START + HOUR


# Refused as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "bound"),
    [
        ({"channels": "fax"}, "channels", "must be one of mail, post, sms"),
        ({"template": "nothing", "text": ""}, "template", "is not a known template"),
    ],
)
def test_what_nobody_knows_is_refused_and_nothing_is_stored(
    bench: Bench, fields: dict[str, str], field: str, bound: str
) -> None:
    for attempt in (bench.send, bench.broadcast):
        with pytest.raises(RequestError) as refused:
            attempt(**fields)
        assert (refused.value.field, refused.value.bound) == (field, bound)

    assert bench.deliveries() == []
    assert bench.events() == []


def test_an_unknown_type_is_accepted_and_said_once(bench: Bench) -> None:
    bench.send("stranger")
    bench.send_all([asked("stranger"), asked("stranger")])
    bench.type("declared")
    bench.send("declared")

    assert bench.events(name="type.unknown") == ["type.unknown"]


def test_an_unknown_type_is_refused_where_that_is_wanted(
    make_bench: Callable[[Settings], Bench],
) -> None:
    bench = make_bench(Settings(unknown_types="reject"))
    bench.rule("ruled", "1/day", types=["ruled"])

    with pytest.raises(RequestError, match="type: is not a known type"):
        bench.send("stranger")
    with pytest.raises(RequestError, match="type: is not a known type"):
        bench.broadcast("stranger")
    assert bench.send("ruled").decision == "send"


def test_one_wrong_request_stores_none_of_those_it_came_with(bench: Bench) -> None:
    with pytest.raises(RequestError):
        bench.send_all([asked(), asked(channels="fax")])

    assert bench.deliveries() == []


def test_too_much_for_one_recipient_is_refused(make_bench: Callable[[Settings], Bench]) -> None:
    bench = make_bench(Settings(waiting_max=2))
    bench.person("cy", mute=("all",))
    bench.rule("one", "1/hour")

    found = [bench.send() for _ in range(4)]

    assert [r.decision for r in found] == ["send", "defer", "reject", "reject"]
    assert (found[2].rule, found[2].retry_at) == ("waiting_max", None)
    assert bench.send(to="bob").decision == "send"
    assert bench.send(to="cy").decision == "suppress"
    bench.run()
    assert bench.send().decision == "defer"


def test_a_full_line_still_takes_who_replaces_one_in_it(
    make_bench: Callable[[Settings], Bench],
) -> None:
    """The newest of a collapse group makes the line no longer."""
    bench = make_bench(Settings(waiting_max=1))
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send()
    bench.run()
    bench.send(text="old")

    assert bench.send(text="new").decision == "collapse"
    bench.at(HOUR)
    assert bench.texts == ["w", "new"]


def test_a_full_line_takes_no_collapse_group_that_is_new(
    make_bench: Callable[[Settings], Bench],
) -> None:
    bench = make_bench(Settings(waiting_max=2))
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send()
    bench.run()

    found = [bench.send(collapse_key=key, text=key) for key in ("a", "b", "c", "b", "a", "d")]

    assert [r.decision for r in found] == [
        "collapse", "collapse", "reject", "collapse", "collapse", "reject",
    ]  # fmt: skip
    assert (found[2].rule, found[2].retry_at) == ("waiting_max", None)
    with bench.store.reading() as reader:
        assert reader.lines(["ada"], 10)["ada"].total == 2


def test_the_newest_replaces_one_that_stands_far_ahead_in_a_long_line(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send()
    bench.run()
    keys = [f"key {number}" for number in range(300)]
    bench.send_all([asked(collapse_key=key) for key in keys])

    first = bench.send(collapse_key=keys[0], text="new")

    assert first.decision == "collapse"
    with bench.store.reading() as reader:
        assert reader.lines(["ada"], 1)["ada"].total == 300


def test_a_template_that_is_known_is_accepted(bench: Bench) -> None:
    bench.templates.put(Template("hello", text="Hello {{ name }}"))

    bench.send(text="", template="Hello", data={"name": "Ada"})
    bench.run()

    assert bench.texts == ["Hello Ada"]


def test_the_same_person_is_limited_as_one_however_they_are_spelled(bench: Bench) -> None:
    bench.people.put(Recipient("ada", email="ada@example.com"))
    bench.rule("one", "1/day")

    found = [bench.send(to=who) for who in ("ADA", "ada@example.com", " Ada@Example.com ")]

    assert [r.decision for r in found] == ["send", "defer", "defer"]
