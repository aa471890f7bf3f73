"""LIM: exact limits for each recipient, whatever happens."""

from collections.abc import Callable
from typing import Any

import pytest
from acceptance_world import DAY, HOUR, MINUTE, SECOND, START, World, decisions, most_in

from tactful import (
    Message,
    NotificationType,
    Outcome,
    Recipient,
    Rejected,
    Retry,
    Rule,
    Settings,
    State,
    Unknown,
    errors,
)
from tactful.core.retry import RetryPolicy


def test_lim_1_the_gateway_sees_exactly_what_was_allowed(sample: World) -> None:
    assert decisions(sample, "status", "ann", 4) == ["send", "send", "reject", "reject"]

    assert sample.texts == ["status 0", "status 1"]
    assert sample.recipients == ["ann", "ann"]
    assert {message.type for message in sample.channel.messages} == {"status"}


@pytest.mark.parametrize(
    ("type_", "count", "window"),
    [("status", 2, MINUTE), ("news", 1, DAY), ("marketing", 3, HOUR)],
)
def test_lim_2_the_sample_rules(sample: World, type_: str, count: int, window: int) -> None:
    assert decisions(sample, type_, "ann", count + 2) == ["send"] * count + ["reject"] * 2
    sample.at(window)
    assert decisions(sample, type_, "ann", count + 1) == ["send"] * count + ["reject"]
    assert len(sample.sent) == 2 * count


def test_lim_3_the_demo_of_five_calls(sample: World) -> None:
    calls = [
        ("news", "user", "news_1"),
        ("news", "user", "news_2"),
        ("news", "user", "news_3"),
        ("news", "another user", "news_1"),
        ("update", "user", "update_1"),
    ]

    answers = [sample.send(*call).decision for call in calls]
    sample.app.tick()

    assert answers == ["send", "reject", "reject", "send", "send"]
    assert sample.texts == ["news_1", "news_1", "update_1"]


def test_lim_4_limits_are_apart_for_each_recipient_and_type(sample: World) -> None:
    people = ["ann", "ben", "cem", "dee"]

    assert [sample.send("news", who).decision for who in people] == ["send"] * 4
    assert sample.send("news", "ann").decision == "reject"
    assert sample.send("status", "ann").decision == "send"


def test_lim_4_what_is_rejected_uses_nothing_up(sample: World) -> None:
    decisions(sample, "status", "ann", 2)
    for second in range(1, 60):
        sample.at(second * SECOND)
        assert sample.send("status", "ann").decision == "reject"
    sample.at(MINUTE)

    assert decisions(sample, "status", "ann", 3) == ["send", "send", "reject"]


def test_lim_5_one_ms_before_t0_plus_window_it_is_rejected(sample: World) -> None:
    decisions(sample, "news", "ann", 1)
    sample.at(DAY - 1)

    assert sample.send("news", "ann").decision == "reject"


def test_lim_5_at_exactly_t0_plus_window_it_is_allowed_again(sample: World) -> None:
    decisions(sample, "news", "ann", 1)
    sample.at(DAY)

    assert decisions(sample, "news", "ann", 2) == ["send", "reject"]


def test_lim_5_the_window_slides(sample: World) -> None:
    answers = {}
    for second in (0, 50, 59, 60, 61, 109, 110):
        sample.at(second * SECOND)
        answers[second] = sample.send("status", "ann").decision
        sample.app.tick()

    assert [second for second, answer in answers.items() if answer == "send"] == [0, 50, 60, 110]


def test_lim_6_a_type_without_a_rule_is_sent(sample: World) -> None:
    assert decisions(sample, "update", "ann", 10) == ["send"] * 10
    assert sample.app.status()["unknown_types"] == ["update"]


@pytest.mark.parametrize("spelled", ["News", "NEWS", "news ", " nEWs", "\uff4e\uff45\uff57\uff53"])
def test_lim_6_no_spelling_of_a_type_is_a_way_round_its_limit(sample: World, spelled: str) -> None:
    assert decisions(sample, spelled, "ann", 1) == ["send"]
    assert decisions(sample, "news", "ann", 1) == ["reject"]
    assert decisions(sample, spelled, "ann", 20) == ["reject"] * 20


def test_lim_6_unknown_types_can_be_refused(make_world: Callable[..., World], url: str) -> None:
    world = make_world(url, settings=Settings(unknown_types="reject"))
    world.app.types.put(NotificationType("status"))
    world.app.rules.put(Rule("news", types=["news"], limit="1/day"))

    for known in ("status", "news"):
        assert world.send(known, "ann").decision == "send"
    with pytest.raises(errors.RequestError, match="newz"):
        world.send("newz", "ann")


def test_lim_6_an_unknown_type_is_announced_once(sample: World) -> None:
    decisions(sample, "newz", "ann", 5)

    announced = [event.data["type"] for event in sample.app.events(name="type.unknown")]
    assert announced == ["newz"]


@pytest.mark.parametrize("spelled", ["A@X.com", " a@x.com", "a@x.com ", "A@x.COM", "\uff41@x.com"])
def test_lim_7_no_spelling_of_an_address_is_a_way_round_a_limit(
    sample: World, spelled: str
) -> None:
    assert decisions(sample, "news", "a@x.com", 1) == ["send"]
    assert decisions(sample, "news", spelled, 3) == ["reject"] * 3


def test_lim_7_one_person_with_several_addresses_is_one(sample: World) -> None:
    addresses = {"sms": "+15550100", "post": "ann@home.example"}
    ann = Recipient("ann", email="Ann@Work.example", addresses=addresses)
    sample.app.recipients.put(ann)

    assert decisions(sample, "news", "ann@work.example", 1) == ["send"]
    for way in ("ann", "ANN", "+15550100", "ann@home.example", "ANN@WORK.EXAMPLE"):
        assert decisions(sample, "news", way, 1) == ["reject"], way


def test_lim_7_registering_a_person_keeps_what_their_address_was_sent(sample: World) -> None:
    assert decisions(sample, "news", "ann@work.example", 1) == ["send"]
    sample.app.recipients.put(Recipient("ann", email="ann@work.example"))

    assert decisions(sample, "news", "ann", 1) == ["reject"]


def test_lim_8_any_number_of_rules_must_all_agree(world: World) -> None:
    world.app.types.put(NotificationType("offer", category="ads"))
    world.app.rules.put(
        Rule("short", types=["news"], limit="2/minute", on_limit="reject"),
        Rule("long", types=["news"], limit="3/day", on_limit="reject"),
        Rule("ads", categories=["ads"], limit="1/day", on_limit="reject"),
        Rule("all", limit="5/hour", on_limit="reject"),
        Rule("post", channels=["post"], limit="9/day", on_limit="reject"),
    )

    assert decisions(world, "news", "ann", 3) == ["send", "send", "reject"]
    world.at(MINUTE)
    assert decisions(world, "news", "ann", 2) == ["send", "reject"]
    assert decisions(world, "offer", "ann", 2) == ["send", "reject"]
    assert decisions(world, "status", "ann", 2) == ["send", "reject"]
    assert decisions(world, "status", "ben", 6) == ["send"] * 5 + ["reject"]


def test_lim_8_a_rule_that_agrees_is_not_charged_when_another_says_no(world: World) -> None:
    world.app.rules.put(
        Rule("news", types=["news"], limit="2/day", on_limit="reject"),
        Rule("all", limit="1/hour", on_limit="reject"),
    )
    assert decisions(world, "status", "ann", 1) == ["send"]
    assert decisions(world, "news", "ann", 30) == ["reject"] * 30
    world.at(HOUR)
    assert decisions(world, "news", "ann", 1) == ["send"]
    world.at(2 * HOUR)
    assert decisions(world, "news", "ann", 1) == ["send"]


def test_lim_8_per_type_counts_each_type_apart(world: World) -> None:
    world.app.rules.put(Rule("each", limit="1/day", per="recipient+type", on_limit="reject"))

    for type_ in ("news", "status", "offer"):
        assert decisions(world, type_, "ann", 2) == ["send", "reject"]


def test_lim_9_a_rejection_says_which_rule_and_when_to_come_back(sample: World) -> None:
    decisions(sample, "news", "ann", 1)
    sample.at(HOUR)

    receipt = sample.send("news", "ann")

    assert receipt.decision == "reject"
    assert receipt.rule == "news"
    assert receipt.retry_at == START + DAY
    assert receipt.remaining == 0
    assert receipt.deliver_at is None
    why = sample.app.why(receipt.delivery_id or "")
    assert (why.state, why.rule, why.limit) == ("rejected", "news", "1/day")


def test_lim_9_a_rejection_can_be_an_exception(sample: World) -> None:
    decisions(sample, "news", "ann", 1)

    with pytest.raises(errors.OverLimit) as caught:
        sample.send("news", "ann", raise_over_limit=True)

    assert (caught.value.rule, caught.value.retry_at) == ("news", START + DAY)
    assert sample.send("status", "ann", raise_over_limit=True).decision == "send"


def test_lim_9_a_receipt_says_how_many_are_left(sample: World) -> None:
    assert [sample.send("marketing", "ann").remaining for _ in range(4)] == [2, 1, 0, 0]


BAD_RULES: list[dict[str, Any]] = [
    {"limit": "1/0s"},
    {"limit": "1/-60s"},
    {"limit": "-1/day"},
    {"limit": "1.5/day"},
    {"limit": "1/400d"},
    {"limit": "9999999999999/day"},
    {"limit": "many"},
    {"limit": 3},
    {"limit": None},
    {"limit": "1/day", "quiet": "22:00-08:00"},
    {"limit": "1/day", "per": "galaxy"},
    {"limit": "1/day", "on_limit": "shrug"},
    {"limit": "1/day", "types": []},
    {"limit": "1/day", "types": "news"},
    {"limit": "1/day", "exempt": ["urgent"]},
    {"limit": "1/day", "reserve": {"high": 2}},
    {"limit": "1/day", "burst": 0},
    {"quiet": "25:00-08:00"},
]


@pytest.mark.parametrize("fields", BAD_RULES, ids=str)
def test_lim_10_a_rule_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRule) as caught:
        Rule("bad", **fields)

    assert caught.value.field
    assert caught.value.bound


def test_lim_10_a_limit_of_nought_lets_nothing_through(world: World) -> None:
    world.app.rules.put(Rule("never", types=["news"], limit="0/day", on_limit="reject"))

    receipt = world.send("news", "ann")

    assert (receipt.decision, receipt.retry_at) == ("reject", None)


BAD_INPUTS: list[dict[str, Any]] = [
    {"type": None},
    {"type": ""},
    {"type": "  "},
    {"type": 3},
    {"to": None},
    {"to": ""},
    {"to": "ann\nben"},
    {"to": 5},
    {"text": None},
    {"text": ""},
    {"text": "\x00"},
    {"subject": "a\r\nBcc: evil@example.org"},
    {"ttl": 0},
    {"ttl": "soon"},
    {"priority": "urgent"},
    {"channels": ["pigeon"]},
    {"channels": []},
    {"deliver_at": -1},
    {"deliver_at": True},
    {"idempotency_key": ""},
    {"unheard_of": 1},
]


@pytest.mark.parametrize("fields", BAD_INPUTS, ids=str)
def test_lim_10_an_input_that_makes_no_sense_is_refused_and_stores_nothing(
    world: World, fields: dict[str, Any]
) -> None:
    with pytest.raises(errors.RequestError) as caught:
        world.app.send(**({"type": "news", "to": "ann", "text": "words"} | fields))

    assert caught.value.field in {*fields, "text"}
    assert world.app.counts() == {}
    assert world.app.events() == []


# Slots and failures ---------------------------------------------------------------------------

QUICK = Settings(retry=RetryPolicy(base_ms=SECOND, cap_ms=MINUTE))


def test_lim_12_ambiguous_outcomes_never_exceed_the_limit(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK)
    world.app.rules.put(Rule("calm", limit="3/hour"))
    world.outcome = lambda _: Unknown("no answer")
    receipts = [world.send("news", "ann", str(number)) for number in range(4)]
    for minute in range(12 * 60):
        world.at(minute * MINUTE)

    instants = [message.at for message in world.channel.messages]
    assert most_in(instants, HOUR) == 3
    assert len(instants) == 4 * 5
    for receipt in receipts:
        delivery = world.app.delivery(receipt.delivery_id or "")
        assert delivery.state is State.FAILED
        assert "quarantined" in delivery.reason


def test_lim_12_a_second_copy_says_that_it_may_be_one(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK)
    answers: list[Outcome | None] = [Unknown("no answer"), None]
    world.outcome = lambda _: answers.pop(0)
    world.send("news", "ann")
    world.at(0)
    world.at(MINUTE)

    first, second = world.channel.messages
    assert first.id == second.id
    assert (first.maybe_duplicate, second.maybe_duplicate) == (False, True)


def test_lim_12_what_surely_failed_gives_its_place_back(world: World) -> None:
    world.app.rules.put(Rule("news", types=["news"], limit="1/day"))
    world.outcome = lambda message: Rejected("no") if message.text == "bad" else None
    world.send("news", "ann", "bad")
    assert world.send("news", "ann", "good").deliver_at == START + DAY
    world.at(0)

    assert world.sent == [(0, "bad"), (0, "good")]
    assert world.send("news", "ann").deliver_at == START + DAY


def test_lim_12_twenty_tries_cost_one_place(make_world: Callable[..., World], url: str) -> None:
    world = make_world(url, settings=QUICK)
    world.app.rules.put(Rule("news", types=["news"], limit="2/day", on_limit="reject"))
    tries: list[int] = []

    def stubborn(message: Message) -> Outcome | None:
        if message.text != "stubborn":
            return None
        tries.append(message.at)
        return Retry("busy") if len(tries) < 20 else None

    world.outcome = stubborn
    receipt = world.send("news", "ann", "stubborn")
    for minute in range(30):
        world.at(minute * MINUTE)

    assert len(tries) == 20
    assert world.app.delivery(receipt.delivery_id or "").state is State.DELIVERED
    assert [world.send("news", "ann").decision for _ in range(2)] == ["send", "reject"]


def test_lim_12_a_place_counts_from_the_try_that_succeeded(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK)
    world.app.rules.put(Rule("news", types=["news"], limit="1/day", on_limit="reject"))
    answers: list[Outcome | None] = [Retry("busy", after_ms=HOUR), None]
    world.outcome = lambda _: answers.pop(0)
    world.send("news", "ann")
    world.at(0)
    world.at(HOUR)

    assert [at for at, _ in world.sent] == [0, HOUR]
    assert world.send("news", "ann").retry_at == START + HOUR + DAY


def test_lim_12_a_caller_who_repeats_a_request_gets_the_first_answer(world: World) -> None:
    world.app.rules.put(Rule("news", types=["news"], limit="1/day"))
    world.outcome = lambda _: Unknown("no answer")

    receipts = [world.send("news", "ann", idempotency_key="k") for _ in range(10)]
    world.app.tick()

    assert {receipt.delivery_id for receipt in receipts} == {receipts[0].delivery_id}
    assert [receipt.replayed for receipt in receipts] == [False] + [True] * 9
    assert len(world.sent) == 1
