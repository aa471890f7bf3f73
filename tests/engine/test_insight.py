"""Answers about what happened: why, how many, who, and what somebody has received."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from engine_bench import DAY, HOUR, MINUTE, START, Bench, asked

from tactful.core.errors import NotFound
from tactful.core.model import Accepted, Outcome, Rejected, Retry, State, Unknown
from tactful.engine.insight import Stats, Why
from tactful.engine.requests import Receipt
from tactful.templates.library import Template


def why(bench: Bench, of: Receipt) -> Why:
    return bench.insight.why(of.delivery_id or "")


def stats(bench: Bench, of: Receipt) -> Stats:
    return bench.insight.stats(of.notification_id)


# Why -----------------------------------------------------------------------------------------


def test_what_waits_says_for_which_rule_behind_what_and_until_when(bench: Bench) -> None:
    bench.rule("two", "2/hour")
    for _ in range(2):
        bench.send()
        bench.run()
        bench.clock.advance(MINUTE)
    first, second = bench.send(), bench.send()

    found = why(bench, second)

    assert (found.state, found.decision) == ("deferred", "defer")
    assert (found.rule, found.limit) == ("two", "2/hour")
    assert (found.deliver_at, found.place) == (START + HOUR + MINUTE, 2)
    assert [entry.at - START for entry in found.fills] == [MINUTE, HOUR]
    assert [event.name for event in found.events] == ["deferred"]
    assert found.attempts == ()
    assert found.text.startswith("news to ada over post waits because of rule two (2/hour)")
    assert " 2 " in found.text.partition("(2/hour)")[2].partition(";")[0]
    assert found.text.endswith("; it is number 2 in line and goes at 2026-01-01 01:01:00.000+00:00")
    assert why(bench, first).place == 1
    assert json.loads(json.dumps(found.to_dict()))["fills"][0]["type"] == "news"


def test_the_place_in_a_very_long_line_is_the_true_one(quick: Bench) -> None:
    quick.rule("one", "1/minute")
    found = quick.send_all([asked() for _ in range(401)])
    quick.run()

    assert [why(quick, found[n]).place for n in (1, 2, 100, 300, 400)] == [1, 2, 100, 300, 400]


@pytest.mark.parametrize(
    ("decision", "rule", "text"),
    [
        ("digest", {"limit": "1/hour", "on_limit": "digest"}, "rule r (1/hour)"),
        ("collapse", {"limit": "1/hour", "on_limit": "collapse"}, "rule r (1/hour)"),
        ("defer", {"limit": "1/day calendar"}, "rule r (1/day calendar)"),
        ("defer", {"limit": None, "quiet": "00:00-06:00"}, "rule r (00:00-06:00)"),
        ("defer", {"limit": None, "window": "06:00-07:00"}, "rule r (06:00-07:00)"),
    ],
)
def test_every_way_of_waiting_is_told_in_words(
    bench: Bench, decision: str, rule: dict[str, str], text: str
) -> None:
    if rule["limit"] is not None:
        bench.send()
        bench.run()
    bench.rule("r", **rule)  # type: ignore[arg-type]
    receipt = bench.send()

    found = why(bench, receipt)

    assert (found.decision, found.rule) == (decision, "r")
    assert text in found.text
    assert found.deliver_at == receipt.deliver_at
    assert (found.fills != ()) == (rule["limit"] is not None)


def test_what_is_scheduled_waits_for_no_rule(bench: Bench) -> None:
    found = why(bench, bench.send(deliver_at=START + DAY))

    assert (found.decision, found.rule, found.fills) == ("defer", None, ())
    assert found.text == (
        "news to ada over post waits; "
        "it is number 1 in line and goes at 2026-01-02 00:00:00.000+00:00"
    )


def test_what_finds_no_slot_says_so(bench: Bench) -> None:
    bench.rule("none", "0/day")

    found = why(bench, bench.send())

    assert (found.deliver_at, found.rule) == (None, "none")
    assert found.text.endswith("no slot is free before it expires or the rules change")


def test_what_failed_and_comes_back_says_after_what(bench: Bench) -> None:
    bench.outcome = lambda _: Retry("mailbox busy", after_ms=HOUR)
    receipt = bench.send()
    bench.run()

    found = why(bench, receipt)

    assert "waits after: mailbox busy; it is number 1 in line" in found.text
    (attempt,) = found.attempts
    assert (attempt.number, attempt.outcome, attempt.counts) == (1, "retry", False)


def test_a_rule_that_is_gone_is_still_named(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="reject")
    bench.send()
    receipt = bench.send()
    bench.rules.remove("one")

    found = why(bench, receipt)
    assert (found.decision, found.rule, found.limit) == ("reject", "one", None)
    assert found.text == "news to ada over post is rejected: rule one"


def ended(bench: Bench, state: State) -> Receipt:
    """A delivery that came to this end."""
    outcomes: dict[State, Outcome] = {
        State.SENT: Accepted(),
        State.LOST: Accepted(arrived=False),
        State.FAILED: Rejected("no box"),
        State.UNKNOWN: Unknown("cut"),
    }
    bench.outcome = lambda _: outcomes.get(state)
    match state:
        case State.SUPPRESSED:
            return bench.send(channels="sms")
        case State.EXPIRED:
            receipt = bench.send(ttl=1)
            bench.clock.advance(1)
        case State.CANCELLED:
            receipt = bench.send(deliver_at=START + DAY)
            bench.upkeep.cancel(receipt.delivery_id or "")
        case State.SUPERSEDED:
            bench.rule("one", "1/hour", on_limit="collapse")
            bench.send()
            receipt = bench.send()
            bench.send()
        case State.REJECTED:
            bench.rule("none", "0/day", on_limit="reject")
            receipt = bench.send()
        case _:
            bench.type("news", on_ambiguous="hold")
            receipt = bench.send()
    bench.run()
    assert bench.delivery(receipt).state is state
    return receipt


@pytest.mark.parametrize(
    ("state", "decision", "text"),
    [
        (State.SENT, "send", "is sent"),
        (State.DELIVERED, "send", "is delivered"),
        (State.LOST, "send", "is lost"),
        (State.FAILED, "send", "is failed: no box"),
        (State.UNKNOWN, "send", "is unknown: cut"),
        (State.SUPPRESSED, "suppress", "is suppressed: no address"),
        (State.EXPIRED, "expire", "is expired"),
        (State.CANCELLED, "cancel", "is cancelled"),
        (State.SUPERSEDED, "collapse", "is superseded: rule one (1/hour): superseded by"),
        (State.REJECTED, "reject", "is rejected: rule none (0/day)"),
    ],
)
def test_every_end_is_told_in_words(bench: Bench, state: State, decision: str, text: str) -> None:
    found = why(bench, ended(bench, state))

    assert (found.state, found.decision) == (state.value, decision)
    assert text in found.text
    assert (found.deliver_at, found.place, found.fills) == (None, None, ())


def test_what_is_being_sent_is_told_too(bench: Bench) -> None:
    receipt = bench.send()
    bench.claim()

    assert why(bench, receipt).text == "news to ada over post is sending"


def test_nobody_knows_about_what_never_was(bench: Bench) -> None:
    with pytest.raises(NotFound, match="delivery_id: names no delivery"):
        bench.insight.why("nothing")
    with pytest.raises(NotFound, match="notification_id: names no notification"):
        bench.insight.stats("nothing")


# How many ------------------------------------------------------------------------------------


def test_figures_of_a_broadcast_name_who_is_behind_them(bench: Bench) -> None:
    for n in range(10):
        bench.person(f"p{n}", mute=("all",) if n == 9 else ())
    bench.outcome = lambda message: {
        "p0": Accepted(arrived=False),
        "p1": Accepted(),
        "p2": Rejected("no"),
        "p3": Retry("busy"),
    }.get(message.recipient)
    receipt = bench.broadcast()
    bench.run()
    opened = [d for d in bench.deliveries() if d.recipient in ("p4", "p5", "p6")]
    for delivery in (*opened, *opened):
        bench.feedback.record("opened", delivery.id)

    found = stats(bench, receipt)

    assert sorted(found.sent_to) == ["p0", "p1", "p4", "p5", "p6", "p7", "p8"]
    assert found.received_by == ("p4", "p5", "p6", "p7", "p8")
    assert (found.lost_by, found.waiting) == (("p0",), ("p3",))
    assert found.opened_by == ("p4", "p5", "p6")
    assert sorted(found.not_sent) == ["p2", "p9"]
    assert found.to_dict() == {
        "sent": 7,
        "received": 5,
        "lost": 1,
        "opened": 3,
        "received_ratio": 0.71,
        "opened_ratio": 0.6,
        "opened_of_sent": 0.43,
    }


def test_figures_of_what_has_not_begun_are_zero(bench: Bench) -> None:
    found = stats(bench, bench.send(deliver_at=START + DAY))

    assert set(found.to_dict().values()) == {0}
    assert found.waiting == ("ada",)


def test_a_person_reached_over_several_channels_is_one_person(bench: Bench) -> None:
    bench.person("ada", email="ada@example.com", addresses={"sms": "1"})
    receipt = bench.send(channels=["post", "mail", "sms"])
    bench.run()
    for one in (receipt, *receipt.others):
        bench.feedback.record("opened", one.delivery_id or "")

    found = stats(bench, receipt)
    assert (found.sent, found.received, found.opened) == (1, 1, 1)
    assert found.received_ratio == 1.0


@pytest.mark.parametrize(("arrived", "figures"), [(True, (1, 1, 0)), (False, (1, 0, 1))])
def test_who_got_it_in_a_digest_is_counted_with_the_digest(
    bench: Bench, arrived: bool, figures: tuple[int, int, int]
) -> None:
    """Sent, and received or lost as the message was that carried it."""
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send()
    bench.run()
    head, member = bench.send(text="a"), bench.send(text="b")
    bench.outcome = lambda _: Accepted(arrived=arrived)
    bench.at(HOUR)

    for receipt in (head, member):
        found = stats(bench, receipt)
        assert (found.sent, found.received, found.lost) == figures
        assert found.not_sent == ()


# Inboxes -------------------------------------------------------------------------------------


def test_an_inbox_holds_what_arrived_oldest_first(bench: Bench) -> None:
    bench.send(subject="S", text="one")
    bench.send(text="never", deliver_at=START + DAY)
    bench.send(to="bob", text="not hers")
    bench.run()
    bench.clock.advance(MINUTE)
    bench.send("status", text="", subject="two")
    bench.run()

    inbox = bench.insight.inbox("ada")

    assert [str(item) for item in inbox] == ["one", "two"]
    assert [item.at - START for item in inbox] == [0, MINUTE]
    assert (inbox[0].subject, inbox[0].type, inbox[0].channel) == ("S", "news", "post")
    assert inbox[-1].text == ""
    assert len(inbox) == 2
    assert len(bench.insight.inbox("nobody")) == 0


def test_an_inbox_can_be_asked_for_one_channel(bench: Bench) -> None:
    bench.person("ada", addresses={"sms": "1"})
    bench.send(channels=["post", "sms"])
    bench.run()

    assert [item.channel for item in bench.insight.inbox("ada", channel="sms")] == ["sms"]


def test_reading_is_told_once_and_an_inbox_is_a_snapshot(bench: Bench) -> None:
    bench.send(text="one")
    bench.send(text="two")
    bench.run()
    inbox = bench.insight.inbox("ada")
    first = inbox[0].id

    assert [inbox.mark_read(first), inbox.mark_read(first)] == [True, False]
    assert inbox.mark_read("nothing") is False
    assert (len(inbox.read), len(inbox.unread)) == (0, 2)
    again = bench.insight.inbox("ada")
    assert [item.id for item in again.read] == [first]
    assert len(again.unread) == 1
    assert bench.delivery(first).opened_at is not None


def test_nobody_marks_what_is_in_somebody_elses_inbox(bench: Bench) -> None:
    bench.send(to="bob")
    bench.run()
    (item,) = bench.insight.inbox("bob")

    assert bench.insight.inbox("ada").mark_read(item.id) is False
    assert bench.delivery(item.id).opened_at is None


def test_templates_are_read_in_the_persons_language(bench: Bench) -> None:
    bench.person("ada", locale="de")
    bench.templates.put(Template("t", text="hello"), Template("t", "de", text="hallo"))
    for who in ("ada", "bob"):
        bench.send(to=who, template="t", text="")
    bench.run()

    assert [str(item) for item in bench.insight.inbox("ada")] == ["hallo"]
    assert [str(item) for item in bench.insight.inbox("bob")] == ["hello"]


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: bench.templates.remove("t"),
        lambda bench: bench.templates.put(Template("t", text="{{ something_new }}")),
    ],
    ids=["removed", "changed"],
)
def test_a_template_that_is_no_more_hides_no_other_message(
    bench: Bench, change: Callable[[Bench], object]
) -> None:
    bench.templates.put(Template("t", text="hello"))
    bench.send(template="t", text="")
    bench.send(text="plain")
    bench.run()
    change(bench)

    assert "plain" in [str(item) for item in bench.insight.inbox("ada")]


def test_what_came_in_a_digest_can_be_read_in_the_inbox(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send(text="first")
    bench.run()
    for text in ("<a>", "<b>", "<c>"):
        bench.send(text=text)
    bench.at(HOUR)

    words = "\n".join(str(item) for item in bench.insight.inbox("ada"))
    assert all(text in words for text in ("first", "<a>", "<b>", "<c>"))


def test_a_full_inbox_shows_the_newest(quick: Bench) -> None:
    quick.send_all([asked(text=str(n)) for n in range(1_005)])
    quick.run()

    assert str(quick.insight.inbox("ada")[-1]) == "1004"
