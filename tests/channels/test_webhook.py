"""Webhooks: what is sent, that receivers can verify it, and what each answer means."""

import base64
import json
import select
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from http_cases import HOST, Hooks, Names, egress_to, request_of, speaking, status
from hypothesis import given, settings
from hypothesis import strategies as st
from smtp_cases import AT, message
from standardwebhooks import Webhook

from tactful.channels.webhook import WebhookChannel, retry_after_ms, verify_signature
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import (
    DAY,
    MINUTE,
    PERMIT_ENDED,
    SECOND,
    Accepted,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from tactful.runtime.clock import SystemClock
from tactful.testing.servers.process import free_port

SECRET = "whsec_" + base64.b64encode(b"an old secret of thirty-two byte").decode()
NEWER = "whsec_" + base64.b64encode(b"a new secret of some thirty byte").decode()


def channel_to(port: int, path: str = "/hook", **options: Any) -> WebhookChannel:
    """A channel with one URL, whose clock stands at AT."""
    given: dict[str, Any] = {
        "secrets": SECRET,
        "url": f"http://{HOST}:{port}{path}",
        "egress": egress_to(port),
        "clock": lambda: AT,
    }
    return WebhookChannel(**(given | options))


def sent(answer: Any = None, **options: Any) -> tuple[Outcome, Hooks]:
    """What becomes of one message, and the server that got it."""
    with Hooks(answer) as hooks:
        (outcome,) = channel_to(hooks.port, **options).send([message()])
    return outcome, hooks


def test_a_permit_is_looked_at_when_there_is_a_connection():
    """A worker that stood still while it connected hands nothing over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected: list[bool] = []

        def may_go() -> bool:
            connected.append(bool(select.select([listener], [], [], 0)[0]))
            return False

        outcomes = channel_to(listener.getsockname()[1]).send([message(may_go=may_go)])
        with listener.accept()[0] as wire:
            received = wire.recv(1)

    assert outcomes == [PERMIT_ENDED]
    assert (connected, received) == ([True], b"")


# What is sent ---------------------------------------------------------------------------------


def test_the_body_is_the_documented_json_and_the_same_at_every_attempt():
    with Hooks() as hooks:
        channel = channel_to(hooks.port)
        channel.send([message(name="Ada", html="<p>é</p>")])
        again = message(name="Ada", html="<p>é</p>", attempt=2, maybe_duplicate=True, at=AT + 9)
        channel.send([again])

    first, second = hooks.got
    assert json.loads(first.body) == {
        "version": 1,
        "id": "m1",
        "notification_id": "n",
        "type": "status",
        "recipient": "u1",
        "name": "Ada",
        "address": "u1@example.org",
        "subject": "Subject 1",
        "text": "Text 1\n.\n..dots\n",
        "html": "<p>é</p>",
    }
    assert first.headers["content-type"] == "application/json"
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "m1"


def test_the_timestamp_is_that_of_sending_and_not_of_the_claim():
    """A message can wait for minutes in a lane, and receivers refuse what is five minutes old."""
    _, hooks = sent(clock=lambda: AT + 10 * MINUTE)

    assert hooks.got[0].headers["webhook-timestamp"] == str((AT + 10 * MINUTE) // 1_000)


# Signatures -----------------------------------------------------------------------------------


def test_the_library_of_the_standard_verifies_what_we_send():
    """With the real time, which that library asks for itself."""
    _, hooks = sent(clock=SystemClock().now)
    (got,) = hooks.got

    assert Webhook(SECRET).verify(got.body, got.headers)["id"] == "m1"
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(NEWER).verify(got.body, got.headers)


def test_while_secrets_are_changed_over_each_of_them_verifies():
    _, hooks = sent(clock=SystemClock().now, secrets=[NEWER, SECRET])
    (got,) = hooks.got

    assert got.headers["webhook-signature"].count("v1,") == 2
    for secret in (SECRET, NEWER):
        assert Webhook(secret).verify(got.body, got.headers)["id"] == "m1"
        verify_signature(got.body, got.headers, secret, SystemClock().now())


@settings(deadline=None, print_blob=True)
@given(body=st.binary(), number=st.integers(0, 10**9), key=st.binary(min_size=24, max_size=64))
def test_we_verify_what_the_library_of_the_standard_signs(body: bytes, number: int, key: bytes):
    secret = "whsec_" + base64.b64encode(key).decode()
    instant = datetime.fromtimestamp(number, UTC)
    text = body.decode("utf-8", "replace")
    headers = {
        "Webhook-Id": f"msg_{number}",
        "Webhook-Timestamp": str(number),
        "Webhook-Signature": f"v1,AAAA {Webhook(secret).sign(f'msg_{number}', instant, text)}",
    }

    verify_signature(text.encode(), headers, [NEWER, secret], number * SECOND)


def good() -> tuple[bytes, dict[str, str]]:
    _, hooks = sent()
    return hooks.got[0].body, hooks.got[0].headers


def test_a_request_that_was_changed_is_not_verified():
    body, headers = good()
    later = str(AT // 1_000 + 1)
    verify_signature(body, headers, SECRET, AT)

    for wrong_body, wrong in (
        (body + b" ", headers),
        (body, {**headers, "webhook-id": "m2"}),
        (body, {**headers, "webhook-timestamp": later}),
        (body, {**headers, "webhook-signature": headers["webhook-signature"][:-2] + "A="}),
        (body, {**headers, "webhook-signature": "v2," + headers["webhook-signature"][3:]}),
        (body, {**headers, "webhook-signature": "é"}),
    ):
        with pytest.raises(RequestError) as caught:
            verify_signature(wrong_body, wrong, SECRET, AT)
        assert caught.value.field == "webhook-signature"
    with pytest.raises(RequestError, match="webhook-signature"):
        verify_signature(body, headers, NEWER, AT)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(name: str):
    body, headers = good()
    del headers[name]

    with pytest.raises(RequestError, match=f"{name}: is missing"):
        verify_signature(body, headers, SECRET, AT)


@pytest.mark.parametrize("stamp", ["soon", "-1", "1e9", "9" * 30, "١٢"])
def test_a_timestamp_that_is_none_is_refused(stamp: str):
    body, headers = good()

    with pytest.raises(RequestError, match="webhook-timestamp"):
        verify_signature(body, {**headers, "webhook-timestamp": stamp}, SECRET, AT)


def test_a_request_is_good_for_five_minutes_either_way():
    body, headers = good()
    stamp = AT // 1_000 * 1_000

    for now in (stamp - 5 * MINUTE, stamp + 5 * MINUTE):
        verify_signature(body, headers, SECRET, now)
    for now in (stamp - 5 * MINUTE - 1, stamp + 5 * MINUTE + 1):
        with pytest.raises(RequestError, match="must be within 300000 ms of now"):
            verify_signature(body, headers, SECRET, now)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "hunter2hunter2hunter2hunter2hunter2",
        "whsec_hunter2!",
        "whsec_" + base64.b64encode(b"h" * 23).decode(),
        "whsec_" + base64.b64encode(b"h" * 65).decode(),
        SECRET.removeprefix("whsec_"),
    ],
)
def test_a_secret_has_24_to_64_bytes_and_is_not_shown_otherwise(secret: str):
    with pytest.raises(ConfigError, match="24 to 64 bytes in base64") as caught:
        WebhookChannel(secrets=secret)

    assert not secret or secret not in str(caught.value).replace("whsec_ and", "")


def test_no_secret_at_all_is_refused():
    with pytest.raises(ConfigError, match="at least one"):
        WebhookChannel(secrets=[])


# Where it goes --------------------------------------------------------------------------------


def test_each_recipients_url_has_a_secret_of_its_own():
    """One recipient must not be able to write to another in our name."""
    with Hooks() as hooks:
        channel = channel_to(hooks.port, url=None, clock=SystemClock().now)
        ada, bob = (f"http://{name}.example.com:{hooks.port}/in" for name in ("ada", "bob"))
        outcomes = channel.send([message(1, address=ada), message(2, address=bob)])

    first, second = hooks.got
    assert outcomes == [Accepted(), Accepted()]
    assert channel.address_kind == "webhook"
    (of_ada,), (of_bob,) = channel.secrets_for(ada), channel.secrets_for(bob.upper()[:4] + bob[4:])
    assert Webhook(of_ada).verify(first.body, first.headers)["recipient"] == "u1"
    assert Webhook(of_bob).verify(second.body, second.headers)["recipient"] == "u2"
    for secret in (of_bob, SECRET):
        with pytest.raises(RequestError):
            verify_signature(first.body, first.headers, secret, SystemClock().now())


def test_the_one_url_of_a_channel_has_the_secrets_themselves():
    channel = channel_to(8080, secrets=[NEWER, SECRET])

    assert channel.address_kind is None
    assert channel.secrets_for(f"http://{HOST}:8080/") == [NEWER, SECRET]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ada@example.com", "address: must be https://host/path"),
        ("http://ada.example/hunter2", "address: must begin with https://"),
        ("https://ada.example:22/hunter2", "address: port must be one of 443"),
        ("https://me:hunter2@ada.example/", "address: must be https://host/path"),
        ("https://127.0.0.1/hunter2", "127.0.0.1 has an address that may not be reached"),
        ("https://ada.example/hunter2", "ada.example has an address that may not be reached"),
    ],
)
def test_an_address_that_may_not_be_asked_is_rejected_without_its_path(address: str, says: str):
    names = Names(["10.0.0.7"])
    egress = egress_to(443, allow_networks=(), allow_http=False, resolver=names)
    channel = WebhookChannel(secrets=SECRET, egress=egress)

    (outcome,) = channel.send([message(address=address)])

    assert isinstance(outcome, Rejected)
    assert outcome.why.startswith(says)
    assert "hunter2" not in outcome.why


def test_neither_secrets_nor_paths_are_shown():
    channel = channel_to(8080, path="/hunter2?hunter2")

    assert repr(channel) == f"<WebhookChannel webhook to http://{HOST}:8080>"
    assert (
        repr(channel_to(8080, url=None)) == "<WebhookChannel webhook to the recipients' own URLs>"
    )


# Which answer becomes which outcome -----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (200, Accepted()),
        (202, Accepted()),
        (204, Accepted()),
        (299, Accepted()),
        (301, Rejected("the endpoint answered 301, a redirect, which is not followed")),
        (304, Rejected("the endpoint answered 304, a redirect, which is not followed")),
        (400, Rejected("the endpoint answered 400")),
        (401, Rejected("the endpoint answered 401")),
        (404, Rejected("the endpoint answered 404")),
        (408, Retry("the endpoint answered 408")),
        (410, Rejected("the endpoint answered 410: it is gone for good")),
        (413, Rejected("the endpoint answered 413")),
        (425, Retry("the endpoint answered 425")),
        (429, Retry("the endpoint answered 429")),
        (500, Retry("the endpoint answered 500")),
        (502, Retry("the endpoint answered 502")),
        (503, Retry("the endpoint answered 503")),
        (599, Retry("the endpoint answered 599")),
    ],
)
def test_answers_become_outcomes(code: int, outcome: Outcome):
    assert sent(status(code))[0] == outcome


def test_retry_after_is_heeded():
    in_a_minute = format_datetime(
        datetime.fromtimestamp(AT // 1_000, UTC) + timedelta(minutes=1), usegmt=True
    )

    for value in ("60", in_a_minute):
        for code in (429, 503):
            outcome, _ = sent(status(code, Retry_After=value))
            assert outcome == Retry(f"the endpoint answered {code}", after_ms=MINUTE)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("0", 0),
        (" 5 ", 5_000),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 100, DAY),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0),
        ("Tue, 14 Nov 2023 22:13:25 GMT", 5_000),
        ("Tue, 14 Nov 2023 22:13:25 -0000", 5_000),
        ("Mon, 13 Nov 2023 22:13:20 GMT", 0),
        ("Thu, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Tue, 14 Nov 2023 22:13:20 +99999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(value: str | None, wait: int | None):
    assert retry_after_ms(value, AT) == wait


@settings(deadline=None, print_blob=True)
@given(st.one_of(st.text(), st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]?\w+")))
def test_no_retry_after_is_too_strange(value: str):
    wait = retry_after_ms(value, AT)

    assert wait is None or 0 <= wait <= DAY


def test_nobody_answers_at_the_one_url():
    """That says nothing about the message, so it uses up no try."""
    port = free_port()

    (outcome,) = channel_to(port).send([message()])

    assert isinstance(outcome, Retry)
    assert outcome.why == f"no connection to {HOST}:{port}: Connection refused"
    assert not outcome.counted


def test_nobody_answers_at_a_recipients_url():
    """That may be for good, so it does."""
    port = free_port()
    channel = channel_to(port, url=None)

    (outcome,) = channel.send([message(address=f"http://{HOST}:{port}/")])

    assert isinstance(outcome, Retry)
    assert outcome.counted


def test_a_connection_lost_after_the_request_leaves_it_in_doubt():
    with speaking(request_of) as port:
        (outcome,) = channel_to(port).send([message()])

    assert outcome == Unknown(f"no answer from {HOST}:{port}: the connection was closed")


def test_an_answer_that_was_good_is_not_lost_by_its_body():
    def flood(handler, _number: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10_000_000))
        handler.end_headers()
        handler.wfile.write(bytes(10_000_000))

    assert sent(flood)[0] == Accepted()


def test_one_endpoint_in_trouble_is_no_trouble_for_the_others():
    with Hooks() as hooks, speaking(request_of) as lost:
        channel = channel_to(
            hooks.port, url=None, egress=egress_to(hooks.port, ports=[hooks.port, lost])
        )
        addresses = [f"http://{HOST}:{port}/" for port in (hooks.port, lost, hooks.port)]
        outcomes = channel.send([message(n, address=to) for n, to in enumerate(addresses)])

    assert [type(outcome) for outcome in outcomes] == [Accepted, Unknown, Accepted]
