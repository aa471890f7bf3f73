"""Dispatch: what is due is decided once more, and what may go is claimed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from engine_bench import DAY, HOUR, MINUTE, SECOND, START, Bench, asked

from tactful.core.model import Message, Outcome, Recipient, Rejected, Retry, State
from tactful.core.retry import RetryPolicy
from tactful.engine.requests import Receipt
from tactful.engine.settings import Settings

LEASE = 15 * MINUTE


def waiting_line(bench: Bench, rule: str, on_limit: str) -> None:
    """Ada has had her one; whatever comes next is over the limit."""
    bench.person("ada")
    bench.rule(rule, "1/hour", on_limit=on_limit)
    bench.send(text="first")
    bench.run()


def attempts(bench: Bench, receipt: Receipt) -> list[tuple[int, int, bool]]:
    with bench.store.reading() as reader:
        found = reader.attempts(receipt.delivery_id or "")
    return [(attempt.number, attempt.at - START, attempt.counts) for attempt in found]


def test_nothing_due_is_nothing_to_do(bench: Bench) -> None:
    bench.send(deliver_at=START + DAY)

    claim = bench.dispatch.claim()

    assert (claim.jobs, claim.seen) == ([], 0)


def test_a_claim_writes_the_attempt_before_anything_is_sent(bench: Bench) -> None:
    receipt = bench.send()
    (job,) = bench.claim()
    stored = bench.delivery(receipt)

    assert (job.number, job.at, job.delivery.id) == (1, START, receipt.delivery_id)
    assert job.notifications[receipt.notification_id].content.text == "w"
    assert (stored.state, stored.due_at) == (State.SENDING, START + LEASE)
    assert attempts(bench, receipt) == [(1, 0, True)]
    assert bench.messages == []


def test_a_claim_takes_no_more_than_its_limit_and_the_urgent_first(bench: Bench) -> None:
    for priority in ("low", "normal", "high", "critical"):
        bench.send(to=priority, priority=priority)

    first, second = bench.claim(limit=2), bench.claim()

    assert [job.person.id for job in first] == ["critical", "high"]
    assert [job.person.id for job in second] == ["normal", "low"]


def test_a_batch_is_no_larger_than_the_settings_say(
    make_bench: Callable[[Settings], Bench],
) -> None:
    bench = make_bench(Settings(batch=2))
    for who in "abcde":
        bench.send(to=who)

    assert [len(bench.claim()) for _ in range(4)] == [2, 2, 1, 0]


# What has not been decided yet ---------------------------------------------------------------


def test_a_broadcast_waits_its_turn(bench: Bench) -> None:
    waiting_line(bench, "one", "defer")
    bench.send(text="second")
    bench.broadcast(text="all")
    bench.run()

    (row,) = [d for d in bench.deliveries() if d.due_at == START + 2 * HOUR]
    assert (row.state, row.rule, row.held) == (State.DEFERRED, "one", True)
    bench.at(HOUR)
    bench.at(2 * HOUR)
    assert bench.texts == ["first", "second", "all"]


def test_a_broadcast_is_refused_person_by_person(bench: Bench) -> None:
    bench.person("bob")
    waiting_line(bench, "one", "reject")
    receipt = bench.broadcast(text="all")
    bench.run()

    states = {d.recipient: d for d in bench.deliveries(notification_id=receipt.notification_id)}
    assert states["bob"].state is State.DELIVERED
    assert (states["ada"].state, states["ada"].rule) == (State.REJECTED, "one")
    with bench.store.reading() as reader:
        (event,) = reader.events(name="rejected")
    assert event.data == {"rule": "one", "retry_at": START + HOUR}


def test_a_broadcast_that_is_never_allowed_is_refused_without_an_instant(bench: Bench) -> None:
    bench.person("ada")
    bench.rule("none", "0/day", on_limit="reject")
    bench.broadcast()
    bench.run()

    with bench.store.reading() as reader:
        (event,) = reader.events(name="rejected")
    assert event.data == {"rule": "none"}


def test_broadcasts_meet_in_one_digest(bench: Bench) -> None:
    waiting_line(bench, "one", "digest")
    bench.send(text="single")
    bench.broadcast(text="all 1")
    bench.broadcast(text="all 2")
    bench.run()

    assert {d.due_at for d in bench.deliveries(state=State.DEFERRED)} == {START + HOUR}
    bench.at(HOUR)
    assert len(bench.messages) == 2
    assert all(text in bench.texts[1] for text in ("single", "all 1", "all 2"))


def test_of_broadcasts_that_collapse_the_newest_goes_out(bench: Bench) -> None:
    waiting_line(bench, "one", "collapse")
    for text in ("all 1", "all 2", "all 3"):
        bench.broadcast(text=text)
    bench.run()

    assert len(bench.deliveries(state=State.SUPERSEDED)) == 2
    bench.at(HOUR)
    bench.at(DAY)
    assert bench.texts == ["first", "all 3"]


def test_an_older_one_that_comes_to_its_turn_gives_way_to_the_newer(bench: Bench) -> None:
    """A failed hand-over comes back after something newer of its group has begun to wait."""
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.outcome = lambda message: Retry("busy") if message.text == "old" else None
    old = bench.send(text="old")
    bench.run()
    bench.send(text="goes", priority="high")
    bench.run()
    new = bench.send(text="new")
    assert new.decision == "collapse"

    bench.at(30 * SECOND)

    stored = bench.delivery(old)
    assert stored.state is State.SUPERSEDED
    assert stored.reason == f"superseded by {new.delivery_id}"
    bench.at(2 * HOUR)
    assert bench.texts == ["old", "goes", "new"]


def test_what_was_superseded_in_a_round_is_not_decided_in_it_again(bench: Bench) -> None:
    """Two of a group are due at once: the newer, since a rule has changed, and the one before."""
    bench.rule("one", "1/hour", on_limit="collapse")
    bench.send(text="0")
    bench.run()
    old = bench.send(text="old")
    told: list[Receipt] = []

    def busy(message: Message) -> Outcome | None:
        if message.text != "old":
            return None
        told.append(bench.send(text="new", priority="high"))
        bench.rule("one", "1/day", on_limit="collapse")
        return Retry("busy")

    bench.outcome = busy
    bench.at(HOUR)
    bench.clock.advance(MINUTE)
    bench.rule("one", "1/2d", on_limit="collapse")
    bench.run()

    (new,) = told
    assert bench.delivery(old).state is State.SUPERSEDED
    assert bench.events(old).count("superseded") == 1
    bench.at(2 * DAY)
    assert bench.delivery(new).state is State.DELIVERED


def test_behind_a_very_long_line_a_broadcast_gets_its_exact_slot(bench: Bench) -> None:
    bench.person("ada")
    bench.rule("one", "1/minute")
    for _ in range(300):
        bench.send()
    bench.broadcast(text="all 1")
    bench.broadcast(text="all 2")
    bench.run()

    slots = [d.due_at for d in bench.deliveries(state=State.DEFERRED)]
    assert sorted(slots) == [START + n * MINUTE for n in range(1, 302)]


# What was accepted ---------------------------------------------------------------------------


def test_what_was_accepted_is_never_rejected_afterwards(bench: Bench) -> None:
    """A rule that became stricter makes it wait instead."""
    first, second = bench.send(text="1"), bench.send(text="2")
    bench.rule("one", "1/hour", on_limit="reject")

    bench.run()
    assert bench.delivery(first).state is State.DELIVERED
    assert (bench.delivery(second).state, bench.delivery(second).rule) == (State.DEFERRED, "one")
    bench.at(HOUR)
    assert bench.sent == [(0, "1"), (HOUR, "2")]


def test_a_broadcast_that_was_made_to_wait_is_not_rejected_either(bench: Bench) -> None:
    waiting_line(bench, "one", "defer")
    bench.broadcast(text="all")
    bench.run()
    bench.rule("one", "1/day", on_limit="reject")

    bench.run()
    assert [d.due_at for d in bench.deliveries(state=State.DEFERRED)] == [START + DAY]
    bench.at(DAY)
    assert bench.texts == ["first", "all"]


def test_a_relaxed_rule_lets_go_what_waited(bench: Bench) -> None:
    waiting_line(bench, "one", "defer")
    bench.send(text="second")
    bench.rules.remove("one")

    bench.run()
    assert bench.sent == [(0, "first"), (0, "second")]


def test_a_digest_whose_rule_is_gone_goes_out_one_by_one(bench: Bench) -> None:
    waiting_line(bench, "one", "digest")
    bench.send(text="a")
    bench.send(text="b")
    bench.rules.remove("one")

    bench.run()
    assert bench.texts == ["first", "a", "b"]


def test_a_digest_takes_so_many_and_the_others_wait_for_the_next(
    make_bench: Callable[[Settings], Bench],
) -> None:
    bench = make_bench(Settings(digest_max=2))
    waiting_line(bench, "one", "digest")
    for text in "abcde":
        bench.send(text=f"<{text}>")

    for hours in range(1, 5):
        bench.at(hours * HOUR)

    held = [[t for t in "abcde" if f"<{t}>" in text] for text in bench.texts[1:]]
    assert held == [["a", "b"], ["c", "d"], ["e"]]
    assert [at for at, _ in bench.sent] == [0, HOUR, 2 * HOUR, 3 * HOUR]


def test_one_that_goes_late_shifts_the_others_and_overtakes_nobody(bench: Bench) -> None:
    """The next in line lost its slot to those behind it, and an hour stayed empty."""
    bench.rule("one", "1/hour")
    for text in "abcdefg":
        bench.send(text=text)
    bench.run()

    bench.at(HOUR + 5)
    while waiting := bench.deliveries(state=State.DEFERRED):
        bench.at(min(row.due_at for row in waiting) - START)
    assert [(at, text) for at, text in bench.sent] == [
        (0, "a"),
        *((hour * HOUR + 5, text) for hour, text in enumerate("bcdefg", start=1)),
    ]


def test_a_claim_that_ends_within_a_digest_takes_all_of_it(
    make_bench: Callable[[Settings], Bench],
) -> None:
    """With so many that are due at once, each had a part of its digest and waited for the rest."""
    bench = make_bench(Settings(batch=7))
    people = [f"p{n}" for n in range(10)]
    bench.rule("one", "1/hour", on_limit="digest")
    for text in ("<now>", "<a>", "<b>", "<c>"):
        bench.send_all([asked(to=to, text=text) for to in people])
    bench.run()

    bench.at(HOUR)
    assert sorted(m.address for m in bench.messages[len(people) :]) == sorted(people)
    assert all(
        word in text for text in bench.texts[len(people) :] for word in ("<a>", "<b>", "<c>")
    )


def test_what_was_muted_or_suppressed_meanwhile_is_not_sent(bench: Bench) -> None:
    muted, suppressed = bench.send(to="ada"), bench.send(to="b@example.com", channels="mail")
    bench.people.put(Recipient("ada", mute=("type:news",)))
    bench.people.suppress("b@example.com", channel="mail", reason="bounced")

    bench.run()
    assert bench.delivery(muted).reason == "muted: type:news"
    assert bench.delivery(suppressed).reason == "suppressed: bounced"
    assert bench.delivery(muted).state is bench.delivery(suppressed).state is State.SUPPRESSED
    assert bench.messages == bench.mail.messages == []


def test_the_next_in_line_moves_up_when_one_drops_out(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.send("news", text="first")
    bench.run()
    bench.send("status", text="unwanted")
    bench.send("news", text="next")
    bench.people.put(Recipient("ada", mute=("type:status",)))

    bench.at(HOUR)
    assert bench.texts == ["first", "next"]


def test_what_outlived_its_time_expires(bench: Bench) -> None:
    receipt = bench.send(ttl="1h")
    last = bench.send(to="bob", ttl=HOUR + 1)

    bench.at(HOUR)
    assert bench.delivery(receipt).state is State.EXPIRED
    assert bench.events(receipt) == ["accepted", "expired"]
    assert bench.delivery(last).state is State.DELIVERED


# After a crash -------------------------------------------------------------------------------


def test_what_a_worker_left_goes_again_and_its_first_attempt_keeps_counting(bench: Bench) -> None:
    bench.rule("two", "2/day")
    receipt = bench.send()
    bench.vanish()

    bench.at(LEASE - 1)
    assert bench.messages == []
    bench.at(LEASE)

    (message,) = bench.messages
    assert (message.attempt, message.maybe_duplicate) == (2, True)
    assert message.id == receipt.delivery_id
    assert attempts(bench, receipt) == [(1, 0, True), (2, LEASE, True)]
    assert bench.events(receipt) == ["accepted", "rescued", "delivered"]
    assert bench.send().decision == "defer"


@pytest.mark.parametrize("on_ambiguous", ["retry", "hold"])
def test_what_was_only_claimed_goes_as_if_nothing_had_happened(
    bench: Bench, on_ambiguous: str
) -> None:
    """Nothing can have arrived before the hand-over began, and nothing counts."""
    bench.type("news", on_ambiguous=on_ambiguous)
    bench.rule("one", "1/day")
    receipt = bench.send()
    bench.claim()

    bench.at(LEASE)

    (message,) = bench.messages
    assert not message.maybe_duplicate
    stored = bench.delivery(receipt)
    assert (stored.state, stored.crashes) == (State.DELIVERED, 0)
    assert [counts for _, _, counts in attempts(bench, receipt)] == [False, True]


def test_a_second_copy_needs_a_slot_of_its_own(bench: Bench) -> None:
    bench.rule("one", "1/day")
    receipt = bench.send()
    bench.vanish()

    bench.at(LEASE)
    stored = bench.delivery(receipt)
    assert (stored.state, stored.due_at, stored.crashes) == (State.DEFERRED, START + DAY, 1)
    bench.at(DAY)
    assert [(m.attempt, m.maybe_duplicate) for m in bench.messages] == [(2, True)]


def test_what_may_go_at_most_once_is_held_after_a_crash(bench: Bench) -> None:
    bench.type("code", on_ambiguous="hold")
    receipt = bench.send("code")
    bench.vanish()

    bench.at(LEASE)
    stored = bench.delivery(receipt)
    assert (stored.state, stored.crashes) == (State.UNKNOWN, 1)
    assert stored.reason == "its worker vanished while it was being sent"
    assert bench.messages == []


def test_what_kills_its_worker_again_and_again_is_quarantined(
    make_bench: Callable[[Settings], Bench],
) -> None:
    bench = make_bench(Settings(retry=RetryPolicy(crashes_max=3)))
    receipt = bench.send()
    for round_ in range(3):
        bench.clock.set(START + round_ * LEASE)
        assert len(bench.vanish()) == 1

    bench.at(3 * LEASE)
    stored = bench.delivery(receipt)
    assert stored.state is State.FAILED
    assert stored.reason == "quarantined: 3 attempts without an answer"
    assert bench.events(receipt)[-1] == "quarantined"
    assert bench.messages == []


def test_a_digest_that_was_left_goes_again_as_the_same_message(bench: Bench) -> None:
    waiting_line(bench, "one", "digest")
    bench.send(text="a")
    bench.send(text="b")
    bench.clock.set(START + HOUR)
    (job,) = bench.vanish()
    assert len(job.members) == 1

    bench.at(HOUR + LEASE)
    bench.at(2 * HOUR)

    assert len(bench.messages) == 2
    again = bench.messages[1]
    assert again.id == job.delivery.id
    assert "a" in again.text
    assert "b" in again.text
    assert again.maybe_duplicate


def test_what_expired_while_it_was_being_sent_goes_no_second_time(bench: Bench) -> None:
    receipt = bench.send(ttl=MINUTE)
    bench.vanish()

    bench.at(LEASE)
    assert bench.delivery(receipt).state is State.EXPIRED
    assert bench.messages == []


def test_what_this_process_is_still_sending_is_not_sent_again(bench: Bench) -> None:
    """Its lease is renewed instead, for as long as the channel takes."""
    receipt = bench.send()
    (job,) = bench.claim()
    ours = frozenset({job.delivery.id})

    for round_ in range(1, 4):
        bench.clock.set(START + round_ * LEASE)
        claim = bench.dispatch.claim(ours)
        assert (claim.jobs, claim.seen) == ([], 1)
        assert bench.delivery(receipt).due_at == START + (round_ + 1) * LEASE

    bench.recording.record(bench.hand_over([job]))
    assert bench.delivery(receipt).state is State.DELIVERED
    assert bench.delivery(receipt).crashes == 0


@pytest.mark.parametrize("known", [True, False])
def test_who_is_not_registered_any_more_still_gets_what_was_accepted(
    bench: Bench, known: bool
) -> None:
    bench.person("ada", timezone="Asia/Tokyo")
    bench.send()
    if not known:
        bench.people.remove("ada")

    bench.run()
    assert bench.texts == ["w"]


def test_a_refused_one_gives_its_slot_to_the_next(bench: Bench) -> None:
    bench.rule("one", "1/hour")
    bench.outcome = lambda message: Rejected("no") if message.text == "bad" else None
    bench.send(text="bad")
    bench.send(text="good")

    bench.run()
    assert bench.sent == [(0, "bad"), (0, "good")]
