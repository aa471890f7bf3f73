"""Throughput: what providers and domains take, for everybody together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from engine_bench import HOUR, SECOND, START, Bench, asked

from tactful.core.model import State
from tactful.engine.settings import Settings
from tactful.ports import Store


def handed_over(bench: Bench) -> list[tuple[int, str]]:
    return [(m.at - START, m.recipient) for m in bench.mail.messages]


def test_a_channel_takes_so_many_and_the_others_wait_in_line_order(bench: Bench) -> None:
    bench.rule("slow", "1/second", per="channel", channels=["post"])
    for who in "abcd":
        bench.send(to=who)
    bench.send(to="ada", channels="mail")

    bench.run()
    waiting = [(d.recipient, d.due_at - START) for d in bench.deliveries(state=State.DEFERRED)]
    assert waiting == [("b", SECOND), ("c", 2 * SECOND), ("d", 3 * SECOND)]
    for second in range(1, 4):
        bench.at(second * SECOND)
    assert [(m.at - START, m.recipient) for m in bench.messages] == [
        (0, "a"),
        (SECOND, "b"),
        (2 * SECOND, "c"),
        (3 * SECOND, "d"),
    ]


def test_a_wider_gate_lets_go_at_once_what_waited_before_the_narrow_one(bench: Bench) -> None:
    bench.rule("slow", "1/hour", per="channel")
    for who in "abc":
        bench.send(to=who)
    bench.run()

    bench.rules.remove("slow")
    bench.run()
    assert [m.recipient for m in bench.messages] == ["a", "b", "c"]


def test_a_burst_goes_at_once(bench: Bench) -> None:
    bench.rule("slow", "1/second", per="channel", burst=3)
    for who in "abcde":
        bench.send(to=who)

    assert bench.run()["delivered"] == 3
    assert bench.at(SECOND)["delivered"] == 1
    assert bench.at(2 * SECOND)["delivered"] == 1


def test_domains_have_a_budget_each(bench: Bench) -> None:
    bench.rule("gentle", "1/second", per="domain", channels=["mail"])
    for who in ("a@one.test", "b@ONE.test", "c@two.test", "d@one.test"):
        bench.send(to=who, channels="mail")

    for second in range(3):
        bench.at(second * SECOND)
    assert handed_over(bench) == [
        (0, "a@one.test"),
        (0, "c@two.test"),
        (SECOND, "b@one.test"),
        (2 * SECOND, "d@one.test"),
    ]


def test_who_is_stopped_at_one_gate_uses_nothing_up_at_another(bench: Bench) -> None:
    bench.rule("a-domain", "1/minute", per="domain", channels=["mail"])
    bench.rule("channel", "2/minute", per="channel", channels=["mail"], burst=2)
    for who in ("a@one.test", "b@one.test", "c@two.test"):
        bench.send(to=who, channels="mail")

    bench.run()
    assert handed_over(bench) == [(0, "a@one.test"), (0, "c@two.test")]


def test_the_budget_outlives_the_process(bench: Bench) -> None:
    bench.rule("slow", "1/second", per="channel")
    bench.send(to="a")
    bench.run()

    after = Bench(bench.store)
    after.send(to="b")
    after.run()
    assert after.messages == []
    after.at(SECOND)
    assert after.texts == ["w"]


def test_a_digest_that_waits_for_its_provider_stays_one_message(bench: Bench) -> None:
    bench.rule("one", "1/hour", on_limit="digest", types=["news"])
    bench.rule("slow", "1/second", per="channel")
    bench.send(text="first")
    bench.run()
    bench.send(text="a")
    bench.send(text="b")
    bench.send("other", to="bob", priority="high", deliver_at=START + HOUR)

    bench.at(HOUR)
    assert [m.recipient for m in bench.messages] == ["ada", "bob"]
    bench.at(HOUR + SECOND)
    (digest,) = bench.messages[2:]
    assert "a" in digest.text
    assert "b" in digest.text


def test_a_gate_never_spends_a_persons_limit(bench: Bench) -> None:
    """Waiting for a provider is no attempt."""
    bench.rule("slow", "1/second", per="channel")
    bench.rule("one", "1/hour")
    bench.send(to="bob")
    bench.send(to="ada", text="late")
    bench.run()
    bench.at(SECOND)

    with bench.store.reading() as reader:
        (entry,) = reader.history(["ada"], 0)["ada"]
    assert entry.at == START + SECOND


def test_whoever_waits_at_a_gate_has_a_slot_of_their_own_and_is_looked_at_once(
    make_bench: Callable[[Settings], Bench],
) -> None:
    """All that waited was planned for the next few slots at every claim, over and over."""
    bench = make_bench(Settings(batch=10))
    bench.rule("mail", "10/s", per="channel", channels=["post"])
    bench.send_all([asked(to=f"p{n}", text=str(n)) for n in range(101)])

    bench.run()
    waiting = bench.deliveries(state=State.DEFERRED)
    assert sorted(d.due_at - START for d in waiting) == [100 * n for n in range(1, 101)]

    for n in range(1, 101):
        bench.at(100 * n)
    assert bench.texts == [str(n) for n in range(101)]
    with bench.store.reading() as reader:
        assert len(reader.events(name="deferred", limit=1000)) == 100


def test_what_is_urgent_overtakes_the_line_at_a_gate_and_shifts_it_by_one(bench: Bench) -> None:
    bench.rule("mail", "10/s", per="channel", channels=["post"])
    bench.send_all([asked(to=f"p{n}", text=str(n)) for n in range(5)])
    bench.run()
    bench.at(50)
    bench.send(to="ops", text="alarm", priority="critical")

    for instant in range(100, 700, 10):
        bench.at(instant)
    assert bench.texts == ["0", "alarm", "1", "2", "3", "4"]
    assert [at for at, _ in bench.sent] == [0, 100, 200, 300, 400, 500]


def test_a_change_of_the_rule_ends_the_line(bench: Bench) -> None:
    bench.rule("mail", "1/h", per="channel", channels=["post"])
    bench.send_all([asked(to=f"p{n}", text=str(n)) for n in range(5)])
    bench.run()
    bench.rule("mail", "10/s", per="channel", channels=["post"])
    bench.run()

    for instant in range(0, 1000, 100):
        bench.at(instant)
    assert bench.texts == [str(n) for n in range(5)]


def test_a_limit_that_was_made_wider_holds_from_its_first_look_on(bench: Bench) -> None:
    bench.rule("slow", "1/hour", per="channel", burst=5)
    for number in range(40):
        bench.send(to=f"p{number}", text=str(number))
    bench.run()
    assert len(bench.messages) == 5

    bench.rule("slow", "10/second", per="channel", burst=5)
    for instant in range(0, 1_000, 100):
        bench.at(instant)
    assert len(bench.messages) == 5 + 9


@pytest.mark.parametrize("behind_ms", [6, 900])
def test_a_worker_whose_clock_is_behind_gives_nothing_of_a_rate_back(
    behind_ms: int, store: Store
) -> None:
    """Each in its turn is as late as clocks of two machines may be, or as a wait for a lock."""
    ahead, behind = Bench(store), Bench(store)
    ahead.rule("mail", "100/second", per="channel", channels=["post"], burst=10)
    gone: list[int] = []
    for number in range(150):
        bench = behind if number % 2 else ahead
        bench.clock.set(START + 2_000 + number - behind_ms * (number % 2))
        bench.send(to=f"p{number}", text=str(number))
        gone += [job.at for job in bench.claim()]

    assert len(gone) > 20
    gone.sort()
    for first, last in combinations(range(len(gone)), 2):
        assert last - first + 1 <= 10 + (gone[last] - gone[first]) / 10


@pytest.mark.parametrize("change", ["rule", "cancel"])
def test_a_long_line_that_begins_anew_is_a_line_again(bench: Bench, change: str) -> None:
    """Each is looked at once for its new place, and once at its slot; not at every slot."""
    bench.rule("slow", "1/second", per="channel", burst=2)
    receipts = [bench.send(to=f"p{n:03}") for n in range(120)]
    bench.run()
    if change == "rule":
        bench.rule("other", "1/day", types=["rare"])
    else:
        bench.upkeep.cancel(receipts[50].delivery_id or "")
    bench.run()

    waiting = bench.deliveries(state=State.DEFERRED)
    slots = [row.due_at - START for row in waiting]
    assert slots == [(number + 1) * SECOND for number in range(len(waiting))]
    assert bench.at(SECOND)["delivered"] == 1
    assert [row.due_at - START for row in bench.deliveries(state=State.DEFERRED)] == slots[1:]
