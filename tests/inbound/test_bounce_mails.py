"""Mails that report failures become findings; all other mails do not."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mail_samples import (
    ABUSE,
    EXCHANGE,
    EXCHANGE_STATUS,
    EXIM,
    GMAIL,
    POSTFIX,
    QMAIL,
    READ,
    VACATION,
)

from tactful.inbound.arf import complaints_in
from tactful.inbound.dsn import bounces_in
from tactful.inbound.findings import Finding, is_hard, status_in
from tactful.inbound.mail import reports_in
from tactful.inbound.parts import PARTS_MAX, SIZE_MAX, leaves, read_mail

ID = "019b7f5e7c007000a1b2c3d4e5f60718"


def filled(mail: str, **how: str) -> bytes:
    fields = {"action": "failed", "status": "5.1.1", "reply": "550 5.1.1 no such user", **how}
    text = mail.format(id=ID, status64=b64encode(EXCHANGE_STATUS.encode()).decode(), **fields)
    return text.replace("\n", "\r\n").encode()


def found(mail: str, **how: str) -> list[Finding]:
    return bounces_in(read_mail(filled(mail, **how)))


@pytest.mark.parametrize(
    ("mail", "status", "hard"),
    [
        (POSTFIX, "5.1.1", True),
        (EXCHANGE, "5.1.10", True),
        (GMAIL, "5.1.1", True),
        (QMAIL, "5.1.1", True),
        (EXIM, "4.2.2", False),
    ],
    ids=["postfix", "exchange", "gmail", "qmail", "exim"],
)
def test_a_bounce_names_the_message_the_address_and_the_reason(
    mail: str, status: str, hard: bool
) -> None:
    (one,) = found(mail)

    assert (one.kind, one.address, one.status, one.hard) == (
        "bounced", "ada@example.org", status, hard,
    )  # fmt: skip
    assert ID in one.names
    assert one.diagnostic


@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r"])
def test_line_ends_make_no_difference(ends: str) -> None:
    text = filled(POSTFIX).decode().replace("\r\n", ends)

    assert bounces_in(read_mail(text.encode())) == found(POSTFIX)


@pytest.mark.parametrize(
    ("status", "reply", "hard"),
    [
        ("5.1.1", "550 5.1.1 unknown", True),
        ("5.1.2", "550 5.1.2 no such domain", True),
        ("5.2.1", "550 5.2.1 disabled", True),
        ("5.4.4", "unable to route", True),
        ("5.2.2", "552 5.2.2 mailbox full", False),
        ("5.7.1", "554 5.7.1 your address is on a blocklist", False),
        ("5.7.26", "550 5.7.26 unauthenticated", False),
        ("5.3.4", "552 5.3.4 too large", False),
        ("4.4.1", "connection timed out", False),
        ("5.0.0", "550 5.1.1 no such user", True),
        ("5.0.0", "550 5.7.1 spam", False),
        ("5.0.0", "550 User unknown", True),
        ("5.0.0", "550 we do not like you", False),
        ("", "550 5.1.1 nobody", True),
    ],
)
def test_hard_is_only_what_says_that_nobody_is_there(status: str, reply: str, hard: bool) -> None:
    (one,) = found(POSTFIX, status=status, reply=reply)

    assert one.hard is hard


@pytest.mark.parametrize("action", ["delayed", "relayed", "expanded", "delayed (still trying)"])
def test_a_delay_is_no_bounce(action: str) -> None:
    assert found(POSTFIX, action=action, status="4.4.1") == []


def test_a_receipt_of_a_server_says_that_it_arrived() -> None:
    (one,) = found(POSTFIX, action="delivered", status="2.0.0", reply="250 ok")

    assert (one.kind, one.hard) == ("delivered", False)


@pytest.mark.parametrize("mail", [VACATION, READ], ids=["out of office", "read receipt"])
def test_replies_are_no_bounces(mail: str) -> None:
    assert reports_in(filled(mail), [f"bounces+{ID}@shop.example"]) == []


@pytest.mark.parametrize("kind", ["abuse", "fraud", "opt-out", "Abuse "])
def test_a_complaint_names_the_message(kind: str) -> None:
    (one,) = complaints_in(read_mail(filled(ABUSE, kind=kind)))

    assert (one.kind, one.address) == ("complained", "ada@example.org")
    assert ID in one.names


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "", "praise"])
def test_what_takes_a_complaint_back_is_none(kind: str) -> None:
    assert complaints_in(read_mail(filled(ABUSE, kind=kind))) == []


def test_the_address_that_it_came_to_names_the_message_where_nothing_else_does() -> None:
    mail = filled(POSTFIX).replace(f"Message-ID: <{ID}@shop.example>".encode(), b"X-No: thing")

    (one,) = reports_in(mail, [f"bounces+{ID}@shop.example"])

    assert one.names == (ID,)


def test_the_id_of_the_envelope_names_the_message() -> None:
    mail = filled(POSTFIX).replace(
        b"X-Postfix-Queue-ID: 4F1C2", b"Original-Envelope-Id: " + ID.encode()
    )
    mail = mail.replace(f"Message-ID: <{ID}@shop.example>".encode(), b"X-No: thing")

    (one,) = bounces_in(read_mail(mail))

    assert one.names == (ID,)


def test_one_mail_has_one_key_however_it_is_transported() -> None:
    raw = filled(POSTFIX)
    again = b"Received: from elsewhere\r\n" + raw

    assert reports_in(raw)[0].key == reports_in(again)[0].key
    assert reports_in(raw)[0].key != reports_in(raw.replace(b"100000.4F1C2", b"1.2"))[0].key


def test_a_status_is_not_read_out_of_an_address_or_a_version() -> None:
    assert status_in("at 5.1.1.3 and 15.1.2") == ""
    assert status_in("550 5.1.1: gone") == "5.1.1"
    assert status_in("said 421 try later") == "4.0.0"
    assert not is_hard("4.0.0", "user unknown")


# Attacks --------------------------------------------------------------------------------------

TOKENS = [
    *("\n", "\n\n", "--", "--b", "--b--", "\r\n", " ", "\t", ":", ";", "<", ">", "@", "=", '"'),
    *("Content-Type: multipart/report; boundary=b\n", "Content-Type: message/rfc822\n"),
    *("Content-Type: message/delivery-status\n", "Content-Type: multipart/mixed; boundary=b\n"),
    *("Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: quoted-printable\n"),
    *(
        "Action: failed\n",
        "Status: 5.1.1\n",
        "Final-Recipient: rfc822; a@b\n",
        "Message-ID: <x@y>\n",
    ),
    *("Hi. This is the qmail-send program at x\n", "<a@b.c>:\n", "X-Failed-Recipients: a@b\n"),
    *("Content-Type: message/feedback-report\n", "Feedback-Type: abuse\n", "=ZZ", "\0", "\x85"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=80), st.integers(0, 3))
def test_no_mixture_of_what_bounces_are_made_of_raises(tokens: list[str], repeat: int) -> None:
    raw = ("".join(tokens) * (1 + 10 * repeat)).encode()

    for report in reports_in(raw, ["bounces+x@y"]):
        assert report.kind in ("bounced", "delivered", "complained")


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=2_000), st.sampled_from([POSTFIX, EXCHANGE, GMAIL, QMAIL, EXIM]), st.data()
)
@example(b"\xff\xfe", POSTFIX, None)
def test_no_damage_to_a_bounce_raises(damage: bytes, mail: str, data: st.DataObject | None) -> None:
    raw = filled(mail)
    at = data.draw(st.integers(0, len(raw))) if data is not None else 100
    end = data.draw(st.integers(at, len(raw))) if data is not None else 200

    assert len(reports_in(raw[:at] + damage + raw[end:])) <= 50


HOSTILE = {
    "nesting": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 20_000,
    "boundaries": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 300_000,
    "near boundaries": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bx\n" * 200_000,
    "blank lines": b"Content-Type: message/delivery-status\n\n" + b"\n \n\t\n" * 200_000,
    "groups": b"Content-Type: message/delivery-status\n\n" + b"Action: failed\n\n" * 60_000,
    "one long line": b"Subject: " + b"a" * 5_000_000,
    "folds": b"Subject: a\n" + b" b\n" * 500_000,
    "colons": b":" * 1_000_000,
    "quotes": b'Content-Type: multipart/mixed; boundary="' + b'";a="' * 200_000,
    "qmail": b"\nHi. This is the qmail-send program at x\n" + b"<a@b.c>:\nno\n" * 80_000,
    "angles": b"\nHi. This is the qmail-send program at x\n" + b"<" * 1_000_000,
    "ids": b"Content-Type: text/plain\n\n" + b"Message-ID: <" * 80_000,
    "quoted ids": b"Content-Type: text/plain\n\n" + b"> " * 500_000,
    "equals": b"Content-Transfer-Encoding: quoted-printable\nX-Failed-Recipients: a@b\n\n"
    + b"=" * 1_000_000,
    "dots": b"X-Failed-Recipients: a@b\n\n" + b"5.1." * 250_000,
    "words": b"X-Failed-Recipients: a@b\n\n" + b"5.0.0 the recipient has been " * 35_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_for_a_mail_is_bounded(name: str) -> None:
    """Each takes a part of a second, and would take minutes with something quadratic in it."""
    assert len(reports_in(HOSTILE[name])) <= 50
    assert len(leaves(read_mail(HOSTILE[name]))) <= PARTS_MAX
    assert len(read_mail(HOSTILE[name]).body) <= SIZE_MAX
