"""A call of a provider is believed if the provider has signed it, lately, and it is new."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from inbound_world import START, World
from provider_calls import (
    CERTIFICATE,
    PATH,
    POSTMARK,
    Made,
    certificate,
    mailgun,
    mailgun_failed,
    postmark,
    postmark_bounce,
    sendgrid,
    sendgrid_bounce,
    ses_bounce,
    sns,
    twilio,
    twilio_status,
)
from provider_front import PROVIDERS, REF, Front

from tactful.core.errors import Unavailable
from tactful.core.model import HOUR, MINUTE
from tactful.engine.feedback.reports import Taken
from tactful.inbound.providers.sendgrid import SendGrid
from tactful.inbound.providers.twilio import Twilio
from tactful.inbound.signed import Call, ForgedError, UnreadableError

STAMPED = ("ses", "sendgrid", "mailgun")


@pytest.fixture
def front(world: World) -> Front:
    return Front(world)


# Whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_signed_bounce_has_its_effect_once(front: Front, provider: str) -> None:
    delivery_id = front.world.sent()
    made = front.bounce(provider, delivery_id)

    assert front.take(provider, made) == Taken(news=1)
    assert front.world.state(delivery_id) == "bounced"
    assert front.world.reasons()[0][0] == "all"
    (event,) = front.world.app.events(name="bounced")
    assert (event.data["bounce"], event.data["source"]) == ("hard", provider)

    front.world.app.recipients.unsuppress("ada@example.org")
    before = front.world.app.events(limit=1_000)
    for _ in range(20):
        assert front.take(provider, made) == Taken(replayed=1)
    assert front.world.app.events(limit=1_000) == before
    assert front.world.reasons() == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_call_that_was_changed_on_its_way_changes_nothing(front: Front, provider: str) -> None:
    """Mailgun and Postmark do not sign the body: for them it is the seal that is changed."""
    delivery_id = front.world.sent()
    headers, body = front.bounce(provider, delivery_id)
    before = front.world.app.events(limit=1_000)
    if provider == "postmark":
        headers = {"authorization": "Basic YW55Ondyb25n"}
    elif provider == "mailgun":
        body = body.replace(b"tttt", b"uuuu", 1)
    else:
        body = body.replace(b"ada", b"bob", 1)

    with pytest.raises(ForgedError):
        front.take(provider, (headers, body))

    assert front.world.app.events(limit=1_000) == before


@pytest.mark.parametrize("provider", ["sendgrid", "mailgun", "postmark", "twilio"])
def test_a_call_without_a_signature_changes_nothing(front: Front, provider: str) -> None:
    _, body = front.bounce(provider, front.world.sent())
    if provider == "mailgun":
        body = json.dumps({"event-data": mailgun_failed("x")}).encode()

    with pytest.raises(ForgedError):
        front.take(provider, ({}, body))


def test_the_key_of_somebody_else_opens_nothing(front: Front) -> None:
    world, now = front.world, front.world.clock.now()
    delivery_id = world.sent()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = {
        "ses": sns(ses_bounce(REF), now, key=other),
        "sendgrid": sendgrid(
            [sendgrid_bounce(delivery_id)], now, ec.generate_private_key(ec.SECP256R1())
        ),
        "mailgun": mailgun(mailgun_failed(delivery_id), now, key="x"),
        "postmark": postmark(postmark_bounce(delivery_id), now, POSTMARK + "x"),
        "twilio": twilio(twilio_status(REF), PATH + "twilio", key="x"),
    }
    for provider, made in forged.items():
        with pytest.raises(ForgedError):
            front.take(provider, made)

    assert world.state(delivery_id) == "sent"


@pytest.mark.parametrize("provider", STAMPED)
@pytest.mark.parametrize("side", [-1, 1])
def test_a_call_from_another_time_changes_nothing(front: Front, provider: str, side: int) -> None:
    delivery_id = front.world.sent()
    window = HOUR if provider == "ses" else 5 * MINUTE
    now = front.world.clock.now()

    with pytest.raises(ForgedError, match="minutes"):
        front.take(provider, front.bounce(provider, delivery_id, now + side * (window + 1_000)))
    assert front.take(provider, front.bounce(provider, delivery_id, now + side * window)).news == 1


def test_the_vector_of_twilio_s_documentation_is_right() -> None:
    form = (
        "Digits=1234&To=%2B18005551212&From=%2B14158675310&Caller=%2B14158675310"
        "&CallSid=CA1234567890ABCDE"
    )
    headers = {"x-twilio-signature": "GvWf1cFY/Q7PnoempGyD5oXAezc="}
    provider = Twilio("12345", "https://mycompany.com")

    call = Call(headers, form.encode(), "/myapp.php?foo=1&bar=2", START)
    assert provider.read(call).reports == []
    with pytest.raises(ForgedError):
        provider.read(call._replace(path="/myapp.php?foo=1&bar=3"))


def test_the_vector_of_sendgrid_s_library_is_right() -> None:
    key = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcw"
        "HBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="
    )
    signature = (
        "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRam"
        "r2nlxFDWYNH2j/0="
    )
    body = b'{"category":"example_payload","event":"test_event","message_id":"message_id"}'
    headers = {
        "x-twilio-email-event-webhook-signature": signature,
        "x-twilio-email-event-webhook-timestamp": "1588788367",
    }
    provider, call = SendGrid(key), Call(headers, body, "/", 1_588_788_367_000)

    with pytest.raises(UnreadableError, match="no list of events"):  # but it is SendGrid's
        provider.read(call)
    with pytest.raises(ForgedError):
        provider.read(call._replace(body=body + b" "))


# SNS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature_are_known(front: Front, version: str) -> None:
    delivery_id = front.world.sent()

    made = sns(ses_bounce(REF), front.world.clock.now(), version=version, Subject="Amazon SES")

    assert front.take("ses", made) == Taken(news=1)
    assert front.world.state(delivery_id) == "bounced"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123abcd.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123abcd.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com/x/../SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123abcd.pem",
        "",
    ],
)
def test_a_certificate_from_anywhere_else_is_not_even_asked_for(front: Front, url: str) -> None:
    front.answers[url] = certificate()

    with pytest.raises(ForgedError, match="SigningCertURL"):
        front.take("ses", sns(ses_bounce(REF), front.world.clock.now(), SigningCertURL=url))

    assert front.asked == []


def test_a_topic_of_somebody_else_at_amazon_is_not_believed(front: Front) -> None:
    topic = "arn:aws:sns:eu-west-1:666666666666:feedback"

    with pytest.raises(ForgedError, match="topic"):
        front.take("ses", sns(ses_bounce(REF), front.world.clock.now(), TopicArn=topic))

    assert front.asked == []


def test_the_certificate_is_fetched_once(front: Front) -> None:
    for n in range(3):
        front.take("ses", sns(ses_bounce(f"{n}"), front.world.clock.now(), MessageId=str(n)))

    assert front.asked == [CERTIFICATE]


def test_while_the_certificate_cannot_be_had_the_call_has_to_come_again(front: Front) -> None:
    good = front.answers.pop(CERTIFICATE)
    delivery_id = front.world.sent()
    made = sns(ses_bounce(REF), front.world.clock.now())
    for bad in (None, b"<html>busy</html>"):
        if bad is not None:
            front.answers[CERTIFICATE] = bad
        with pytest.raises(Unavailable):
            front.take("ses", made)

    front.answers[CERTIFICATE] = good
    assert front.take("ses", made) == Taken(news=1)
    assert front.world.state(delivery_id) == "bounced"


SUBSCRIBE = (
    "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    "&TopicArn=arn:aws:sns:eu-west-1:123456789012:feedback&Token=2336412f37fb687f5d51e6e241d09c8"
)


def subscription(now: int, url: str = SUBSCRIBE, **more: str) -> Made:
    return sns(
        "You have chosen",
        now,
        Type="SubscriptionConfirmation",
        Token="2336",
        SubscribeURL=url,
        **more,
    )


def test_a_configured_topic_may_subscribe(front: Front) -> None:
    front.answers[SUBSCRIBE] = b"<ConfirmSubscriptionResponse/>"

    assert front.take("ses", subscription(front.world.clock.now())) == Taken()

    assert front.asked == [CERTIFICATE, SUBSCRIBE]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription&Token=1",
        "https://sns.eu-west-1.amazonaws.com/?Action=DeleteTopic&Token=1",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_subscription_leads_nowhere_else(front: Front, url: str) -> None:
    with pytest.raises(ForgedError, match="SubscribeURL"):
        front.take("ses", subscription(front.world.clock.now(), url))

    assert front.asked == [CERTIFICATE]


def test_a_forged_subscription_is_not_confirmed(front: Front) -> None:
    headers, body = subscription(front.world.clock.now())

    with pytest.raises(ForgedError):
        front.take("ses", (headers, body.replace(b"chosen", b"frozen")))

    assert SUBSCRIBE not in front.asked


def test_words_of_greeting_are_no_report(front: Front) -> None:
    words = "Successfully validated SNS topic for Amazon SES event publishing."

    assert front.take("ses", sns(words, front.world.clock.now())) == Taken()


def test_the_message_id_finds_the_delivery_where_headers_are_included(front: Front) -> None:
    delivery_id = front.world.sent()
    message = ses_bounce("another-name")
    message["mail"]["headers"] = [{"name": "Message-ID", "value": f"<{delivery_id}@shop.example>"}]

    assert front.take("ses", sns(message, front.world.clock.now())) == Taken(news=1)
