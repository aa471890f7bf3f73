"""Mail in, notifications out: what applications hand in, and what they are told."""

from __future__ import annotations

import base64
import smtplib
import ssl
import threading

import pytest
import trustme
from door_cases import NOON, House, Wire, answer, mail

from tactful import Accepted, Message, Recipient, Rule, State, errors
from tactful.channels.smtp import SmtpChannel
from tactful.engine.keys import ApiKey, mint
from tactful.frontdoors.submission import SubmissionPort
from tactful.http.worlds import Worlds

HOUR = 3_600_000


def test_a_mail_becomes_a_notification_of_the_users_type(house: House) -> None:
    with house.client("status") as client:
        assert client.send_message(mail("It works.", "Hello")) == {}

    assert house.words() == ["It works."]
    assert house.stored() == [("status", "ada@example.com", State.DELIVERED)]


def test_the_answer_is_what_was_decided(house: House) -> None:
    with house.client("news") as client:
        first, second = answer(client, mail("One")), answer(client, mail("Two"))

    assert first[0] == 250
    assert first[1].startswith("2.0.0 send; delivery ")
    assert second[0] == 250
    assert second[1].startswith(
        "2.0.0 defer until 2027-01-16 08:00:00.000+00:00 by rule news; deli"
    )
    assert house.words() == ["One"]
    house.clock.advance(24 * HOUR)
    assert house.words() == ["One", "Two"]


def test_html_and_letters_of_any_script_come_through(house: House) -> None:
    content = mail("Grüße, 世界", "Zażółć gęślą jaźń " * 10)
    content.add_alternative("<p>Grüße, 世界</p>", subtype="html")
    with house.client() as client:
        client.send_message(content)

    house.app.tick()
    (got,) = house.sent.messages
    assert (got.subject, got.text, got.html) == (
        ("Zażółć gęślą jaźń " * 10).strip(),
        "Grüße, 世界",
        "<p>Grüße, 世界</p>",
    )


def test_headers_name_type_priority_and_keys_and_go_no_further(house: House) -> None:
    asked = mail(type="News", priority="high", idempotency_key="k1")
    with house.client("other") as client:
        first, again = answer(client, asked), answer(client, asked)

    assert again[1] == f"{first[1]} again"
    (row,) = house.app.deliveries()
    assert (row.type, row.priority) == ("news", 2)
    house.app.tick()
    assert "tactful" not in str(house.sent.messages[0]).lower().replace("tactful.test", "")


def test_of_mails_with_one_collapse_key_the_newest_waits(house: House) -> None:
    house.app.rules.put(Rule("build", types=["build"], limit="1/day", on_limit="collapse"))
    with house.client("build") as client:
        for number in range(4):
            answer(client, mail(f"Build {number}", collapse_key="main"))

    assert house.words() == ["Build 0"]
    house.clock.advance(24 * HOUR)
    assert house.words() == ["Build 0", "Build 3"]


def test_each_recipient_is_a_submission_of_its_own(house: House) -> None:
    with house.client("alarm") as client:
        assert answer(client, mail())[0] == 250
        code, said = answer(client, mail(), "ada@example.com", "bob@example.com", "bob@example.com")

    assert (code, said.split(";")[0]) == (250, "2.0.0 1 reject, 1 send")
    assert house.words("bob@example.com") == ["It works."]
    assert house.words("ada@example.com") == ["It works."]


def test_a_key_for_repeating_is_for_each_recipient(house: House) -> None:
    content = mail(idempotency_key="k" * 255)
    with house.client() as client:
        answer(client, content, "ada@example.com", "bob@example.com")
        assert answer(client, content, "bob@example.com")[1].endswith(" again")

    assert len(house.app.deliveries()) == 2


def test_what_a_rule_rejects_is_refused_for_now_or_for_good(house: House) -> None:
    with house.client("alarm") as client:
        answer(client, mail())
        assert answer(client, mail()) == (
            452,
            "4.7.1 the rule alarm says no; try again in 86400 s",
        )
    with house.client("never") as client:
        code, said = answer(client, mail())

    assert (code, said) == (550, "5.7.1 the rule never never lets this through")


def test_a_store_out_of_reach_is_a_reason_to_come_again(house: House) -> None:
    def unreachable(_: ApiKey) -> object:
        raise errors.Unavailable("postgresql://user@host/database: refused")

    with house.client() as client:
        works, house.engine_of_key = house.engine_of_key, unreachable  # type: ignore[assignment]
        refused = answer(client, mail())
        house.engine_of_key = works
        taken = answer(client, mail())

    assert refused == (451, "4.3.0 nothing was stored; hand it in again")
    assert taken[0] == 250
    assert len(house.app.deliveries()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Subject: a\r\nSubject: b\r\n\r\nhi\r\n", "Subject: must be given once"),
        (b"Subject: =?utf-8?q?a=0d=0aBcc=3a_x?=\r\n\r\nhi\r\n", "subject: must have no control"),
        (b"Subject: a\r\n\r\nhi\x00\r\n", "text: must have no control characters"),
        (b"X-Tactful-Ttl: 1h\r\n\r\nhi\r\n", "x-tactful-ttl: is no header here"),
        (b"X-Tactful-Type:\r\n\r\nhi\r\n", "x-tactful-type: must not be empty"),
        (
            b"X-Tactful-Priority: urgent\r\n\r\nhi\r\n",
            "priority: must be low, normal, high or critical",
        ),
        (b"Content-Type: text/plain; charset=punycode\r\n\r\nhi\r\n", "text/plain: is in a char"),
        (b"Subject: a\r\n\r\nh\xe4\r\n", "text/plain: does not fit its character set"),
        (b"Content-Type: image/png\r\n\r\nhi\r\n", "attachments: are not taken"),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nhi\r\n", "attachments: are not"),
        (b"X: " + b"a\r\n b" * 20_000 + b"\r\n\r\nhi\r\n", "header: must have at most 65536"),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" * 11, "mail: must have at most 10"),
        (b"Subject:\r\n\r\n", "text: give a subject, a text, an html"),
    ],
)
def test_what_is_wrong_with_a_mail_is_named(house: House, content: bytes, said: str) -> None:
    with house.client() as client:
        code, answered = answer(client, content)

    assert code == 554
    assert answered.startswith(f"5.6.0 {said}")
    assert house.stored() == []


def test_attachments_are_refused_by_name(house: House) -> None:
    content = mail()
    content.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="a.pdf")
    with house.client() as client:
        code, said = answer(client, content)

    assert (code, said) == (554, "5.6.0 attachments: are not taken: send text and HTML only")


def test_a_mail_that_is_too_large_is_refused_before_and_after_it_came(house: House) -> None:
    with house.client() as client:
        assert client.esmtp_features["size"] == "5000000"
        assert client.mail("a@example.com", ["SIZE=5000001"])[0] == 552
        client.rset()
        code, _ = answer(client, b"Subject: a\r\n\r\n" + b"x" * 70 + b"\r\n" * 2_500_000)

    assert code == 552


def test_who_is_not_logged_in_hands_in_nothing(house: House) -> None:
    with house.client(login=False) as client:
        client.ehlo()
        assert client.mail("a@example.com") == (
            530,
            b"5.7.0 log in first: an API key is the password",
        )


@pytest.mark.parametrize("password", ["", "secret", "tk_live_" + "a" * 50, "\udcff"])
def test_a_wrong_password_opens_nothing_and_gets_an_answer(house: House, password: str) -> None:
    plain = base64.b64encode(b"\0user\0" + password.encode("utf-8", "surrogateescape")).decode()
    with house.client(login=False) as client:
        client.ehlo()
        assert client.docmd("AUTH", f"plain {plain}")[0] == 535
        assert client.docmd("AUTH LOGIN", base64.b64encode(b"user").decode())[0] == 334
        code, _ = client.docmd(base64.b64encode(password.encode("utf-8", "replace")).decode())
        assert code == 535


def test_keys_are_guessed_three_times_at_most(house: House) -> None:
    with Wire(house) as wire:
        wire.say(b"EHLO x\r\n")
        said = [wire.say(b"AUTH PLAIN AGEAYg==\r\n") for _ in range(4)]

    assert [line[:3] for line in said] == ["535", "535", "535", "421"]


@pytest.mark.parametrize("why", ["scope", "foreign", "revoked", "ended"])
def test_a_key_that_may_not_send_opens_nothing(house: House, why: str) -> None:
    scope, lives_ms = ("read" if why == "scope" else "send"), (1 if why == "ended" else None)
    _, house.token = house.app.keys.create("other", (scope,), author="test", lives_ms=lives_ms)
    if why == "foreign":
        house.token = mint(bytes(32), test=False)
    elif why == "revoked":
        house.app.keys.remove("other", author="test")
    house.clock.advance(1)

    with house.client(login=False) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("status", house.token)
    assert house.app.deliveries() == []


def test_a_key_that_was_revoked_hands_in_nothing_in_a_session_that_lasts(house: House) -> None:
    with house.client() as client:
        assert answer(client, mail())[0] == 250
        house.app.keys.remove("application", author="test")
        assert answer(client, mail())[0] == 535

    assert len(house.app.deliveries()) == 1


def test_what_comes_with_a_test_key_reaches_nobody(house: House) -> None:
    worlds = Worlds(house.app, [house.sent])
    house.engine_of_key = worlds.of
    _, house.token = house.app.keys.create("trial", ("test",), author="test")
    with house.client() as client:
        code, said = answer(client, mail())
    house.app.tick()
    worlds.close()

    assert (code, said.split(";")[0]) == (250, "2.0.0 send")
    assert house.stored() == []
    assert house.sent.messages == []


def test_elsewhere_than_on_loopback_a_certificate_is_needed() -> None:
    with pytest.raises(errors.ConfigError, match=r"submission\.certificate: is needed"):
        House(host="0.0.0.0")


def test_where_keys_may_come_from_elsewhere_they_come_encrypted() -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(trusting)
    with House(tls=server) as house:
        with smtplib.SMTP("localhost", house.port.port, timeout=30) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 538
            client.starttls(context=trusting)
            client.login("status", house.token)
            assert client.send_message(mail()) == {}
        assert house.words() == ["It works."]


def test_what_was_said_before_tls_is_forgotten_behind_it() -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(trusting)
    with House(tls=server) as house, Wire(house) as wire:
        wire.say(b"EHLO x\r\n")
        assert wire.say(b"STARTTLS\r\nNOOP injected\r\n").startswith("220")
        wire.secure(trusting)
        assert wire.say(b"MAIL FROM:<a@example.com>\r\n").startswith("530")
        assert wire.say(b"QUIT\r\n").startswith("221")


def test_who_says_nothing_is_left_alone_and_who_dawdles_too() -> None:
    with House(stranger_s=0.05) as house, Wire(house) as wire:
        wire.say(b"EHLO x\r\n")
        assert wire.reply() == "", "the connection ends"
    with House(idle_s=0.2) as house, house.client() as client:
        assert client.sock is not None
        client.mail("a@example.com")
        client.rcpt("ada@example.com")
        client.docmd("DATA")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.getreply()
        assert house.stored() == []


def test_a_key_that_asks_too_often_is_told_to_wait(house: House) -> None:
    house.wait_ms = 1_500
    with house.client() as client:
        refused = answer(client, mail())
        house.wait_ms = 0
        assert answer(client, mail())[0] == 250

    assert refused == (451, "4.7.0 the key asks too often; try again in 2 s")
    assert len(house.stored()) == 1


def test_our_own_smtp_channel_can_hand_in(house: House) -> None:
    channel = SmtpChannel(
        host="127.0.0.1",
        port=house.port.port,
        sender="app@example.com",
        security="none",
        username="status",
        password=house.token,
    )
    words = {"subject": "Hi", "text": "It works.", "html": "<p>Hi</p>"}
    message = Message("d1", "n1", "ada", "ada@example.com", "status", at=NOON, **words)
    (outcome,) = channel.send([message])
    channel.close()

    assert isinstance(outcome, Accepted), outcome
    assert house.words() == ["It works."]


def test_a_registered_person_is_found_by_the_address(house: House) -> None:
    house.app.recipients.put(Recipient("user-1", email="ada@example.com"))
    with house.client() as client:
        answer(client, mail(), "ADA@Example.com")

    assert [row.recipient for row in house.app.deliveries()] == ["user-1"]


def test_too_many_sessions_are_told_to_come_again() -> None:
    with House(sessions_max=1) as house, Wire(house) as first, Wire(house) as second:
        assert first.greeting.startswith("220 mx.example.org")
        assert second.greeting == "421 4.3.2 too many sessions; try again"


def test_a_port_that_is_taken_is_said() -> None:
    with House() as house, pytest.raises(errors.Unavailable, match="submission: cannot listen on"):
        SubmissionPort(house.port._door, port=house.port.port).start()


def test_stopping_answers_a_mail_that_is_complete() -> None:
    house = House()
    with house:
        client = house.client()
        begun, go_on = house.hold()
        wire = client.sock
        assert wire is not None
        client.mail("a@example.com")
        client.rcpt("ada@example.com")
        client.docmd("DATA")
        wire.sendall(b"Subject: a\r\n\r\nhi\r\n.\r\n")
        assert begun.wait(30)
        stopping = threading.Thread(target=house.port.stop)
        stopping.start()
        go_on.set()
        code, _ = client.getreply()
        stopping.join()
        client.close()

    assert code == 250


def test_nothing_of_a_rule_is_wider_than_the_line(house: House) -> None:
    house.app.rules.put(Rule("ü" * 90, types=["wide"], limit="1/day"))
    with house.client("wide") as client:
        answer(client, mail())
        code, said = answer(client, mail())

    assert code == 250
    assert said.isascii()
    assert len(said) < 500
    assert house.app.deliveries(state=State.DEFERRED)[0].due_at == NOON + 24 * HOUR
