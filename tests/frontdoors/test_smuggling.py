"""What a hostile client sends, octet by octet: one mail stays one mail, to whom it was for."""

from __future__ import annotations

import base64

import pytest
from door_cases import House, Wire
from hypothesis import given
from hypothesis import strategies as st

from tactful.errors import RequestError
from tactful.frontdoors.mail import read_mail

HIDDEN = b"MAIL FROM:<a@evil.example>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n"


def logged_in(wire: Wire, house: House) -> None:
    wire.say(b"EHLO x\r\n")
    plain = base64.b64encode(b"\0status\0" + house.token.encode())
    assert wire.say(b"AUTH PLAIN " + plain + b"\r\n").startswith("235")


def begun(wire: Wire) -> None:
    assert wire.say(b"MAIL FROM:<a@example.com>\r\n").startswith("250")
    assert wire.say(b"RCPT TO:<ada@example.com>\r\n").startswith("250")
    assert wire.say(b"DATA\r\n").startswith("354")


@pytest.mark.parametrize(
    "end",
    [
        *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r"),
        *(b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\r\r\n.\r\r\n", b"\x85.\x85", b"\r\n..\r\n"),
    ],
)
def test_only_one_end_of_data_is_an_end_of_data(house: House, end: bytes) -> None:
    """VU#302671: what another server takes for the end must not let a second mail begin."""
    with Wire(house) as wire:
        logged_in(wire, house)
        begun(wire)
        said = wire.say(b"Subject: a\r\n\r\nhi" + end + HIDDEN + b"X: y\r\n.\r\n")
        assert wire.say(b"NOOP\r\n").startswith("250"), "nothing was left over to be answered"

    taken = house.stored()
    assert said.startswith("250") == bool(taken)
    assert len(taken) <= 1
    assert {address for _, address, _ in taken} <= {"ada@example.com"}


def test_a_long_line_ends_no_mail_early(house: House) -> None:
    with Wire(house) as wire:
        logged_in(wire, house)
        for length in range(998, 1006):
            begun(wire)
            said = wire.say(b"\r\n" + b"x" * length + b".\r\n" + HIDDEN + b".\r\n")
            assert said[:3] in ("250", "500")

    assert {address for _, address, _ in house.stored()} <= {"ada@example.com"}


@pytest.mark.parametrize(
    "path",
    [
        b"<bob@example.com(comment)>",
        b'<"bob"@example.com>',
        b"<@relay.example:bob@example.com>",
        b"<bob@example.com>, <eve@example.com>",
        b"<bob@example.com\r>",
        b"<=?utf-8?q?bob=40evil.example=3e?=@example.com>",
        b"<bob@[127.0.0.1]>",
        b"<b\xffb@example.com>",
        b"<bob@exam ple.com>",
        b"bob@example.com",
        b"<>",
        b"<" + b"b" * 400 + b"@example.com>",
    ],
)
def test_an_address_is_taken_as_it_stands_or_not_at_all(house: House, path: bytes) -> None:
    with Wire(house) as wire:
        logged_in(wire, house)
        wire.say(b"MAIL FROM:<a@example.com>\r\n")
        assert wire.say(b"RCPT TO:" + path + b"\r\n")[0] == "5"
        assert wire.say(b"DATA\r\n").startswith("503")


def test_letters_of_any_script_may_stand_in_an_address(house: House) -> None:
    with Wire(house) as wire:
        logged_in(wire, house)
        wire.say(b"MAIL FROM:<a@example.com> BODY=8BITMIME SMTPUTF8\r\n")
        assert wire.say("RCPT TO:<jörg@exämple.com>\r\n".encode()).startswith("250")
        wire.say(b"DATA\r\n")
        assert wire.say(b"\r\nhi\r\n.\r\n").startswith("250")

    assert [address for _, address, _ in house.stored()] == ["jörg@exämple.com"]


def test_commands_without_end_or_sense_are_refused_and_end_the_session(house: House) -> None:
    with Wire(house) as wire:
        assert wire.say(b"A" * 100_000 + b"\r\n") == "500 Command line too long"
        assert wire.say(b"EHLO " + b"x" * 600 + b"\r\n") == "500 Command line too long"
        said = [wire.say(b"GET / HTTP/1.1\r\n") for _ in range(5)]

    assert said[-1].startswith("502 5.5.1 Too many unrecognized commands")


@given(st.binary(max_size=2_000))
def test_any_octets_are_a_mail_or_are_refused(content: bytes) -> None:
    try:
        found = read_mail(content)
    except RequestError:
        return
    assert "\r" not in found.text
    assert set(found.asked) <= {"type", "priority", "collapse_key", "idempotency_key"}


_LINES = st.sampled_from(
    [
        *(
            b"Subject: a",
            b"Subject: =?utf-8?q?=0d=0a?=",
            b"Subject: =?utf-8?b?4pyT?= =?utf-8?b?4pyT?=",
        ),
        *(b"X-Tactful-Type: news", b"X-Tactful-Type: ", b" folded", b"", b"--b", b"--b--", b"text"),
        *(
            b"Content-Type: multipart/mixed; boundary=b",
            b"Content-Type: multipart/digest; boundary=b",
        ),
        *(b"Content-Type: text/html; charset=latin-1", b"Content-Type: text/plain; charset*=''x"),
        *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: uuencode", b"eHg="),
        *(b"Content-Disposition: attachment; filename*0*=utf-8''a", b"\xff\xfe", b"=?x?y?z?="),
    ]
)


@given(st.lists(_LINES, max_size=25))
def test_any_lines_are_a_mail_or_are_refused(lines: list[bytes]) -> None:
    try:
        found = read_mail(b"".join(line + b"\r\n" for line in lines))
    except RequestError:
        return
    assert isinstance(found.subject, str)
    assert found.html is None or isinstance(found.html, str)
