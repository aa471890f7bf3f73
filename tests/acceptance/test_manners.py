"""CON-9 and LIM-8 in their finer points: digests, priorities, quiet hours, wishes, bad luck."""

import logging
import threading
from collections.abc import Callable, Sequence

import pytest
from acceptance_world import DAY, HOUR, MINUTE, SECOND, START, World, most_in
from proof.mail_room import Death, MailRoom

from tactful import (
    Message,
    NotificationType,
    Outcome,
    Recipient,
    Rule,
    Settings,
    State,
    Tactful,
    Unknown,
)
from tactful.core.retry import RetryPolicy
from tactful.runtime.clock import SystemClock
from tactful.testing import CaptureChannel

QUICK = Settings(retry=RetryPolicy(base_ms=SECOND, cap_ms=MINUTE))


def test_con_9_a_digest_is_one_message_at_the_slot_and_costs_one_place(world: World) -> None:
    world.app.rules.put(Rule("likes", types=["like"], limit="1/hour", on_limit="digest"))
    receipts = [world.send("like", "ann", f"like {number}") for number in range(5)]
    world.at(0)
    world.at(HOUR - 1)
    assert world.texts == ["like 0"]
    world.at(HOUR)

    assert [receipt.decision for receipt in receipts] == ["send"] + ["digest"] * 4
    assert {receipt.deliver_at for receipt in receipts[1:]} == {START + HOUR}
    assert len(world.sent) == 2
    assert world.sent[1][0] == HOUR
    assert all(f"like {number}" in world.texts[1] for number in range(1, 5))
    assert world.app.counts() == {State.DELIVERED: 2, State.DIGESTED: 3}
    # It took one place: at the next slot there is room again.
    world.at(2 * HOUR)
    assert world.send("like", "ann", "later").decision == "send"


def test_con_9_a_digest_counts_for_everyone_in_it(world: World) -> None:
    world.app.rules.put(Rule("likes", types=["like"], limit="1/hour", on_limit="digest"))
    receipts = [world.send("like", "ann", str(number)) for number in range(3)]
    world.at(0)
    world.at(HOUR)

    for receipt in receipts:
        stats = world.app.stats(receipt.notification_id)
        assert (stats.sent_to, stats.received_by) == (("ann",), ("ann",))


def test_con_9_a_digest_that_fails_is_tried_again_as_one(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK)
    world.app.rules.put(Rule("likes", types=["like"], limit="1/hour", on_limit="digest"))
    for number in range(4):
        world.send("like", "ann", str(number))
    world.at(0)
    answers: list[Outcome | None] = [Unknown("no answer"), None]
    world.outcome = lambda _: answers.pop(0)
    for minute in range(60, 200):
        world.at(minute * MINUTE)

    assert len(world.sent) == 3
    assert world.texts[1] == world.texts[2]
    assert most_in([at for at, _ in world.sent], HOUR) == 1
    assert world.app.counts() == {State.DELIVERED: 2, State.DIGESTED: 2}


def test_con_9_an_inbox_shows_what_came_in_a_digest(world: World) -> None:
    world.app.rules.put(Rule("likes", types=["like"], limit="1/hour", on_limit="digest"))
    for number in range(3):
        world.send("like", "ann", f"like {number}")
    world.at(0)
    world.at(HOUR)

    words = " ".join(str(item) for item in world.app.inbox("ann"))
    assert all(f"like {number}" in words for number in range(3))


def test_con_9_collapse_keeps_only_the_newest(world: World) -> None:
    world.app.rules.put(Rule("score", types=["score"], limit="1/hour", on_limit="collapse"))
    receipts = [world.send("score", "ann", f"{number}:0") for number in range(5)]
    world.at(0)
    world.at(HOUR)

    assert [receipt.decision for receipt in receipts] == ["send"] + ["collapse"] * 4
    assert world.sent == [(0, "0:0"), (HOUR, "4:0")]
    assert world.app.counts() == {State.DELIVERED: 2, State.SUPERSEDED: 3}


def test_con_9_collapse_keeps_the_newest_of_each_key(world: World) -> None:
    world.app.rules.put(Rule("score", types=["score"], limit="1/hour", on_limit="collapse"))
    world.send("score", "ann", "first", collapse_key="a")
    for number in range(3):
        for key in "ab":
            world.send("score", "ann", f"{key}{number}", collapse_key=key)
    for hour in range(5):
        world.at(hour * HOUR)

    assert world.texts[0] == "first"
    assert sorted(world.texts[1:]) == ["a2", "b2"]


def test_lim_8_an_exempt_priority_is_neither_limited_nor_counted(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="1/day", exempt=["critical"], on_limit="reject"))
    critical = [world.send("code", "ann", priority="critical").decision for _ in range(5)]

    assert critical == ["send"] * 5
    assert [world.send("news", "ann").decision for _ in range(2)] == ["send", "reject"]
    assert world.send("code", "ann", priority="critical").decision == "send"


def test_lim_8_a_reserve_is_left_for_those_it_is_kept_for(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="3/hour", reserve={"high": 1}, on_limit="reject"))
    normal = [world.send("news", "ann").decision for _ in range(3)]
    high = [world.send("code", "ann", priority="high").decision for _ in range(2)]

    assert normal == ["send", "send", "reject"]
    assert high == ["send", "reject"]


def test_con_9_higher_priorities_go_first(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="1/hour"))
    for text, priority in (("a", "low"), ("b", "low"), ("c", "high"), ("d", "normal")):
        world.send("news", "ann", text, priority=priority)
    for minute in range(0, 6 * 60, 10):
        world.at(minute * MINUTE)

    assert most_in([at for at, _ in world.sent], HOUR) == 1
    assert sorted(world.texts) == ["a", "b", "c", "d"]
    assert world.texts.index("c") < world.texts.index("d") < world.texts.index("b")


def test_con_9_quiet_hours_are_those_of_the_recipient(world: World) -> None:
    world.app.recipients.put_many(
        [Recipient("berlin", timezone="Europe/Berlin"), Recipient("tokyo", timezone="Asia/Tokyo")]
    )
    world.app.rules.put(Rule("night", quiet="22:00-08:00", exempt=["critical"]))
    # It is 00:00 in UTC, 01:00 in Berlin and 09:00 in Tokyo.
    receipts = {who: world.send("news", who, who) for who in ("berlin", "tokyo")}
    alarm = world.send("alarm", "berlin", "alarm", priority="critical")
    world.at(0)
    world.at(7 * HOUR - 1)
    assert sorted(world.texts) == ["alarm", "tokyo"]
    world.at(7 * HOUR)

    assert (alarm.decision, receipts["tokyo"].decision) == ("send", "send")
    assert receipts["berlin"].deliver_at == START + 7 * HOUR
    assert world.texts[-1] == "berlin"


def test_con_9_who_is_on_the_suppression_list_gets_nothing(world: World) -> None:
    waiting = world.send("news", "ben", deliver_at=START + HOUR)
    for who in ("ann", "ben"):
        world.app.recipients.suppress(who, channel="post", reason="complained")
    receipt = world.send("news", "ANN ")
    world.at(HOUR)

    assert (receipt.decision, receipt.reason) == ("suppress", "suppressed: complained")
    assert world.app.delivery(waiting.delivery_id or "").state is State.SUPPRESSED
    assert world.sent == []
    assert world.app.recipients.unsuppress("ann", channel="post")
    assert world.send("news", "ann").decision == "send"


def test_con_9_who_does_not_want_it_gets_nothing_but_what_they_must(world: World) -> None:
    world.app.types.put(
        NotificationType("news", category="reading"),
        NotificationType("terms", category="reading", mandatory=True),
    )
    world.app.recipients.put(Recipient("ann", mute=("category:Reading",)))

    assert world.send("news", "ann").reason == "muted: category:reading"
    assert world.send("terms", "ann").decision == "send"
    assert world.send("status", "ann").decision == "send"


def test_con_9_what_is_suppressed_uses_nothing_up(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="1/day", on_limit="reject"))
    world.app.recipients.put(Recipient("ann", mute=("type:news",)))
    for _ in range(5):
        world.send("news", "ann")

    assert world.send("status", "ann").decision == "send"


def test_lim_12_a_type_that_holds_is_never_sent_twice(world: World) -> None:
    world.app.types.put(NotificationType("code", on_ambiguous="hold"))
    world.outcome = lambda _: Unknown("no answer")
    receipt = world.send("code", "ann")
    for hour in range(48):
        world.at(hour * HOUR)

    assert len(world.sent) == 1
    assert world.app.delivery(receipt.delivery_id or "").state is State.UNKNOWN
    world.outcome = None
    assert world.app.retry(receipt.delivery_id or "") is True
    world.at(3 * DAY)
    assert world.app.delivery(receipt.delivery_id or "").state is State.DELIVERED


def test_lim_12_a_receipt_settles_what_was_in_doubt(world: World) -> None:
    world.app.types.put(NotificationType("code", on_ambiguous="hold"))
    world.outcome = lambda _: Unknown("no answer")
    receipt = world.send("code", "ann")
    world.app.tick()

    assert world.app.record("delivered", receipt.delivery_id or "") is True
    assert world.app.stats(receipt.notification_id).received_by == ("ann",)


# Messages that break things ---------------------------------------------------------------------


def breaks_on_poison(message: Message) -> None:
    if message.text == "poison":
        raise RuntimeError("the channel fell over")


def test_lim_12_a_poison_message_is_set_aside_while_the_others_arrive(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK)
    world.outcome = breaks_on_poison
    poison = world.send("news", "ann", "poison")
    others = [world.send("news", f"user{number}") for number in range(30)]
    for minute in range(30):
        world.at(minute * MINUTE)

    ended = world.app.delivery(poison.delivery_id or "")
    assert world.texts.count("poison") == 5
    assert (ended.state, ended.crashes) == (State.FAILED, 5)
    assert ended.reason.startswith("quarantined: 5 attempts")
    assert len(world.app.events(name="quarantined")) == 1
    states = {world.app.delivery(receipt.delivery_id or "").state for receipt in others}
    assert states == {State.DELIVERED}


def test_lim_12_a_message_that_kills_its_process_takes_no_other_with_it(
    make_world: Callable[..., World], file_url: str
) -> None:
    """The poison is tried five times; the others only stood behind it."""
    poison = "poison@example.org"
    people = [f"user{number}@example.org" for number in range(50)]
    mail = CaptureChannel("email", address_kind="email")
    lasting = make_world(file_url, channels=[mail], clock=SystemClock())
    lasting.app.send_many([{"type": "news", "to": who, "text": "x"} for who in (poison, *people)])
    with MailRoom(habits="anybody") as room:
        while room.kills == len(room.endings) < 10:
            room.run(lasting.url, (), Death("taken", 1, to=poison), "due")
        taken = [mail.to for mail in room.mails]

    assert taken.count(poison) == 5
    assert set(taken) == {poison, *people}
    assert lasting.app.counts() == {State.FAILED: 1, State.SENT: 50}


class Nonsense(CaptureChannel):
    """A channel with a bug: it answers what is no outcome."""

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = super().send(messages)
        bad = [None if message.text == "poison" else 0 for message in messages]
        return [o if b == 0 else b for o, b in zip(outcomes, bad, strict=True)]


def test_lim_12_a_channel_that_answers_nonsense_stops_nobody_else(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=QUICK, channels=[Nonsense("post")])
    poison = world.send("news", "ann", "poison")
    other = world.send("news", "ben")
    for minute in range(30):
        world.at(minute * MINUTE)

    assert world.app.delivery(other.delivery_id or "").state is State.DELIVERED
    assert world.app.delivery(poison.delivery_id or "").state is State.FAILED


def test_lim_12_a_channel_that_is_gone_stops_no_other_and_loses_nothing(lasting: World) -> None:
    """Another configuration, or another process that has other channels."""
    pigeons = CaptureChannel("pigeon")
    both = lasting.open(channels=[pigeons, lasting.channel])
    far = both.send(type="news", to="ann", text="far")
    near = both.send(type="news", to="ben", text="near", channels="post")
    both.close()

    with lasting.app:
        lasting.app.drain(5)
        lasting.clock.advance(HOUR)
        lasting.app.drain(5)
        near_state = lasting.app.delivery(near.delivery_id or "").state
    lasting.app.close()
    both = lasting.open(channels=[pigeons, lasting.channel])
    lasting.clock.advance(HOUR)
    both.tick()

    assert near_state is State.DELIVERED
    assert both.delivery(far.delivery_id or "").state is State.DELIVERED
    assert [message.text for message in pigeons.messages] == ["far"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError, RecursionError])
def test_lim_12_nothing_that_a_channel_raises_stops_a_running_worker(
    url: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def raises(message: Message) -> None:
        if message.text == "poison":
            raise error

    settings = Settings(retry=RetryPolicy(base_ms=10, cap_ms=20))
    app = Tactful(url, channels=[CaptureChannel("post", raises, batch=1)], settings=settings)
    caplog.set_level(logging.CRITICAL, logger="tactful.delivering")
    found: list[object] = []

    def work() -> None:
        app.start()
        poison = app.send(type="news", to="ann", text="poison")
        ended = threading.Event()
        for _ in range(100):
            app.drain(0.05)
            state = app.delivery(poison.delivery_id or "").state
            if state is State.FAILED or ended.wait(0.02):
                break
        other = app.send(type="news", to="ben", text="fine")
        app.drain(5)
        found.append(app.delivery(other.delivery_id or "").state)
        found.append(app.delivery(poison.delivery_id or "").state)
        app.close()
        found.append("closed")

    # A worker that waits for an outcome that never comes would not let itself be stopped.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(10)

    assert found == [State.DELIVERED, State.FAILED, "closed"]
