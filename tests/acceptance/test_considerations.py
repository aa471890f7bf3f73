"""CON: rules as data, restarts, and nothing lost over a limit."""

import inspect
import threading
from collections.abc import Callable

import pytest
from acceptance_world import DAY, HOUR, MINUTE, SECOND, START, World, most_in
from proof.mail_room import Death, MailRoom

from tactful import NotificationType, Recipient, Rule, Settings, State, Tactful, errors

MARKETING = Rule("marketing", types=["marketing"], limit="3/hour")


@pytest.fixture
def shop(world: World) -> World:
    """A world in which five offers to Ann met a limit of three an hour."""
    world.app.rules.put(MARKETING)
    for number in range(1, 6):
        world.send("marketing", "ann", str(number))
    world.app.tick()
    return world


def three_now() -> list[tuple[int, str]]:
    return [(0, "1"), (0, "2"), (0, "3")]


# CON-1 to CON-3: rules at run time --------------------------------------------------------------


def test_con_1_a_rule_added_changed_and_removed_governs_at_once(world: World) -> None:
    assert world.send("news", "ann").decision == "send"
    world.app.rules.put(Rule("news", types=["news"], limit="1/day", on_limit="reject"))
    assert world.send("news", "ann").decision == "reject"
    world.app.rules.put(Rule("news", types=["news"], limit="2/day", on_limit="reject"))
    assert [world.send("news", "ann").decision for _ in range(2)] == ["send", "reject"]
    world.app.rules.remove("news")
    assert world.send("news", "ann").decision == "send"
    assert world.app.rules.list() == []


def test_con_1_rules_are_in_the_store(lasting: World) -> None:
    lasting.app.rules.put(MARKETING)
    lasting.restart()

    assert lasting.app.rules.list() == [MARKETING]
    assert lasting.app.rules.get("marketing") == MARKETING


def test_con_1_every_version_is_kept_and_can_be_put_back(world: World) -> None:
    rules = world.app.rules
    first = rules.put(MARKETING, author="ann")
    world.clock.advance(HOUR)
    rules.put(Rule("marketing", types=["marketing"], limit="1/day"), author="ben")
    rules.put(Rule("extra", limit="9/day"))
    rules.remove("marketing")

    history = rules.history("marketing")
    assert [(entry.author, entry.at - START) for entry in history] == [
        ("ann", 0),
        ("ben", HOUR),
        ("", HOUR),
    ]
    assert [entry.body is None for entry in history] == [False, False, True]
    rules.revert(first)
    assert rules.list() == [MARKETING]
    with pytest.raises(errors.NotFound):
        rules.revert(12345)
    with pytest.raises(errors.NotFound):
        rules.remove("no such rule")


def test_con_1_a_set_of_rules_is_put_in_force_as_a_whole(world: World) -> None:
    world.app.rules.put(MARKETING, Rule("old", limit="9/day"))

    done = world.app.rules.apply([MARKETING, Rule("new", limit="5/day")])

    assert done == {"set": ["new"], "removed": ["old"], "unchanged": ["marketing"]}
    assert [rule.name for rule in world.app.rules.list()] == ["marketing", "new"]


def test_con_1_a_looser_rule_lets_go_what_waits_at_the_next_tick(shop: World) -> None:
    shop.clock.set(START + MINUTE)
    shop.app.rules.put(Rule("marketing", types=["marketing"], limit="4/hour"))
    shop.app.tick()
    assert shop.sent == [*three_now(), (MINUTE, "4")]
    shop.app.rules.put(Rule("marketing", types=["marketing"], limit="9/hour"))
    shop.app.tick()

    assert shop.sent == [*three_now(), (MINUTE, "4"), (MINUTE, "5")]


def test_con_1_what_waits_for_a_rule_that_is_gone_goes_at_the_next_tick(shop: World) -> None:
    shop.app.rules.remove("marketing")
    shop.at(MINUTE)

    assert shop.sent == [*three_now(), (MINUTE, "4"), (MINUTE, "5")]


def test_con_1_what_waits_for_a_channel_limit_that_is_gone_goes_at_the_next_tick(
    world: World,
) -> None:
    world.app.rules.put(Rule("gentle", limit="1/hour", per="channel"))
    for number in range(3):
        world.send("news", f"user{number}", str(number))
    world.at(0)
    assert world.sent == [(0, "0")]
    world.app.rules.remove("gentle")
    world.at(MINUTE)

    assert world.sent == [(0, "0"), (MINUTE, "1"), (MINUTE, "2")]


def test_con_1_a_running_worker_obeys_a_new_rule_at_once(shop: World) -> None:
    with shop.app:
        shop.app.rules.remove("marketing")
        assert shop.app.drain(30)

    assert sorted(shop.texts) == ["1", "2", "3", "4", "5"]


def test_con_1_what_waits_for_nothing_goes_when_the_rule_allows_something(world: World) -> None:
    world.app.rules.put(Rule("never", types=["marketing"], limit="0/day"))
    receipt = world.send("marketing", "ann", "patient")
    world.at(DAY)
    assert (receipt.decision, receipt.deliver_at, world.sent) == ("defer", None, [])
    world.app.rules.put(Rule("never", types=["marketing"], limit="1/day"))
    world.at(DAY + MINUTE)

    assert world.sent == [(DAY + MINUTE, "patient")]


def test_con_2_a_change_in_one_engine_governs_the_next_decision_in_the_other(
    make_world: Callable[..., World], file_url: str
) -> None:
    world = make_world(file_url)
    other = world.open()
    assert other.send(type="news", to="ann", text="1").decision == "send"
    for count in range(1, 20):
        world.app.rules.put(Rule("n", types=["news"], limit=f"{count}/day", on_limit="reject"))
        expected = "reject" if count == 1 else "send"
        assert other.send(type="news", to="ann", text="x").decision == expected
    world.app.rules.remove("n")
    assert other.send(type="news", to="ann", text="x").decision == "send"


def test_con_2_no_decision_is_older_than_a_change_under_load(
    make_world: Callable[..., World], file_url: str
) -> None:
    """Once `put` has returned, no thread of any engine is let through by the rule before it."""
    world = make_world(file_url)
    other = world.open()
    done, stale = threading.Event(), []
    turn = 0  # odd while the rule that lets nothing through is surely in force

    def insist(app: Tactful, name: str) -> None:
        number = 0
        while not done.is_set():
            number += 1
            before = turn
            decision = app.send(type="news", to=f"{name}{number}", text="x").decision
            if before % 2 and before == turn and decision == "send":
                stale.append(number)

    threads = [
        threading.Thread(target=insist, args=(app, f"{place}-{thread}-"))
        for place, app in enumerate((world.app, other))
        for thread in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in range(15):
        world.app.rules.put(Rule("n", types=["news"], limit="0/day", on_limit="reject"))
        turn += 1
        other.status()
        world.app.status()
        turn += 1
        world.app.rules.remove("n")
    done.set()
    for thread in threads:
        thread.join()

    assert stale == []


def test_con_3_a_stricter_rule_counts_what_was_sent_before(shop: World) -> None:
    shop.at(30 * MINUTE)
    shop.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    for minute in range(30, 24 * 60):
        shop.at(minute * MINUTE)

    assert shop.sent == [*three_now(), (HOUR, "4"), (2 * HOUR, "5")]


def test_con_3_a_longer_window_counts_what_was_sent_before(shop: World) -> None:
    shop.app.rules.put(Rule("marketing", types=["marketing"], limit="3/day"))
    for hour in range(30):
        shop.at(hour * HOUR)

    assert shop.sent == [*three_now(), (DAY, "4"), (DAY, "5")]


def test_con_3_a_second_rule_counts_what_was_sent_before_it(shop: World) -> None:
    shop.app.rules.put(Rule("all", limit="4/day"))
    assert shop.send("status", "ann").deliver_at == START + DAY
    for hour in range(30):
        shop.at(hour * HOUR)

    assert shop.sent[:4] == [*three_now(), (HOUR, "4")]
    assert [at for at, _ in shop.sent[4:]] == [DAY, DAY]


# CON-5 and CON-7 --------------------------------------------------------------------------------


def test_con_5_a_limit_holds_over_kills_and_restarts(lasting: World) -> None:
    lasting.app.rules.put(Rule("news", types=["news"], limit="1/day"))
    ann = {"type": "news", "to": "ann@example.org", "text": "news"}
    with MailRoom(habits="anybody") as room:
        for death in (Death("taken", 1), *[None] * 4):
            room.run(lasting.url, [ann], death, "due")
        taken = [mail.to for mail in room.mails]
    # The clock of the processes is the real one: by it, all is within one minute.
    assert [ending < 0 for ending in room.endings] == [True] + [False] * 4
    assert taken == ["ann@example.org"]
    assert lasting.app.counts() == {State.DEFERRED: 5}


def test_con_5_nothing_accepted_is_lost_over_kills_and_the_limit_holds(lasting: World) -> None:
    lasting.app.rules.put(Rule("news", types=["news"], limit="1/s"))
    wanted = [{"type": "news", "to": "ann@example.org", "text": str(n)} for n in range(3)]
    attempts: list[int] = []
    with MailRoom(habits="anybody") as room:
        room.run(lasting.url, wanted, Death("taken", 1), "due")
        finished = 0
        for death in (Death("taken", 1), Death("taken", 1), None):
            # Each process ends when nothing is due; the next slot is in the future then.
            for _ in range(40):
                room.run(lasting.url, (), death, "due")
                if room.endings[-1] < 0:
                    break
                finished = lasting.app.counts().get(State.SENT, 0)
                if finished == 3:
                    break
        taken = [mail.at for mail in room.mails]
    for delivery in lasting.app.deliveries():
        attempts += [attempt.at for attempt in lasting.app.why(delivery.id).attempts]

    assert lasting.app.counts() == {State.SENT: 3}
    assert most_in(attempts, SECOND) == 1
    # On the wire as well, but for the time that a mail takes to get there.
    assert most_in(taken, SECOND // 2) == 1
    # Each of the three kills leaves one mail in doubt.
    assert len(taken) <= 3 + 3


def test_con_7_rules_and_sending_share_one_store_by_construction(world: World) -> None:
    parameters = inspect.signature(Tactful).parameters

    assert [name for name in parameters if "store" in name] == ["store"]
    world.app.rules.put(Rule("news", types=["news"], limit="0/day", on_limit="reject"))
    assert world.send("news", "ann").decision == "reject"
    with world.app.store.reading() as reader:
        assert [policy.name for policy in reader.policies("rule")] == ["news"]


# CON-9: what is over the limit ------------------------------------------------------------------


def test_con_9_three_now_and_two_exactly_one_hour_later_in_their_order(shop: World) -> None:
    assert shop.sent == three_now()
    shop.at(HOUR - 1)
    assert shop.sent == three_now()
    shop.at(HOUR)

    assert shop.sent == [*three_now(), (HOUR, "4"), (HOUR, "5")]
    assert shop.app.counts() == {State.DELIVERED: 5}


def test_con_9_the_receipt_named_that_instant(world: World) -> None:
    world.app.rules.put(MARKETING)
    receipts = [world.send("marketing", "ann") for _ in range(8)]

    assert [receipt.decision for receipt in receipts] == ["send"] * 3 + ["defer"] * 5
    expected = [START] * 3 + [START + HOUR] * 3 + [START + 2 * HOUR] * 2
    assert [receipt.deliver_at for receipt in receipts] == expected
    assert {receipt.rule for receipt in receipts} == {"marketing"}


def test_con_9_the_queue_tells_why_and_when(shop: World) -> None:
    waiting = shop.app.deliveries(state=State.DEFERRED)
    whys = [shop.app.why(delivery.id) for delivery in waiting]

    assert [why.place for why in whys] == [1, 2]
    assert {why.deliver_at for why in whys} == {START + HOUR}
    assert {(why.rule, why.limit) for why in whys} == {("marketing", "3/hour")}
    assert [len(why.fills) for why in whys] == [3, 3]


def test_con_9_what_expires_first_is_not_sent_and_frees_its_place(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    world.send("marketing", "ann", "now")
    brief = world.send("marketing", "ann", "brief", ttl="30m")
    patient = world.send("marketing", "ann", "patient")
    world.at(0)
    world.at(30 * MINUTE)
    assert world.app.delivery(brief.delivery_id or "").state is State.EXPIRED
    assert (brief.deliver_at, bool(brief.reason)) == (None, True)
    for minute in range(30, 180):
        world.at(minute * MINUTE)

    assert world.sent == [(0, "now"), (HOUR, "patient")]
    assert world.app.delivery(patient.delivery_id or "").state is State.DELIVERED


def test_con_9_a_type_has_a_time_to_live(world: World) -> None:
    world.app.types.put(NotificationType("marketing", ttl_ms=90 * MINUTE))
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    for number in range(4):
        world.send("marketing", "ann", str(number))
    for minute in range(0, 300, 5):
        world.at(minute * MINUTE)

    assert world.sent == [(0, "0"), (HOUR, "1")]
    assert world.app.counts() == {State.DELIVERED: 2, State.EXPIRED: 2}


def test_con_9_at_exactly_its_end_it_has_expired(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    world.send("marketing", "ann", "now")
    world.send("marketing", "ann", "late", ttl="1h")
    world.send("marketing", "ben", "now")
    world.send("marketing", "ben", "in time", ttl=HOUR + 1)
    world.at(0)
    world.at(HOUR)

    assert world.texts == ["now", "now", "in time"]


def test_con_9_the_queue_of_one_recipient_has_an_end(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=Settings(waiting_max=4))
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    world.send("marketing", "ann")
    world.app.tick()

    answers = [world.send("marketing", "ann") for _ in range(6)]

    assert [answer.decision for answer in answers] == ["defer"] * 4 + ["reject"] * 2
    assert answers[-1].rule == "waiting_max"
    assert world.send("marketing", "ben").decision == "send"


def test_con_9_a_full_queue_stops_nobody_who_need_not_wait(
    make_world: Callable[..., World], url: str
) -> None:
    world = make_world(url, settings=Settings(waiting_max=2))
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    for _ in range(5):
        world.send("marketing", "ann")

    assert world.send("code", "ann").decision == "send"


def test_con_9_what_waits_survives_a_restart(lasting: World) -> None:
    lasting.app.rules.put(MARKETING)
    for number in range(1, 6):
        lasting.send("marketing", "ann", str(number))
    lasting.app.tick()
    lasting.restart()
    lasting.at(HOUR - 1)
    lasting.restart()
    lasting.at(HOUR)

    assert lasting.sent == [*three_now(), (HOUR, "4"), (HOUR, "5")]


def test_con_9_what_is_cancelled_makes_room_for_the_next(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    receipts = [world.send("marketing", "ann", str(number)) for number in range(4)]
    world.app.tick()
    assert world.app.cancel(receipts[1].delivery_id or "") == 1
    assert world.app.cancel(receipts[1].delivery_id or "") == 0
    assert world.app.cancel(receipts[0].delivery_id or "") == 0
    world.app.tick()
    moved = [world.app.why(receipt.delivery_id or "").deliver_at for receipt in receipts[2:]]
    for minute in range(0, 300, 5):
        world.at(minute * MINUTE)

    assert moved == [START + HOUR, START + 2 * HOUR]
    assert world.sent == [(0, "0"), (HOUR, "2"), (2 * HOUR, "3")]
    with pytest.raises(errors.NotFound):
        world.app.cancel("no such thing")


def test_con_9_a_promised_place_that_is_cancelled_goes_to_the_next(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    promised = world.send("marketing", "ann", "promised")
    world.send("marketing", "ann", "next")
    world.app.cancel(promised.delivery_id or "")
    world.at(MINUTE)

    assert world.sent == [(MINUTE, "next")]


def test_con_9_a_promised_place_that_expires_goes_to_the_next(world: World) -> None:
    world.app.rules.put(Rule("marketing", types=["marketing"], limit="1/hour"))
    world.send("marketing", "ann", "promised", ttl="10s")
    world.send("marketing", "ann", "next")
    world.at(MINUTE)

    assert world.sent == [(MINUTE, "next")]


def test_con_9_a_place_of_somebody_who_unsubscribed_from_it_goes_to_the_next(world: World) -> None:
    world.app.rules.put(Rule("calm", limit="1/hour"))
    world.send("marketing", "ann", "promised")
    world.send("news", "ann", "next")
    world.app.recipients.put(Recipient("ann", mute=("type:marketing",)))
    world.at(MINUTE)

    assert world.sent == [(MINUTE, "next")]


def test_con_9_a_cancelled_broadcast_reaches_nobody_more(world: World) -> None:
    world.app.recipients.register("Ann")
    receipt = world.app.broadcast(type="news", text="Oops")
    world.app.cancel(receipt.notification_id)
    world.app.tick()

    assert world.sent == []


def test_con_9_five_thousand_offers_lose_none(world: World) -> None:
    world.app.rules.put(MARKETING)
    world.app.send_many(
        {"type": "marketing", "to": f"user{user}", "text": str(number)}
        for number in range(5)
        for user in range(1000)
    )
    world.at(0)
    assert len(world.sent) == 3000
    world.at(HOUR)

    assert world.app.counts() == {State.DELIVERED: 5000}
    for texts in per_user(world).values():
        assert texts == ["0", "1", "2", "3", "4"]


def per_user(world: World) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for message in world.channel.messages:
        found.setdefault(message.recipient, []).append(message.text)
    return found
