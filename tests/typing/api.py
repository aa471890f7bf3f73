"""The public API as a program: checked by mypy, and run by a test of the command line.

What a user may write, with the types that they may count on. A change that breaks this file breaks
somebody's program.
"""

from __future__ import annotations

from collections.abc import Sequence

from tactful import (
    Accepted,
    Event,
    Message,
    NotificationType,
    Outcome,
    Priority,
    Receipt,
    Recipient,
    Rejected,
    Retry,
    Rule,
    Settings,
    State,
    Tactful,
    Template,
    Unknown,
    errors,
)
from tactful.channels.smtp import SmtpChannel
from tactful.ports import Channel, Clock, Store
from tactful.stores.memory import MemoryStore
from tactful.testing import CaptureChannel, ManualClock

NOON = 1_800_000_000_000
MINUTE = 60_000


class Pigeon:
    """A channel of one's own needs four names and two methods."""

    name: str = "pigeon"
    address_kind: str | None = None
    concurrency: int = 1
    batch: int = 10

    def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Hand over; every kind of answer."""
        answers: list[Outcome] = []
        for message in messages:
            if message.maybe_duplicate:
                answers.append(Unknown("it flew away"))
            elif message.attempt == 1:
                answers.append(Retry("rain", after_ms=MINUTE))
            elif message.address:
                answers.append(Accepted(ref="ring 7", arrived=True))
            else:
                answers.append(Rejected("no roof"))
        return answers

    def close(self) -> None:
        """Nothing is open."""


def engine(clock: Clock, store: str | Store) -> tuple[Tactful, CaptureChannel]:
    """Wiring: a store, channels, a clock, settings."""
    capture = CaptureChannel("email", address_kind="email")
    ways: list[Channel] = [capture, Pigeon()]
    app = Tactful(store, channels=ways, clock=clock, settings=Settings(batch=100), seed=1)
    return app, capture


def policies(app: Tactful) -> None:
    """Rules, types and templates are values with versions."""
    rule: Rule = Rule(name="status", types=["status"], limit="2/minute", exempt=["critical"])
    version: int = app.rules.put(rule, author="me")
    app.rules.put(Rule(name="night", quiet="22:00-06:00", priorities=[Priority.LOW]))
    found: Rule | None = app.rules.get("status")
    assert found == rule
    names: list[str] = [one.name for one in app.rules.list()]
    assert names == ["night", "status"]
    assert [one.version for one in app.rules.history("status")] == [version]
    removed: int = app.rules.remove("night")
    assert app.rules.revert(removed) == removed
    change: dict[str, Sequence[str]] = app.rules.apply([rule])
    assert list(change["unchanged"]) == ["status"]
    app.types.put(NotificationType("alarm", category="safety", priority="critical", ttl_ms=MINUTE))
    app.templates.put(Template("hello", subject="Hello {{ name }}", text="Dear {{ name }}"))


def people(app: Tactful) -> Recipient:
    """Recipients are registered, found, changed and forgotten."""
    ada: Recipient = app.recipients.put(
        Recipient("ada", name="Ada", email="ada@example.com", timezone="Europe/Berlin")
    )
    new: int = app.recipients.put_many([Recipient("bob", mute=("type:news",))])
    named: Recipient = app.recipients.register("Grace")
    same: Recipient | None = app.recipients.get("ADA@example.com")
    assert same == ada
    assert new == 1
    assert len(app.recipients) == 3
    assert [str(person) for person in app.recipients] == ["Ada", "bob", "Grace"]
    gone: bool = app.recipients.remove(named.id)
    assert gone
    app.recipients.suppress("spam@example.com", reason="complaint")
    assert app.recipients.unsuppress("spam@example.com")
    return ada


def sending(app: Tactful, ada: Recipient, clock: ManualClock) -> Receipt:
    """One, many, all; what comes back says what was decided."""
    first: Receipt = app.send(type="status", to=ada, subject="Hi", text="1", idempotency_key="k")
    decision: str = first.decision
    remaining: int | None = first.remaining
    assert (decision, remaining, first.rule) == ("send", 1, "status")
    many: list[Receipt] = app.send_many(
        [{"type": "status", "to": "ada", "text": str(n)} for n in (2, 3)]
    )
    last = many[-1]
    until: int | None = last.deliver_at
    assert (last.decision, until) == ("defer", clock.now() + MINUTE)
    everyone: Receipt = app.broadcast(type="note", template="hello", data={"name": "all"})
    assert everyone.decision == "queued"
    assert first.to_dict()["delivery_id"] == first.delivery_id
    return last


def facts(app: Tactful, first: str, last: str) -> None:
    """Questions about what happened, and facts from outside."""
    text: str = app.why(last).text
    assert "rule status" in text
    assert app.why(last).fills
    news: bool = app.record("opened", first)
    assert news
    assert not app.record(Event("opened", first, NOON))
    assert app.record_many([Event("clicked", first, NOON)]) == 1
    delivery = app.delivery(first)
    assert delivery is not None
    stats = app.stats(delivery.notification_id)
    ratio: float = stats.opened_ratio
    assert (stats.sent, stats.received, stats.opened, ratio) == (1, 1, 1, 1.0)
    inbox = app.inbox("ada@example.com")
    assert [item.subject for item in inbox.read] == ["Hi"]
    assert str(inbox[0]) == "1"
    counts: dict[State, int] = app.counts()
    assert counts[State.DEFERRED] >= 1
    events: list[Event] = app.events(delivery_id=first)
    assert "opened" in [event.name for event in events]
    paused: int = app.pause(delivery.notification_id, by="ada")
    resumed: int = app.resume(delivery.notification_id)
    assert paused == resumed
    cancelled: int = app.cancel(last)
    assert cancelled == 1
    assert app.retry(last) is False
    assert app.status()["rules"] == 1
    assert app.prune() == 0


def refusals(app: Tactful) -> list[str]:
    """Every error has a class, and names field, value and bound."""
    told: list[str] = []
    try:
        app.send(type="status", to="", text="x")
    except errors.RequestError as error:
        told.append(f"{error.field}: {error.bound}")
    try:
        Rule(name="often", limit="many")
    except errors.InvalidRule as error:
        told.append(error.code)
    try:
        app.send(type="status", to="ada", text="other", idempotency_key="k")
    except errors.IdempotencyConflict as error:
        told.append(error.code)
    app.rules.put(Rule(name="never", types=["noise"], limit="0/day", on_limit="reject"))
    try:
        app.send(type="noise", to="ada", text="x", raise_over_limit=True)
    except errors.OverLimit as error:
        retry_at: int | None = error.retry_at
        told.append(f"{error.rule} {retry_at}")
    try:
        app.why("nothing")
    except errors.NotFound as error:
        told.append(error.code)
    try:
        SmtpChannel(host="mail.example.com", sender="a@example.com", username="a", password="b")
    except errors.ConfigError as error:
        told.append(type(error).__name__)
    return told


def main() -> list[str]:
    """The whole program; gives what was refused."""
    clock = ManualClock(NOON)
    app, capture = engine(clock, MemoryStore())
    heard: list[str] = []

    def hear(event: Event) -> None:
        heard.append(event.name)

    app.listen(hear, events=["delivered"])
    policies(app)
    ada = people(app)
    last = sending(app, ada, clock)
    app.tick()
    first = capture.messages[0].id
    assert last.delivery_id is not None
    facts(app, first, last.delivery_id)
    assert "delivered" in heard
    app.unlisten(hear)
    told = refusals(app)
    with app:
        assert app.drain(timeout_s=10)
    app.close()
    return told
