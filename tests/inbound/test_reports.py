"""What is reported about one of our deliveries changes it and its address, and once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from inbound_world import World

from tactful import NotificationType, Recipient, Settings
from tactful.core.errors import RequestError
from tactful.core.model import DAY
from tactful.engine.feedback.reports import Report, Seal, Taken
from tactful.engine.settings import Tolerance


def bounce(delivery_id: str, kind: str = "hard", key: str = "1", **more: str) -> Report:
    data = {
        "bounce": kind,
        "status": "5.1.1" if kind == "hard" else "4.2.2",
        "reason": "no",
        **more,
    }
    return Report("test", key, "bounced", names=(delivery_id,), data=data)


def complaint(delivery_id: str, key: str = "c") -> Report:
    return Report("test", key, "complained", names=(delivery_id,))


# Bounces --------------------------------------------------------------------------------------


def test_a_hard_bounce_moves_the_delivery_and_suppresses_the_address(any_world: World) -> None:
    world = any_world
    first = world.sent()

    assert world.app.reports.take([bounce(first)]) == Taken(news=1)

    assert world.state(first) == "bounced"
    assert world.names(first) == ["accepted", "sent", "bounced", "address.suppressed"]
    assert world.reasons() == [("all", "hard bounce 5.1.1")]
    second = world.sent()
    assert world.state(second) == "suppressed"
    assert "suppressed: hard bounce 5.1.1" in world.app.why(second).text


def test_everybody_with_the_address_is_meant_however_it_is_written(world: World) -> None:
    world.app.recipients.put(Recipient("ada", email="Ada@Example.org"))
    world.app.reports.take([bounce(world.sent("ada@example.org"))])

    for to in ("ada", "ADA@example.org"):
        assert world.state(world.sent(to)) == "suppressed"
    assert world.state(world.sent("bob@example.org")) == "sent"


def test_what_waits_for_the_address_is_suppressed_at_its_turn(world: World) -> None:
    later = world.app.send(
        type="news", to="ada@example.org", text="Later", deliver_at=world.clock.now() + DAY
    )
    world.app.reports.take([bounce(world.sent())])

    world.clock.advance(DAY)
    world.app.tick()

    assert world.state(later.delivery_id or "") == "suppressed"


def test_soft_bounces_suppress_at_the_third_within_seven_days(any_world: World) -> None:
    world = any_world
    for n in range(3):
        assert world.reasons() == []
        delivery_id = world.sent()
        assert world.state(delivery_id) == "sent"
        world.app.reports.take([bounce(delivery_id, "soft", str(n))])
        world.clock.advance(DAY)

    assert world.reasons() == [("all", "3 soft bounces in 7 days")]
    assert world.state(world.sent()) == "suppressed"


def test_soft_bounces_that_lie_too_far_apart_do_not(world: World) -> None:
    for n in range(6):
        world.app.reports.take([bounce(world.sent(), "soft", str(n))])
        world.clock.advance(4 * DAY)

    assert world.reasons() == []


def test_one_delivery_counts_once_however_many_say_that_it_bounced(world: World) -> None:
    delivery_id = world.sent()
    for n in range(5):
        world.app.reports.take([bounce(delivery_id, "soft", str(n))])

    assert world.reasons() == []


def test_how_many_soft_bounces_and_how_long_is_a_setting(make_world: Callable[..., World]) -> None:
    world = make_world(Settings(feedback=Tolerance(soft_bounces=2, soft_window_ms=DAY)))
    world.app.reports.take([bounce(world.sent(), "soft", "1")])
    world.app.reports.take([bounce(world.sent(), "soft", "2")])

    assert world.reasons() == [("all", "2 soft bounces in 1 day")]


def test_taking_an_address_off_the_list_forgets_the_count(any_world: World) -> None:
    world = any_world
    for n in range(2):
        world.app.reports.take([bounce(world.sent(), "soft", str(n))])
    world.app.recipients.unsuppress("ada@example.org")

    world.app.reports.take([bounce(world.sent(), "soft", "3")])

    assert world.reasons() == []
    assert world.state(world.sent()) == "sent"


def test_a_hard_bounce_after_the_receipt_of_the_server_still_counts(world: World) -> None:
    delivery_id = world.sent()
    world.app.reports.take([Report("test", "d", "delivered", names=(delivery_id,))])

    assert world.app.reports.take([bounce(delivery_id)]) == Taken(stale=1)

    assert world.state(delivery_id) == "delivered"
    assert world.names(delivery_id)[-2:] == ["late", "address.suppressed"]
    assert world.reasons() == [("all", "hard bounce 5.1.1")]


def test_a_fact_recorded_by_the_application_counts_as_well(world: World) -> None:
    one, other = world.sent(), world.sent("bob@example.org")

    assert world.app.record("bounced", one, bounce="hard", status="5.1.1")
    assert world.app.record("complained", other)

    assert world.reasons() == [("all", "hard bounce 5.1.1")]
    assert world.reasons("bob@example.org") == [("all but mandatory", "complaint")]


# Complaints -----------------------------------------------------------------------------------


def test_after_a_complaint_only_what_is_mandatory_goes(any_world: World) -> None:
    world = any_world
    world.app.types.put(NotificationType("recall", mandatory=True))
    delivery_id = world.sent()

    assert world.app.reports.take([complaint(delivery_id)]) == Taken(news=1)

    assert world.state(delivery_id) == "delivered"
    assert world.names(delivery_id)[2:] == ["delivered", "complained", "address.suppressed"]
    assert world.state(world.sent()) == "suppressed"
    assert world.state(world.sent(type_="recall")) == "sent"


def test_after_a_hard_bounce_not_even_what_is_mandatory_goes(world: World) -> None:
    world.app.types.put(NotificationType("recall", mandatory=True))
    delivery_id = world.sent()
    world.app.reports.take([complaint(delivery_id), bounce(delivery_id)])

    assert world.state(world.sent(type_="recall")) == "suppressed"


def test_one_may_complain_once_about_a_message(world: World) -> None:
    delivery_id = world.sent()
    twice = [complaint(delivery_id, "1"), complaint(delivery_id, "2")]

    assert world.app.reports.take(twice) == Taken(news=1, stale=1)
    assert not world.app.record("complained", delivery_id)
    assert world.names(delivery_id).count("complained") == 1


def test_nobody_can_complain_about_what_was_not_sent(world: World) -> None:
    waiting = world.app.send(
        type="news", to="ada@example.org", text="x", deliver_at=world.clock.now() + DAY
    )

    assert world.app.reports.take([complaint(waiting.delivery_id or "")]) == Taken(stale=1)
    assert world.reasons() == []


# Which delivery -------------------------------------------------------------------------------


def test_a_delivery_is_found_by_the_name_that_the_provider_gave_it(any_world: World) -> None:
    world = any_world
    mine, other = world.sent(), world.sent("bob@example.org")
    report = Report("test", "1", "delivered", "Ada@example.org", ref="0102-000001")
    elsewhere = Report("test", "2", "delivered", "carl@example.org", ref="0102-000002")

    assert world.app.reports.take([report, elsewhere]) == Taken(news=1, unknown=1)

    assert (world.state(mine), world.state(other)) == ("delivered", "sent")


def test_what_is_about_nothing_known_is_kept_and_not_believed(any_world: World) -> None:
    world = any_world
    world.sent()
    stranger = Report(
        "test", "1", "bounced", "ada@example.org", ("nobody",), data={"bounce": "hard"}
    )

    assert world.app.reports.take([stranger]) == Taken(unknown=1)

    assert world.reasons() == []
    (event,) = world.app.events(name="feedback.unknown")
    assert event.data == {
        "source": "test", "kind": "bounced", "address": "ada@example.org", "bounce": "hard",
    }  # fmt: skip


def test_what_is_about_nothing_known_goes_when_a_delivery_of_its_age_would(
    any_world: World,
) -> None:
    world = any_world
    world.app.reports.take([Report("test", "1", "bounced", names=("nothing",))])
    world.clock.advance(world.app.settings.keep_ms)
    world.app.reports.take([Report("test", "2", "bounced", names=("nothing",))])
    world.app.prune()
    assert world.names().count("feedback.unknown") == 2

    world.clock.advance(1)
    world.app.prune()

    assert world.names().count("feedback.unknown") == 1


@pytest.mark.parametrize("address", ["", " ", "\0", "a\nb", "x" * 4_000])
def test_an_address_that_cannot_be_one_harms_nobody(world: World, address: str) -> None:
    report = Report("test", "1", "bounced", address, ("\0", "x" * 4_000), "ref", {"bounce": "hard"})

    assert world.app.reports.take([report]) == Taken(unknown=1)


def test_a_report_that_overtakes_the_record_of_its_delivery_has_to_come_again(world: World) -> None:
    """A provider may call before the answer to the hand-over is written down."""
    early: list[Taken] = []
    receipt = world.app.send(type="news", to="ada@example.org", text="x")
    report = bounce(receipt.delivery_id or "")
    world.meanwhile = lambda: early.append(world.app.reports.take([report]))
    world.app.tick()

    assert early == [Taken(early=1)]
    assert world.app.reports.take([report]) == Taken(news=1)


# Once -----------------------------------------------------------------------------------------


def test_a_report_changes_something_once(any_world: World) -> None:
    world = any_world
    report = bounce(world.sent())
    world.app.reports.take([report])
    world.app.recipients.unsuppress("ada@example.org")
    before = world.app.events(limit=1_000)

    for _ in range(10):
        assert world.app.reports.take([report]) == Taken(replayed=1)

    assert world.app.events(limit=1_000) == before
    assert world.reasons() == []


def test_of_many_who_bring_the_same_report_at_once_one_is_news(any_world: World) -> None:
    world = any_world
    delivery_id = world.sent()
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: world.app.reports.take([bounce(delivery_id)]), range(16)))

    assert sorted(taken) == [Taken(replayed=1)] * 15 + [Taken(news=1)]
    assert world.names(delivery_id).count("bounced") == 1


def test_the_same_key_of_two_sources_is_two_reports(world: World) -> None:
    one, other = world.sent(), world.sent("bob@example.org")
    reports = [bounce(one), Report("other", "1", "delivered", names=(other,))]

    assert world.app.reports.take(reports) == Taken(news=2)


def test_a_seal_that_was_used_for_something_else_lets_nothing_through(any_world: World) -> None:
    world = any_world
    one, other = world.sent(), world.sent("bob@example.org")
    world.app.reports.take([bounce(one)], Seal("test", "token", "a"))

    assert world.app.reports.take([bounce(one)], Seal("test", "token", "a")) == Taken(replayed=1)
    with pytest.raises(RequestError, match="was used before"):
        world.app.reports.take([bounce(other, key="2")], Seal("test", "token", "b"))
    assert world.state(other) == "sent"


def test_what_is_no_fact_is_refused(world: World) -> None:
    with pytest.raises(RequestError, match="must be one of"):
        world.app.reports.take([Report("test", "1", "sent")])


def test_hundreds_of_reports_are_taken_in_portions(world: World) -> None:
    ids = [world.sent(f"user{n}@example.org") for n in range(5)]
    reports = [Report("test", str(n), "delivered", names=(ids[n % 5],)) for n in range(503)]

    assert world.app.reports.take(reports) == Taken(news=5, stale=498)
