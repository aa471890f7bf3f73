"""What each provider says, in its own words, and what it means."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbound_world import World
from provider_calls import (
    PATH,
    POSTMARK,
    Made,
    mailgun,
    mailgun_failed,
    postmark,
    postmark_bounce,
    receipts,
    sendgrid,
    sendgrid_bounce,
    sns,
    twilio,
    twilio_status,
)
from provider_front import PROVIDERS, REF, Front

from tactful.core.errors import ConfigError
from tactful.engine.feedback.reports import Taken
from tactful.inbound.providers.sendgrid import SendGrid
from tactful.inbound.signed import ForgedError, UnreadableError


@pytest.fixture
def front(world: World) -> Front:
    return Front(world)


def ses(word: str, part: dict[str, Any]) -> Callable[[str, int], Made]:
    def make(_: str, now: int) -> Made:
        mail = {"messageId": REF, "destination": ["ada@example.org"]}
        return sns({"eventType": word, word.lower(): part, "mail": mail}, now)

    return make


def grid(**more: Any) -> Callable[[str, int], Made]:
    return lambda delivery_id, now: sendgrid([sendgrid_bounce(delivery_id, **more)], now)


def gun(**more: Any) -> Callable[[str, int], Made]:
    return lambda delivery_id, now: mailgun(mailgun_failed(delivery_id, **more), now)


def mark(**more: Any) -> Callable[[str, int], Made]:
    return lambda delivery_id, now: postmark(postmark_bounce(delivery_id, **more), now)


def phone(**more: str) -> Callable[[str, int], Made]:
    return lambda _, __: twilio({**twilio_status(REF), **more}, PATH + "twilio")


TRANSIENT = {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "ada@example.org"}]}
COMPLAINT = {"complainedRecipients": [{"emailAddress": "ada@example.org"}]}


@pytest.mark.parametrize(
    ("provider", "make", "event", "bounce"),
    [
        ("ses", ses("Bounce", TRANSIENT), "bounced", "soft"),
        ("ses", ses("Complaint", COMPLAINT), "complained", None),
        ("ses", ses("Complaint", {**COMPLAINT, "complaintFeedbackType": "not-spam"}), None, None),
        ("ses", ses("Delivery", {"recipients": ["ada@example.org"]}), "delivered", None),
        ("ses", ses("Open", {"timestamp": "2026-01-01T10:00:00Z"}), "opened", None),
        ("ses", ses("Send", {}), None, None),
        ("sendgrid", grid(event="delivered"), "delivered", None),
        ("sendgrid", grid(type="blocked"), "bounced", "soft"),
        ("sendgrid", grid(event="dropped", reason="Bounced Address"), "bounced", "hard"),
        ("sendgrid", grid(event="dropped", reason="Spam Reporting Address"), "complained", None),
        ("sendgrid", grid(event="spamreport"), "complained", None),
        ("sendgrid", grid(event="open"), "opened", None),
        ("sendgrid", grid(event="open", sg_machine_open=True), None, None),
        ("sendgrid", grid(event="deferred"), None, None),
        ("mailgun", gun(event="delivered"), "delivered", None),
        ("mailgun", gun(severity="temporary"), None, None),
        ("mailgun", gun(**{"delivery-status": {"message": "5.2.2 full"}}), "bounced", "soft"),
        ("mailgun", gun(reason="suppress-bounce", **{"delivery-status": {}}), "bounced", "hard"),
        ("mailgun", gun(reason="suppress-complaint"), "complained", None),
        ("mailgun", gun(event="complained"), "complained", None),
        ("mailgun", gun(event="clicked"), "clicked", None),
        ("postmark", mark(Type="SoftBounce"), "bounced", "soft"),
        ("postmark", mark(Type="Transient"), None, None),
        ("postmark", mark(Type="AutoResponder"), None, None),
        ("postmark", mark(RecordType="SpamComplaint", Type="SpamComplaint"), "complained", None),
        ("postmark", mark(RecordType="Delivery", Type=None), "delivered", None),
        ("postmark", mark(RecordType="Open", Type=None), "opened", None),
        ("twilio", phone(MessageStatus="delivered"), "delivered", None),
        ("twilio", phone(MessageStatus="sent"), None, None),
        ("twilio", phone(ErrorCode="30003"), "bounced", "soft"),
        ("twilio", phone(ErrorCode="21610"), "complained", None),
    ],
)  # fmt: skip
def test_each_word_of_a_provider_means_what_it_says(
    front: Front,
    provider: str,
    make: Callable[[str, int], Made],
    event: str | None,
    bounce: str | None,
) -> None:
    delivery_id = front.world.sent()

    taken = front.take(provider, make(delivery_id, front.world.clock.now()))

    assert taken == (Taken() if event is None else Taken(news=1))
    found = [e for e in front.world.app.events(delivery_id=delivery_id) if e.name == event]
    assert [e.data.get("bounce") for e in found] == ([] if event is None else [bounce])


def test_many_events_of_one_call_are_told_apart(front: Front) -> None:
    one, other = front.world.sent(), front.world.sent("bob@example.org")
    events = [
        sendgrid_bounce(one),
        sendgrid_bounce(other, event="delivered", sg_event_id="2"),
        sendgrid_bounce(other, event="open", sg_event_id="3"),
        sendgrid_bounce("nobody", sg_event_id="4"),
        {"event": "processed"},
    ]

    taken = front.take("sendgrid", sendgrid(events, front.world.clock.now()))

    assert taken == Taken(news=3, unknown=1)
    assert (front.world.state(one), front.world.state(other)) == ("bounced", "delivered")


def test_a_token_of_mailgun_seals_one_event_only(front: Front) -> None:
    """Whoever has seen a call could put another event under its signature, which is still good."""
    one, other = front.world.sent(), front.world.sent("bob@example.org")
    now = front.world.clock.now()
    front.take("mailgun", mailgun(mailgun_failed(one), now))

    with pytest.raises(ForgedError, match="was used before"):
        front.take("mailgun", mailgun(mailgun_failed(other, id="another"), now))

    assert front.world.state(other) == "sent"
    fresh = mailgun(mailgun_failed(other, id="another"), now, token="u" * 50)
    assert front.take("mailgun", fresh) == Taken(news=1)


def test_the_callback_s_url_may_name_the_delivery(front: Front) -> None:
    delivery_id = front.world.sent()
    path = f"{PATH}twilio?delivery={delivery_id}"
    made = twilio(twilio_status("SM1", "delivered"), path)

    assert front.take("twilio", made, path) == Taken(news=1)
    with pytest.raises(ForgedError):
        front.take("twilio", made, f"{PATH}twilio?delivery={'a' * 32}")


def test_a_header_with_the_secret_will_do_for_postmark(front: Front) -> None:
    _, body = postmark(postmark_bounce(front.world.sent()), 0)

    assert front.take("postmark", ({"x-webhook-secret": POSTMARK}, body)) == Taken(news=1)


# Attacks --------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)
WORDS = (
    "event",
    "event-data",
    "signature",
    "id",
    "Type",
    "Message",
    "mail",
    "bounce",
    "RecordType",
)
SHAPED = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=6)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=JSON | SHAPED | st.lists(SHAPED, max_size=3), raw=st.binary(max_size=50))
def test_whatever_a_provider_signs_is_read_or_refused(front: Front, body: Any, raw: bytes) -> None:
    """Signed nonsense is nonsense, and no bug."""
    now = front.world.clock.now()
    calls = [
        ("sendgrid", sendgrid(body, now)),
        ("sendgrid", sendgrid([body], now)),
        ("mailgun", mailgun(body, now, token=hashlib.sha256(repr(body).encode()).hexdigest())),
        ("postmark", postmark(body, now)),
        ("ses", sns(body, now)),
        *((provider, ({}, raw)) for provider in PROVIDERS),
    ]
    for provider, made in calls:
        try:
            taken = front.take(provider, made)
        except (ForgedError, UnreadableError):
            continue
        assert taken.news == 0


@pytest.mark.parametrize("key", ["", "no base64!", "aGVsbG8="])
def test_a_key_that_is_none_is_found_at_the_start(key: str) -> None:
    with pytest.raises(ConfigError, match=r"receipts\.sendgrid\.key"):
        SendGrid(key)


def test_a_secret_stands_in_no_repr() -> None:
    assert POSTMARK not in repr(receipts())
