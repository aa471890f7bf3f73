"""A1 to A19: how a naive limiter fails, each once more."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from acceptance_world import DAY, HOUR, MINUTE, SECOND, START, YEAR, World
from proof.mail_room import MailRoom

from tactful import (
    Accepted,
    Event,
    NotificationType,
    Recipient,
    Rejected,
    Retry,
    Rule,
    State,
    Unknown,
    errors,
)
from tactful.testing import CaptureChannel

ONE_NEWS = Rule("news", types=["news"], limit="1/day", on_limit="reject")


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Let so many threads act at the same moment; gives what they got."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait(30)
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads change places as often as the interpreter can let them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_a_2_an_instant_gateway_and_restless_threads_find_no_gap(world: World) -> None:
    world.app.rules.put(ONE_NEWS)
    with world.app:
        for number in range(10):
            to = f"user{number}"
            answers = together(32, lambda _, to=to: world.send("news", to).decision)
            assert Counter(answers) == {"send": 1, "reject": 31}
        assert world.app.drain(30)

    assert Counter(world.recipients) == {f"user{number}": 1 for number in range(10)}


def test_a_3_four_engines_on_one_store_are_one_limit(
    make_world: Callable[..., World], file_url: str
) -> None:
    world = make_world(file_url)
    apps = [world.app, *(world.open() for _ in range(3))]
    world.app.rules.put(ONE_NEWS)
    for app in apps:
        app.start()
    for number in range(10):
        to = f"user{number}"
        answers = together(8, lambda place, to=to: apps[place % 4].send(**news(to)).decision)
        assert Counter(answers) == {"send": 1, "reject": 7}
    assert all(app.drain(30) for app in apps)

    assert Counter(world.recipients) == {f"user{number}": 1 for number in range(10)}


def news(to: str) -> dict[str, str]:
    return {"type": "news", "to": to, "text": "words"}


def test_a_3_four_processes_on_one_store_are_one_limit(lasting: World) -> None:
    lasting.app.rules.put(ONE_NEWS)
    wanted = [{"type": "news", "to": "ann@example.org", "text": "x"}] * 5
    with MailRoom(habits="anybody") as room, ThreadPoolExecutor(4) as pool:
        for sender in [pool.submit(room.run, lasting.url, wanted, None, "due") for _ in range(4)]:
            sender.result()

    assert room.endings == [0] * 4
    assert [mail.to for mail in room.mails] == ["ann@example.org"]
    states = lasting.app.counts()
    assert states == {State.SENT: 1, State.REJECTED: 19}


def test_a_4_five_restarts_are_one_limit(lasting: World) -> None:
    lasting.app.rules.put(ONE_NEWS)
    answers = []
    for _ in range(5):
        answers.append(lasting.send("news", "ann").decision)
        lasting.app.tick()
        lasting.restart()

    assert answers == ["send"] + ["reject"] * 4
    assert len(lasting.sent) == 1


@pytest.mark.parametrize("spelled", ["News", "NEWS", "news "])
def test_a_5_a_misspelled_type_does_not_open_the_gate(world: World, spelled: str) -> None:
    world.app.rules.put(Rule("news", types=["NeWs"], limit="1/day", on_limit="reject"))
    answers = [world.send(spelled, "ann").decision for _ in range(20)]

    assert Counter(answers) == {"send": 1, "reject": 19}
    assert world.app.status()["unknown_types"] == []


def test_a_5_a_type_that_nobody_knows_is_visible(world: World) -> None:
    world.app.rules.put(ONE_NEWS)
    world.send("newz", "ann")

    assert world.app.status()["unknown_types"] == ["newz"]


def test_a_6_one_mailbox_in_five_spellings_is_one_recipient(world: World) -> None:
    world.app.rules.put(ONE_NEWS)
    spellings = ["a@x.com", "A@x.com", " a@x.com", "a@X.COM", "A@X.com "]

    answers = [world.send("news", spelling).decision for spelling in spellings]

    assert answers == ["send"] + ["reject"] * 4


def test_a_11_a_wrong_clock_does_not_keep_what_it_accepted(world: World) -> None:
    """Accepted while the clock was a year ahead, and not yet sent when it was put right."""
    world.clock.set(START + YEAR)
    now = world.send("status", "ann", "at once")
    world.at(MINUTE)

    assert now.decision == "send"
    assert world.texts == ["at once"]


def test_a_11_a_wrong_clock_does_not_shut_a_channel(world: World) -> None:
    """A throughput limit remembers when its next turn is; that instant was wrong as well."""
    world.app.rules.put(Rule("gentle", limit="1/s", per="channel"))
    world.at(YEAR)
    world.send("status", "ann", "then")
    world.app.tick()
    world.at(MINUTE)
    world.send("status", "ann", "now")
    world.at(MINUTE)
    world.at(MINUTE + SECOND)

    assert world.texts == ["then", "now"]


def test_a_11_a_clock_put_right_is_noticed_by_every_engine_on_the_store(
    make_world: Callable[..., World], file_url: str
) -> None:
    world = make_world(file_url)
    other = world.open()
    world.app.rules.put(ONE_NEWS)
    other.send(type="status", to="ben", text="it has looked at the ledger before")
    other.tick()
    world.at(YEAR)
    world.send("news", "ann")
    world.app.tick()
    world.app.close()
    world.clock.set(START + MINUTE)

    assert other.send(**news("ann")).decision == "reject"
    world.clock.set(START + MINUTE + DAY)
    assert other.send(**news("ann")).decision == "send"


def test_a_11_a_listener_that_failed_is_asked_again_when_a_clock_is_put_right(
    world: World,
) -> None:
    heard: list[str] = []

    def fails_once(event: Event) -> None:
        heard.append(event.name)
        if len(heard) == 1:
            raise RuntimeError("not yet")

    world.app.listen(fails_once, events=["delivered"])
    world.clock.set(START + YEAR)
    world.send("news", "ann")
    world.app.tick()
    world.at(MINUTE)
    world.at(HOUR)

    assert heard == ["delivered"] * 2


def test_a_12_a_stricter_rule_counts_what_was_sent_before(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="1/minute", on_limit="reject"))
    for minute in range(5):
        world.at(minute * MINUTE)
        assert world.send("news", "ann").decision == "send"
        world.app.tick()
    world.app.prune()
    world.app.rules.put(Rule("calm", limit="3/day", on_limit="reject"))
    world.at(10 * MINUTE)

    receipt = world.send("news", "ann")

    assert receipt.decision == "reject"
    assert receipt.retry_at == START + 2 * MINUTE + DAY


def test_a_13_trouble_at_the_gateway_is_kept_from_the_caller_and_the_message_is_kept(
    world: World,
) -> None:
    def breaks(_: object) -> None:
        raise OSError("no route to host")

    world.outcome = breaks
    receipt = world.send("news", "ann", "precious")
    world.app.tick()
    waits = world.app.delivery(receipt.delivery_id or "")
    world.outcome = None
    world.at(HOUR)

    assert receipt.decision == "send"
    assert waits.state is State.DEFERRED
    assert "no route to host" in waits.reason
    assert world.app.delivery(receipt.delivery_id or "").state is State.DELIVERED


def test_a_14_a_caller_who_repeats_after_a_timeout_sends_one(world: World) -> None:
    world.app.rules.put(ONE_NEWS)
    world.outcome = lambda _: Unknown("timed out")

    for _ in range(10):
        world.send("news", "ann")
        world.app.tick()

    assert len(world.sent) == 1


def test_a_14_a_message_that_may_have_gone_keeps_its_place(world: World) -> None:
    world.app.types.put(NotificationType("code", on_ambiguous="hold"))
    world.app.rules.put(Rule("codes", types=["code"], limit="1/hour", on_limit="reject"))
    world.outcome = lambda _: Unknown("timed out")
    receipt = world.send("code", "ann")
    world.app.tick()

    assert world.app.delivery(receipt.delivery_id or "").state is State.UNKNOWN
    assert world.send("code", "ann").decision == "reject"
    world.at(HOUR)
    assert len(world.sent) == 1
    assert world.send("code", "ann").decision == "send"


def test_a_15_every_answer_says_what_was_decided_and_why(world: World) -> None:
    world.app.rules.put(ONE_NEWS)
    sent, rejected = world.send("news", "ann"), world.send("news", "ann")
    scheduled = world.send("status", "ann", deliver_at=START + HOUR)

    assert (sent.decision, sent.remaining, sent.deliver_at) == ("send", 0, START)
    assert (rejected.decision, rejected.rule) == ("reject", "news")
    assert rejected.retry_at == START + DAY
    assert (scheduled.decision, scheduled.reason) == ("defer", "scheduled")
    assert scheduled.deliver_at == START + HOUR


@pytest.mark.parametrize("limit", ["1/0s", "1/-60s", "-1/day", "0.5/day", "1/0 minutes", ""])
def test_a_16_a_limit_that_limits_nothing_is_refused(limit: str) -> None:
    with pytest.raises(errors.InvalidRule):
        Rule("bad", limit=limit)


@pytest.mark.parametrize("empty", [None, "", "   "])
@pytest.mark.parametrize("field", ["type", "to"])
def test_a_17_nothing_is_sent_to_or_about_nobody(
    world: World, field: str, empty: str | None
) -> None:
    with pytest.raises(errors.RequestError, match=field):
        world.app.send(**({"type": "news", "to": "ann", "text": "words"} | {field: empty}))

    assert world.app.counts() == {}


@pytest.mark.parametrize("words", [{}, {"text": ""}, {"text": None}, {"subject": ""}])
def test_a_17_nothing_is_sent_without_words(world: World, words: dict[str, Any]) -> None:
    with pytest.raises(errors.RequestError):
        world.app.send(type="news", to="ann", **words)


def test_a_18_what_is_over_the_limit_is_kept_and_sent_later(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="3/hour"))
    for user in range(100):
        for number in range(5):
            world.send("marketing", f"user{user}", str(number))
    world.at(0)
    assert len(world.sent) == 300
    world.at(HOUR - 1)
    assert len(world.sent) == 300
    world.at(HOUR)

    assert len(world.sent) == 500
    assert world.app.counts() == {State.DELIVERED: 500}


def test_a_19_a_cap_over_all_types_holds(world: World) -> None:
    world.app.rules.put(
        Rule("status", types=["status"], limit="2/minute"),
        Rule("news", types=["news"], limit="1/day"),
        Rule("all", limit="4/hour", on_limit="reject"),
    )
    for number in range(106):
        world.send(("status", "news", "invitation")[number % 3], "ann")
    world.app.tick()

    assert len(world.sent) <= 4


OUTCOMES = (None, Accepted(), Rejected("no"), Retry("busy"), Unknown("no answer"))


def test_a_19_no_mix_of_outcomes_breaks_the_cap(world: World) -> None:
    """What counts is what may have arrived: never more than four in any hour."""
    world.app.rules.put(Rule("all", limit="4/hour"))
    world.outcome = lambda m: OUTCOMES[int(m.text) % len(OUTCOMES)] if m.attempt == 1 else None
    for number in range(40):
        world.send("news", "ann", str(number))
    arrived: list[int] = []
    for step in range(0, 24 * 60, 5):
        world.at(step * MINUTE)
    for message in world.channel.messages:
        outcome = world.outcome(message)
        if not isinstance(outcome, Rejected | Retry):
            arrived.append(message.at)

    assert all(sum(at <= other < at + HOUR for other in arrived) <= 4 for at in arrived)
    counts = world.app.counts()
    assert sum(counts.values()) == 40
    assert counts[State.FAILED] == 8
    assert not counts.get(State.DEFERRED)


def test_a_9_and_a_10_a_window_is_as_long_as_it_says_in_any_zone(
    make_world: Callable[..., World],
) -> None:
    """Which the store has no part in: it keeps instants."""
    world = make_world("memory://")
    zones = ("America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
    people = [Recipient(zone.lower(), timezone=zone) for zone in zones]
    world.app.recipients.put_many(people)
    world.app.rules.put(Rule("calm", limit="3/hour", on_limit="reject"))
    # Through a year, in steps that come to all hours of the day.
    for offset in range(0, YEAR, 97 * HOUR):
        world.clock.set(START + offset)
        for person in people:
            answers = [world.send("news", person.id).decision for _ in range(4)]
            assert answers == ["send"] * 3 + ["reject"]
            assert world.send("news", person.id).retry_at == START + offset + HOUR
        world.app.tick()


def test_a_1_a_slow_gateway_leaves_no_gap_between_question_and_answer(world: World) -> None:
    """Eight at once, and every one of them in the gateway before the first comes back."""
    world.app.rules.put(ONE_NEWS)
    pause = threading.Event()
    world.outcome = lambda _: Accepted(arrived=not pause.wait(0.02))
    with world.app:
        for number in range(10):
            to = f"user{number}"
            together(8, lambda _, to=to: world.send("news", to))
        assert world.app.drain(30)

    assert Counter(world.recipients) == {f"user{number}": 1 for number in range(10)}


def test_a_1_a_channel_of_ones_own_needs_three_lines(make_world: Callable[..., World]) -> None:
    """The gateway is replaceable: anything with a name and `send` is one."""
    printed: list[str] = []

    class Printer(CaptureChannel):
        def send(self, messages: Any) -> Any:
            printed.extend(f"{m.type} {m.recipient} {m.text}" for m in messages)
            return super().send(messages)

    world = make_world("memory://", channels=[Printer("printer")])
    world.send("news", "user", "news_1")
    world.app.tick()

    assert printed == ["news user news_1"]
