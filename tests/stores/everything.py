"""A store with everything in it, made by the engine: for tests that carry one somewhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from tactful import (
    Accepted,
    Message,
    NotificationType,
    Outcome,
    Recipient,
    Rejected,
    Retry,
    Rule,
    Tactful,
    Template,
    Unknown,
)
from tactful.core.model import HOUR, MINUTE, SECOND
from tactful.engine.rulebook import RULE, TEMPLATE, TYPE
from tactful.ports import Store
from tactful.runtime.clock import ManualClock
from tactful.testing import CaptureChannel
from tactful.testing.contracts.store.snapshot import snapshot

START = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""

ODD = "tab\t, line\r\n, \\N, {\"a\": 'b'}, 100 %, \u20ac \U0001f600 \u202e"
SAID = "550 5.1.1 no\0body\0 here"
"""What a server answered: with NUL, which PostgreSQL cannot keep."""


class DiesError(BaseException):
    """The process that sends ends here."""


def outcome(message: Message) -> Outcome | None:
    """What becomes of a message is its text."""
    match message.text:
        case "bounce":
            return Rejected(SAID)
        case "vague":
            return Unknown("cut off")
        case "later":
            return Retry("busy", 7 * MINUTE)
        case "accepted":
            return Accepted("ref-1")
        case "die" if not message.maybe_duplicate:
            raise DiesError
    return None


def opened(url: str, clock: ManualClock, seed: int) -> tuple[Tactful, CaptureChannel]:
    """An engine on a store, and the gateway that it sends over."""
    channel = CaptureChannel("email", outcome, address_kind="email")
    link = "https://example.com/u/{token}"
    app = Tactful(url, channels=[channel], clock=clock, seed=seed, unsubscribe=link)
    return app, channel


def fill(url: str, clock: ManualClock) -> None:
    """Make a store in which every table has rows, and every state deliveries."""
    app, channel = opened(url, clock, seed=1)
    _rules(app)
    _people(app)
    app.listen(lambda event: None, name="audit")
    ids = {
        text: app.send(type="plain", to="ada@example.com", text=text).delivery_id
        for text in ("hello", "bounce", "vague", "later", "accepted", ODD)
    }
    app.send(type="code", to="bob@example.com", text="vague")
    for number in range(4):
        for type_ in ("news", "likes", "chat", "loud"):
            app.send(
                type=type_,
                to="bob",
                text=f"{type_} {number}",
                collapse_key="room",
                idempotency_key=f"{type_}-{number}",
            )
        app.tick()
        clock.advance(10 * SECOND)
    app.record("opened", ids["hello"])
    app.record("clicked", ids["hello"])
    app.record("opened", ids[ODD])
    app.record("bounced", ids["accepted"], detail="mailbox full")
    app.recipients.suppress("old@example.com", reason="complained")
    app.send(type="plain", to="old@example.com", text="never")
    app.send(type="plain", to="cy", text="in a while", deliver_at=clock.now() + HOUR)
    app.send(type="plain", to="cy", text="too late", ttl="1m", deliver_at=clock.now() + 30 * SECOND)
    app.cancel(app.send(type="news", to="cy", text="called off").delivery_id)
    later = app.send(type="plain", to="cy", text="not now", deliver_at=clock.now() + HOUR)
    app.pause(later.notification_id, by="ada")
    app.send(type="plain", to="dee", template="welcome", data={"name": ODD})
    clock.advance(2 * MINUTE)
    app.tick()
    assert any(message.text == "hello" for message in channel.messages)
    _die_sending(app)
    app.broadcast(type="news", subject="To all", text=ODD)
    app.close()


def _rules(app: Tactful) -> None:
    app.rules.put(Rule("pace", per="channel", channels=["email"], limit="50/second", burst=20))
    app.rules.put(Rule("news", types=["news"], limit="5/day"))
    app.rules.put(
        Rule("news", types=["news"], limit="1/day"),
        Rule("likes", types=["likes"], limit="1/hour", on_limit="digest"),
        Rule("chat", types=["chat"], limit="1/hour", on_limit="collapse"),
        Rule("loud", types=["loud"], limit="1/day", on_limit="reject"),
        Rule("night", types=["never"], quiet="22:00-08:00"),
    )
    app.rules.remove("night")
    app.types.put(NotificationType("code", priority="critical", on_ambiguous="hold"))
    app.templates.put(Template("welcome", subject="Hi {{ name }}", text="You are {{ name }}."))


def _people(app: Tactful) -> None:
    app.recipients.put_many(
        [
            Recipient("ada", "Ada \\N \\. \U0001f600", "ada@example.com", "Europe/Berlin", "de"),
            Recipient("bob", email="bob@example.com", addresses={"sms": "+4915112345678"}),
            Recipient("cy", email="cy@example.com", mute=("type:marketing",)),
            Recipient("dee", email="dee@example.com", timezone="Asia/Kolkata"),
            Recipient("gone", email="gone@example.com"),
        ]
    )
    app.recipients.remove("gone")


def _die_sending(app: Tactful) -> None:
    app.send(type="plain", to="eve@example.com", text="die")
    try:
        app.tick()
    except DiesError:
        return
    raise AssertionError("nobody died")


def names_in(path: Path) -> dict[str, Any]:
    """What a snapshot has to ask for by name, out of the tables of a SQLite store."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

    def column(sql: str) -> list[str]:
        return [str(value) for (value,) in connection.execute(sql)]

    names = {
        "notifications": column("SELECT id FROM notifications"),
        "kinds": [RULE, TYPE, TEMPLATE],
        "keys": column(
            "SELECT key FROM idempotency UNION SELECT key FROM cells"
            " UNION SELECT key FROM notes WHERE key <> 'latest_attempt'"
        ),
        "addresses": column(
            "SELECT address FROM addresses UNION SELECT address FROM suppressions"
            " UNION SELECT address FROM deliveries"
        ),
    }
    connection.close()
    return names


def answers(store: Store, names: dict[str, Any]) -> dict[str, Any]:
    """Everything that can be asked of a store."""
    return snapshot(store, **names)
