"""What a server refuses because of the address counts as a bounce that comes later would."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from inbound_world import START, World

from tactful import Settings, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.model import Event, Rejected
from tactful.engine.settings import Tolerance
from tactful.testing import CaptureChannel, ManualClock
from tactful.testing.smtp_dialogue import Stage
from tactful.testing.smtp_sink import Envelope, Fault, SmtpSink


@contextmanager
def served(tmp_path: Path, answer: str, stage: Stage = "rcpt") -> Iterator[Tactful]:
    """An engine whose mail server says this to whoever writes to somebody at gone.example."""

    def script(_: int, envelope: Envelope) -> Fault | None:
        if any("gone" in one for one in envelope.rcpt_tos):
            return Fault.reply(stage, answer)
        return None

    with SmtpSink(faults=script) as sink:
        channel = SmtpChannel(host=sink.host, port=sink.port, sender="shop@example.org")
        url = f"sqlite:///{tmp_path}/refused.db"
        app = Tactful(url, channels=[channel], clock=ManualClock(START))
        yield app
        app.close()


def sent(app: Tactful, to: str = "eve@gone.example") -> str:
    receipt = app.send(type="news", to=to, subject="Hi", text="It works.")
    app.tick()
    assert receipt.delivery_id is not None
    return receipt.delivery_id


def test_who_is_refused_as_unknown_is_not_written_to_again(tmp_path: Path) -> None:
    with served(tmp_path, "550 5.1.1 no such user") as app:
        first, other, second = sent(app), sent(app, "ann@example.org"), sent(app)

        assert [e.name for e in app.events(delivery_id=first)] == [
            "accepted", "failed", "address.suppressed",
        ]  # fmt: skip
        failed = app.events(delivery_id=first, name="failed")[0].data
        assert (failed["bounce"], failed["status"]) == ("hard", "5.1.1")
        assert "RCPT: 550 5.1.1 no such user" in app.why(first).text
        assert app.why(second).state == "suppressed"
        assert "suppressed: hard bounce 5.1.1" in app.why(second).text
        assert app.why(other).state == "sent"


@pytest.mark.parametrize("answer", ["550 no", "552 5.2.2 full"])
def test_what_may_be_the_fault_of_the_mailbox_counts_as_a_soft_bounce(
    tmp_path: Path, answer: str
) -> None:
    with served(tmp_path, answer) as app:
        found = [app.why(sent(app)).state for _ in range(4)]

        assert found == ["failed", "failed", "failed", "suppressed"]
        (listed,) = app.recipients.suppressions("eve@gone.example")
        assert listed.reason == "3 soft bounces in 7 days"


@pytest.mark.parametrize("answer", ["554 5.7.1 Relay access denied", "550 relay not permitted"])
def test_a_relay_that_does_not_know_us_empties_no_address_book(tmp_path: Path, answer: str) -> None:
    with served(tmp_path, answer) as app:
        assert {app.why(sent(app)).state for _ in range(5)} == {"failed"}
        assert app.recipients.suppressions("eve@gone.example") == []


def test_a_server_may_say_so_at_the_end_of_the_data(tmp_path: Path) -> None:
    with served(tmp_path, "550 5.1.10 recipient not found", "dot") as app:
        sent(app)
        (listed,) = app.recipients.suppressions("eve@gone.example")
        assert (listed.scope, listed.reason) == ("all", "hard bounce 5.1.10")


def test_a_refusal_counts_on_every_store(any_world: World) -> None:
    any_world.refuses = lambda _: Rejected("nobody", "hard", "5.1.1")
    first = any_world.sent()

    assert any_world.reasons() == [("all", "hard bounce 5.1.1")]
    assert any_world.names(first) == ["accepted", "failed", "address.suppressed"]


def test_refused_addresses_count_among_the_rates_of_a_channel(
    make_world: Callable[..., World],
) -> None:
    tolerance = Tolerance(volume=20, breaker="stop")
    world = make_world(Settings(feedback=tolerance))
    world.refuses = lambda message: (
        Rejected("nobody", "hard", "5.1.1") if message.address.startswith("gone") else None
    )
    people = [*(f"ann{n}@example.org" for n in range(18)), "gone1@x.org", "gone2@x.org"]
    world.app.send_many([{"type": "news", "to": to, "text": "x"} for to in people])
    world.app.tick()

    bounces = next(rate for rate in world.app.reputation.rates() if rate.kind == "bounce")
    assert (bounces.bad, bounces.volume, bounces.level) == (2, 20, "stop")
    assert [event.data["bad"] for event in world.app.events(name="feedback.alarm")] == [2]
    assert world.app.rules.get("breaker-email") is not None


def test_a_refusal_that_says_nothing_of_the_address_is_not_held_against_the_channel(
    world: World,
) -> None:
    world.refuses = lambda _: Rejected("5.7.1 we do not like you")
    world.sent()

    assert not any(rate.volume for rate in world.app.reputation.rates())
    assert world.reasons() == []


def test_a_background_worker_gives_the_alarm_too(tmp_path: Path) -> None:
    channel = CaptureChannel(
        "email", lambda _: Rejected("nobody", "hard", "5.1.1"), address_kind="email"
    )
    settings = Settings(feedback=Tolerance(volume=1))
    told, levels = threading.Event(), []

    def alarmed(event: Event) -> None:
        levels.append(event.data["level"])
        told.set()

    with Tactful(f"sqlite:///{tmp_path}/told.db", channels=[channel], settings=settings) as app:
        app.listen(alarmed, events=["feedback.alarm"])
        app.send(type="news", to="eve@gone.example", text="x")
        assert told.wait(30)
    assert levels == ["stop"]
