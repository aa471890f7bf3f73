"""Fan-out: a broadcast reaches everybody who was there, once, whatever happens in between."""

from __future__ import annotations

from engine_bench import START, Bench

from tactful.core.model import Recipient, State


def crowd(bench: Bench, many: int) -> list[str]:
    keys = [f"p{n:03}" for n in range(many)]
    bench.people.put_many(Recipient(key) for key in keys)
    return keys


def reached(bench: Bench) -> list[str]:
    return [delivery.recipient for delivery in bench.deliveries()]


def test_everybody_is_reached_in_steps_of_the_wanted_size(bench: Bench) -> None:
    keys = crowd(bench, 25)
    receipt = bench.broadcast()

    steps = []
    while found := bench.fanout.step(10):
        steps.append(found)

    assert steps == [10, 10, 5]
    assert reached(bench) == keys
    assert {d.notification_id for d in bench.deliveries()} == {receipt.notification_id}
    assert bench.events(name="accepted") == ["accepted"] * 25


def test_another_engine_carries_on_where_one_stopped(bench: Bench) -> None:
    """After each single step."""
    keys = crowd(bench, 30)
    bench.broadcast()
    while Bench(bench.store).fanout.step(10):
        pass

    assert sorted(reached(bench)) == keys


def test_an_audience_that_fills_its_last_step_exactly_is_done(bench: Bench) -> None:
    keys = crowd(bench, 20)
    bench.broadcast()
    for _ in range(5):
        bench.fanout.step(10)

    assert reached(bench) == keys
    with bench.store.reading() as reader:
        assert reader.unfinished_broadcasts() == []


def test_who_comes_later_is_not_in_it_and_who_left_gets_nothing(bench: Bench) -> None:
    keys = crowd(bench, 6)
    bench.broadcast()
    bench.fanout.step(2)
    bench.person("late")
    for gone in ("p000", "p003", "p005"):
        bench.people.remove(gone)
    while bench.fanout.step(2):
        pass

    assert reached(bench) == [key for key in keys if key not in ("p003", "p005")]


def test_the_most_urgent_broadcast_comes_first_then_the_oldest(bench: Bench) -> None:
    crowd(bench, 2)
    order = [bench.broadcast(priority=name) for name in ("normal", "high", "low", "high")]
    seen: list[str] = []
    while bench.fanout.step(1):
        new = {d.notification_id for d in bench.deliveries()} - set(seen)
        seen += new

    old, first, last, second = (receipt.notification_id for receipt in order)
    assert seen == [first, second, old, last]


def test_only_what_is_more_urgent_can_be_asked_for(bench: Bench) -> None:
    crowd(bench, 3)
    bench.broadcast(priority="normal")
    assert bench.fanout.step(10, above=1) == 0

    urgent = bench.broadcast(priority="critical")
    assert bench.fanout.step(10, above=1) == 3
    assert {d.notification_id for d in bench.deliveries()} == {urgent.notification_id}


def test_an_audience_that_has_left_altogether_ends_the_broadcast(bench: Bench) -> None:
    crowd(bench, 3)
    bench.broadcast()
    for key in ("p000", "p001", "p002"):
        bench.people.remove(key)

    while bench.fanout.step():
        pass
    assert reached(bench) == []
    with bench.store.reading() as reader:
        assert reader.unfinished_broadcasts() == []


def test_the_older_broadcast_is_finished_first(bench: Bench) -> None:
    crowd(bench, 4)
    first, second = bench.broadcast(text="1"), bench.broadcast(text="2")
    while bench.fanout.step(3):
        pass

    found = [d.notification_id for d in bench.deliveries()]
    assert found == [first.notification_id] * 4 + [second.notification_id] * 4


def test_who_has_no_address_is_suppressed_on_that_channel(bench: Bench) -> None:
    bench.person("ada", email="ada@example.com")
    bench.person("bob")
    bench.broadcast(channels=["mail", "post"])
    bench.run()

    found = {(d.recipient, d.channel): d for d in bench.deliveries()}
    assert len(found) == 4
    assert found["bob", "mail"].state is State.SUPPRESSED
    assert found["bob", "mail"].reason == "no address"
    assert found["ada", "mail"].state is State.DELIVERED
    assert bench.events(name="suppressed") == ["suppressed"]
    assert len(bench.messages) == 2


def test_every_delivery_takes_its_properties_from_the_broadcast(bench: Bench) -> None:
    bench.person("ada")
    bench.type("status", category="ops", priority="high", ttl_ms=5_000)
    bench.broadcast("status")
    bench.clock.advance(1_000)
    bench.fanout.step()

    (row,) = bench.deliveries()
    assert (row.type, row.category, row.priority) == ("status", "ops", 2)
    assert (row.created_at, row.due_at, row.expires_at) == (
        START + 1_000,
        START + 1_000,
        START + 5_000,
    )
    assert (row.state, row.decided, row.promised) == (State.QUEUED, False, False)


def test_a_channel_that_is_no_more_keeps_no_other_broadcast_from_going_out(bench: Bench) -> None:
    """An engine that starts again with fewer channels goes on with the others."""
    bench.person("ada", addresses={"sms": "1"})
    bench.broadcast(channels="sms", text="nowhere")
    bench.broadcast(channels="post", text="here")

    del bench.channels["sms"]
    bench.run()

    assert bench.texts == ["here"]
