"""When a channel's mail bounces or annoys too often somebody is told, and it can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inbound_world import World

from tactful import NotificationType, Settings, Tactful
from tactful.core.errors import ConfigError
from tactful.core.model import DAY, HOUR, Accepted, State
from tactful.engine.feedback.reports import Report
from tactful.engine.feedback.reputation import SAMPLE
from tactful.engine.settings import Tolerance
from tactful.testing import CaptureChannel, ManualClock

SMALL = Tolerance(volume=100)
STOP = Tolerance(volume=100, breaker="stop")


def sent(world: World, count: int, name: str = "u") -> list[str]:
    people = [f"{name}{n}@example.org" for n in range(count)]
    receipts = world.app.send_many([{"type": "news", "to": to, "text": "x"} for to in people])
    world.app.tick()
    return [receipt.delivery_id or "" for receipt in receipts]


def told(world: World, ids: list[str], kind: str = "bounced", how: str = "hard") -> None:
    data = {"bounce": how} if kind == "bounced" else {}
    for delivery_id in ids:
        report = Report("test", f"{kind}{delivery_id}", kind, names=(delivery_id,), data=data)
        world.app.reports.take([report])


def alarms(world: World) -> list[dict[str, Any]]:
    return [dict(event.data) for event in world.app.events(name="feedback.alarm")]


def levels(world: World) -> list[tuple[str, str, int]]:
    return [(one["kind"], one["level"], one["bad"]) for one in alarms(world)]


def test_an_alarm_is_given_at_exactly_the_bound_and_once(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=SMALL))
    ids = sent(world, 100)

    told(world, ids[:4])
    assert alarms(world) == []
    told(world, ids[4:9])
    assert levels(world) == [("bounce", "warn", 5)]
    told(world, ids[9:20])

    assert levels(world) == [("bounce", "warn", 5), ("bounce", "stop", 10)]
    assert alarms(world)[0] == {
        "channel": "email", "kind": "bounce", "level": "warn", "bad": 5, "volume": 100,
        "ppm": 50_000, "bound_ppm": 50_000, "held": False,
    }  # fmt: skip


def test_complaints_have_bounds_of_their_own(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=Tolerance(volume=1_000)))
    ids = sent(world, 1_000)

    told(world, ids[:5], "complained")

    assert levels(world) == [("complaint", "warn", 1), ("complaint", "stop", 5)]


def test_soft_bounces_are_not_held_against_a_channel(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=SMALL))
    told(world, sent(world, 100), how="soft")

    assert alarms(world) == []


def test_below_the_volume_nothing_is_said(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=SMALL))
    told(world, sent(world, 99))

    assert alarms(world) == []


def test_only_the_last_day_counts(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=SMALL))
    bad = sent(world, 50)
    told(world, bad[:4])
    world.clock.advance(DAY)
    good = sent(world, 100, "v")

    told(world, [*bad[4:], *good[:4]])

    assert alarms(world) == []
    (rate, _) = world.app.reputation.rates()
    assert (rate.bad, rate.volume) == (4, 100)


def test_only_the_last_ten_thousand_count() -> None:
    world = World("memory://", Settings(feedback=SMALL))
    old = sent(world, 50)
    told(world, old[:30])
    sent(world, SAMPLE - 20, "v")

    (rate, _) = world.app.reputation.rates()

    assert (rate.bad, rate.volume) == (0, SAMPLE)


def test_an_alarm_is_given_again_only_after_the_rate_was_well_below(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Settings(feedback=SMALL))
    told(world, sent(world, 100)[:5])  # 5 of 100
    told(world, sent(world, 10, "a")[:1])  # 6 of 110, after less than 5 % in between
    assert len(alarms(world)) == 1
    told(world, sent(world, 100, "b")[:1])  # 7 of 210
    told(world, sent(world, 20, "c")[:6])  # 13 of 230

    assert [one["bad"] for one in alarms(world)] == [5, 12]


def test_the_rates_are_the_same_for_who_comes_later(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=SMALL))
    told(world, sent(world, 200)[:7])

    other = Tactful(world.app.store, channels=[world.channel], clock=world.clock)

    assert other.reputation.rates() == world.app.reputation.rates()


# Holding --------------------------------------------------------------------------------------


def test_a_channel_that_is_held_sends_only_what_is_critical(
    make_world: Callable[..., World],
) -> None:
    world = make_world(Settings(feedback=STOP))
    told(world, sent(world, 100)[:10])
    assert alarms(world)[-1]["held"] is True

    news = world.app.send(type="news", to="bob@example.org", text="x")
    code = world.app.send(type="code", to="bob@example.org", text="x", priority="critical")
    world.app.tick()

    assert (news.decision, news.rule, news.deliver_at) == ("defer", "breaker-email", None)
    assert world.state(news.delivery_id or "") == "deferred"
    assert world.state(code.delivery_id or "") == "sent"
    why = world.app.why(news.delivery_id or "")
    assert why.text.startswith(
        "news to bob@example.org over email waits because of rule breaker-email (0/day)"
    )


def test_what_had_been_told_that_it_goes_waits_too(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=STOP))
    ids = sent(world, 100)
    receipt = world.app.send(type="news", to="bob@example.org", text="x")
    assert receipt.decision == "send"

    told(world, ids[:10])
    world.app.tick()

    assert world.state(receipt.delivery_id or "") == "deferred"


def test_what_was_held_goes_when_somebody_releases_it(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=STOP))
    told(world, sent(world, 100)[:10])
    held = [world.app.send(type="news", to=f"b{n}@example.org", text="x") for n in range(5)]
    world.app.tick()
    world.clock.advance(HOUR)

    assert world.app.reputation.release("Email ")
    world.app.tick()

    assert {world.state(one.delivery_id or "") for one in held} == {"sent"}
    assert world.names()[-1] == "feedback.released"
    assert not world.app.reputation.release("email")


def test_after_a_release_it_is_counted_anew(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=STOP))
    ids = sent(world, 100)
    told(world, ids[:10])
    world.app.reputation.release("email")
    world.clock.advance(1)

    told(world, ids[10:50])
    assert world.app.rules.get("breaker-email") is None
    told(world, sent(world, 100, "v")[:10])

    assert world.app.rules.get("breaker-email") is not None


def test_another_channel_goes_on(tmp_path: Path) -> None:
    post = [
        CaptureChannel(n, lambda _: Accepted(), address_kind="email") for n in ("email", "smtp")
    ]
    settings = Settings(feedback=STOP)
    app = Tactful(
        f"sqlite:///{tmp_path}/x.db", channels=post, clock=ManualClock(HOUR), settings=settings
    )
    receipts = app.send_many(
        [{"type": "news", "to": f"u{n}@example.org", "text": "x"} for n in range(100)]
    )
    app.tick()
    for one in receipts[:10]:
        app.reports.take(
            [
                Report(
                    "t",
                    one.delivery_id or "",
                    "bounced",
                    names=(one.delivery_id or "",),
                    data={"bounce": "hard"},
                )
            ]
        )
    other = app.send(type="news", to="bob@example.org", text="x", channels="smtp")
    app.tick()

    assert app.rules.get("breaker-email") is not None
    found = app.delivery(other.delivery_id or "")
    assert found is not None
    assert found.state is State.SENT
    app.close()


def test_a_mandatory_type_is_held_like_any_other(make_world: Callable[..., World]) -> None:
    """Mandatory is about wishes; what the provider thinks of the sender is something else."""
    world = make_world(Settings(feedback=STOP))
    world.app.types.put(NotificationType("recall", mandatory=True))
    told(world, sent(world, 100)[:10])

    receipt = world.app.send(type="recall", to="bob@example.org", text="x")

    assert receipt.rule == "breaker-email"


@pytest.mark.parametrize(
    "wrong",
    [{"breaker": "off"}, {"volume": 0}, {"soft_bounces": 0}, {"soft_window_ms": 1.5}],
)
def test_a_tolerance_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Tolerance(**wrong)
