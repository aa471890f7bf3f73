"""Signed mail: an independent verifier believes it, behind a relay too, and no forgery."""

from __future__ import annotations

import logging
import random
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from dkim_cases import RFC_8463_PUBLIC, both, ed25519_pem, pem, rsa_pem, short_rsa_pem, verified
from hypothesis import given, settings
from hypothesis import strategies as st
from mime_cases import ANN, ATTACK, MESSAGE
from smtp_cases import message as plain_message
from test_mime_attacks import body_text, calm_text, header_text

from tactful.channels.dkim import (
    SEALED,
    SIGNED,
    DkimKey,
    DkimSigner,
    relaxed_body,
    relaxed_header,
)
from tactful.channels.mime import MailWriter
from tactful.channels.smtp import SmtpChannel
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import DAY, Accepted, Message, Rejected
from tactful.testing.smtp_sink import SmtpSink

WRITER = MailWriter("Tactful <no-reply@example.com>", reply_to="Help <help@example.com>")
UNSUBSCRIBE = (
    ("List-Unsubscribe", f"<https://example.com/u/{'t' * 90}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
)
RICH = replace(
    MESSAGE, name="Ann", html="<p>Hello  Ann</p>\n", headers=UNSUBSCRIBE, text="Hello\t Ann \n\n\n"
)

mails = st.builds(
    lambda subject, name, text, html, headers, at: replace(
        MESSAGE, subject=subject, name=name, text=text, html=html, headers=headers, at=at
    ),
    header_text,
    st.one_of(st.none(), header_text),
    st.one_of(body_text, calm_text),
    st.one_of(st.none(), body_text),
    st.one_of(
        st.just(()), st.just(UNSUBSCRIBE), header_text.map(lambda value: (("X-Note", value),))
    ),
    st.integers(0, MESSAGE.at),
)


def signed(message: Message, signer: DkimSigner | None = None) -> bytes:
    return (signer or both()).sign(WRITER.write(message, ANN), message.at)


# What is signed is believed -----------------------------------------------------------------------


@settings(max_examples=150, print_blob=True, deadline=None)
@given(mails)
def test_every_mail_of_ours_verifies_with_both_keys(message: Message) -> None:
    raw = WRITER.write(message, ANN)
    with_signatures = both().sign(raw, message.at)

    assert verified(with_signatures, both().records) == [True, True]
    assert with_signatures.endswith(raw), "the mail itself is not touched"
    assert max(map(len, with_signatures.split(b"\r\n"))) <= 998


@settings(max_examples=100, print_blob=True, deadline=None)
@given(mails, st.integers(0, 2**32))
def test_a_relay_that_folds_and_blanks_anew_breaks_nothing(message: Message, seed: int) -> None:
    """Whatever relaxed form allows: folds elsewhere, longer blanks, blanks and lines at ends."""
    draw = random.Random(seed)
    head, _, body = signed(message).partition(b"\r\n\r\n")

    def blank(_: re.Match[bytes]) -> bytes:
        return draw.choice([b" ", b"  ", b"\t", b" \t "])

    def fold(found: re.Match[bytes]) -> bytes:
        return draw.choice([b"\r\n ", b"\r\n\t", blank(found)])

    lines = []
    for line in re.sub(rb"\r\n[ \t]", b" ", head).split(b"\r\n"):
        name, _, value = line.partition(b":")
        value = re.sub(rb"(?<=\S)[ \t]+(?=\S)", fold, value.strip(b" "))
        lines.append(draw.choice([name, name.upper()]) + b": " + value + draw.choice([b"", b" "]))
    body = re.sub(rb"[ \t]+", blank, body)
    body = re.sub(rb"\r\n", lambda _: draw.choice([b"\r\n", b" \r\n", b"\t\r\n"]), body)
    relayed = b"\r\n".join(lines) + b"\r\n\r\n" + body + b"\r\n" * draw.randrange(3)

    assert verified(relayed, both().records) == [True, True]


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", " ", "a", "a\n\n", ".\n.", "x" * 5_000])
def test_bodies_at_the_edges_verify(text: str) -> None:
    assert verified(signed(replace(MESSAGE, text=text)), both().records) == [True, True]


def test_addresses_in_other_scripts_verify() -> None:
    writer = MailWriter("J\u00fcrgen <j\u00fcrgen@example.com>")
    raw = both().sign(writer.write(MESSAGE, ANN), MESSAGE.at)

    assert verified(raw, both().records) == [True, True]


def test_the_canonical_forms_are_those_of_the_standard() -> None:
    """RFC 6376 section 3.4.5."""
    assert relaxed_header(b"A: X") == b"a:X"
    assert relaxed_header(b"B : Y\t\t Z  ") == b"b:Y Z"
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert relaxed_body(b"\r\n\r\n") == relaxed_body(b"") == b""


def test_the_mail_server_gets_what_verifies() -> None:
    """Through the whole channel: signed before dots are stuffed, and no line end is lost."""
    with SmtpSink() as sink:
        channel = SmtpChannel(
            host=sink.host, port=sink.port, sender="a@example.com", dkim=both(), batch=10
        )
        mails = [
            plain_message(n, text=".\n..\n.x\n", html="<p>\n.\n</p>" if n % 2 else None)
            for n in range(10)
        ]
        assert all(isinstance(outcome, Accepted) for outcome in channel.send(mails))
        channel.close()

        for got in sink.messages:
            assert verified(got.data, both().records) == [True, True]


# What is not signed is not believed ---------------------------------------------------------------


@settings(max_examples=100, print_blob=True, deadline=None)
@given(mails, st.data())
def test_a_changed_body_or_header_does_not_verify(message: Message, data: st.DataObject) -> None:
    """One octet other than a blank or a letter's case, in the body or a signed header."""
    raw = signed(message)
    own = len(raw) - len(WRITER.write(message, ANN))
    head_end = raw.index(b"\r\n\r\n", own)
    # Not inside a header that is not signed.
    note = re.search(rb"\r\nX-Note:.*?(?=\r\nMIME)", raw, re.DOTALL)
    places = [
        place
        for place in range(own, len(raw))
        if raw[place] > 32
        and not (note and note.start() <= place < note.end())
        and (place > head_end or raw[place : place + 1].isdigit())
    ]
    place = data.draw(st.sampled_from(places))
    other = b"8" if raw[place] != ord("8") else b"9"

    changed = raw[:place] + other + raw[place + 1 :]

    assert verified(changed, both().records) == [False, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"no-reply@example.com", b"chief@example.com"),
        (b"To: Ann <ann@x.test>", b"To: Ann <eve@x.test>"),
        (b"Subject: Hello", b"Subject: Help!"),
        (b"<help@example.com>", b"<evil@example.net>"),
        (b"https://example.com/u/", b"https://example.net/u/"),
        (b"t=17", b"t=18"),
        (b"; d=example.com;", b"; d=example.org;"),
        (b"</p>", b"</p>!"),
    ],
)
def test_a_forgery_does_not_verify(old: bytes, new: bytes) -> None:
    raw = signed(RICH)
    assert old in raw

    assert verified(raw.replace(old, new), both().records) == [False, False]


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("top", [True, False])
def test_no_second_header_of_a_name_can_be_added(name: str, top: bool) -> None:
    """Above or below the signed one: a reader might show the added one."""
    raw = signed(RICH)
    added = f"{name.title()}: eve@example.net\r\n".encode()
    forged = added + raw if top else raw.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1)

    assert verified(forged, both().records) == [False, False]


def test_a_reply_to_cannot_be_added_where_there_was_none() -> None:
    raw = both().sign(MailWriter("a@example.com").write(MESSAGE, ANN), MESSAGE.at)
    assert verified(raw, both().records) == [True, True]

    forged = b"Reply-To: eve@example.net\r\n" + raw
    assert verified(forged, both().records) == [False, False]


def test_text_cannot_be_put_behind_what_is_signed() -> None:
    assert b" l=" not in signed(RICH)
    assert verified(signed(RICH) + b"more\r\n", both().records) == [False, False]


@pytest.mark.parametrize("field", ["subject", "name", "headers"])
def test_a_header_that_was_slipped_in_is_refused_before_anything_is_signed(field: str) -> None:
    attack = "Hi\r\nFrom: eve@example.net\r\n\r\nBody"
    value = (("X-Note", attack),) if field == "headers" else attack
    with pytest.raises(RequestError):
        signed(replace(MESSAGE, **{field: value}))
    with SmtpSink() as sink:
        channel = SmtpChannel(host=sink.host, port=sink.port, sender="a@example.com", dkim=both())
        found = channel.send([plain_message(1, **{field: value}), plain_message(2)])
        channel.close()
        assert [type(outcome) for outcome in found] == [Rejected, Accepted]
        assert len(sink.messages) == 1


def test_encoded_line_ends_are_signed_as_text() -> None:
    raw = signed(replace(MESSAGE, subject=ATTACK, name=ATTACK))

    assert b"evil" not in raw.split(b"\r\n\r\n")[0]
    assert verified(raw, both().records) == [True, True]


def test_a_key_of_somebody_else_does_not_verify() -> None:
    stranger = DkimSigner("example.com", [DkimKey("r1", pem(_fresh())), DkimKey("e1", pem(_ed()))])

    assert verified(signed(RICH, stranger), both().records) == [False, False]


# The header ---------------------------------------------------------------------------------------


def test_everything_that_has_to_be_signed_is() -> None:
    """Also what RFC 8058 section 4 asks for: the headers that unsubscribe with one click."""
    for header in signed(RICH).split(b"DKIM-Signature:")[1:]:
        found = re.search(rb"\bh=([^;]*);", header)
        assert found is not None
        names = re.sub(rb"\s", b"", found[1]).decode().split(":")

        assert set(names) == set(SIGNED) - {"content-transfer-encoding"}
        assert [name for name in SEALED if names.count(name) != 2] == []


def test_the_instants_are_those_of_the_message() -> None:
    signer = DkimSigner("example.com", [DkimKey("r1", rsa_pem())], lifetime_ms=20_000 * DAY)
    raw = signed(replace(RICH, at=1_700_000_000_999), signer)

    assert f" t=1700000000; x={1_700_000_000 + 20_000 * 86_400};".encode() in raw
    assert verified(raw, signer.records) == [True]
    assert raw == signed(replace(RICH, at=1_700_000_000_999), signer)


def test_what_has_expired_does_not_verify() -> None:
    signer = DkimSigner("example.com", [DkimKey("r1", rsa_pem())], lifetime_ms=DAY)

    assert verified(signed(RICH, signer), signer.records) == [False]


def test_a_header_that_comes_twice_is_signed_twice() -> None:
    """The order of equal names matters: the lowest is signed first (RFC 6376 section 5.4.2)."""
    twice = (("List-Unsubscribe", "<https://a.test>"), ("List-Unsubscribe", "<https://b.test>"))
    raw = signed(replace(MESSAGE, headers=twice))

    assert verified(raw, both().records) == [True, True]
    swapped = raw.replace(b"//a.test", b"//c.test").replace(b"//b.test", b"//a.test")
    assert verified(swapped.replace(b"//c.test", b"//b.test"), both().records) == [False, False]


# Keys and records ---------------------------------------------------------------------------------


def _fresh() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def _ed() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def test_the_records_are_what_the_dns_must_hold() -> None:
    first, second = both().records

    assert (first.name, first.algorithm) == ("r1._domainkey.example.com", "rsa-sha256")
    assert first.text.startswith("v=DKIM1; k=rsa; p=MII")
    assert first.bits == 2_048
    strings = re.findall(r'"([^"]*)"', first.zone_line)
    assert "".join(strings) == first.text
    assert len(strings) > 1
    assert max(map(len, strings)) <= 255
    assert second.name == "e1.keys._domainkey.example.com"
    assert second.text == f"v=DKIM1; k=ed25519; p={RFC_8463_PUBLIC}"
    assert second.zone_line == f'{second.name}. TXT "{second.text}"'


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "dkim.key: at least one"),
        ([DkimKey("a b", "x")], "dkim.selector: must be letters, digits and hyphens"),
        ([DkimKey("", "x")], "dkim.selector: must be"),
        ([DkimKey("a\r\nBcc: x", "x")], "dkim.selector: must be"),
        ([DkimKey("a;d=evil", "x")], "dkim.selector: must be"),
        ([DkimKey("a." * 120 + "a", "x")], "dkim.selector: must be"),
        ([DkimKey("s", rsa_pem()), DkimKey("S", ed25519_pem())], "each key needs its own"),
        ([DkimKey("s", "not PEM at all")], "dkim.key: must be a private key as PEM text"),
        ([DkimKey("s", "\u00fc\ud800")], "dkim.key: must be a private key as PEM text"),
        ([DkimKey("s", rsa_pem()[:-200])], "dkim.key: must be a private key as PEM text"),
        ([DkimKey("s", pem(_ed(), b"open sesame"))], "must not be protected by a passphrase"),
        ([DkimKey("s", pem(ec.generate_private_key(ec.SECP256R1())))], "an RSA or an Ed25519 key"),
        ([DkimKey("s", short_rsa_pem())], "dkim.key: an RSA key must have at least 1024 bits"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(keys: list[DkimKey], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DkimSigner("example.com", keys)

    assert says in str(caught.value)
    for key in keys:
        for line in key.private_key.splitlines()[1:-1]:
            assert line not in str(caught.value)


@pytest.mark.parametrize("domain", ["", "a b", "x.test\r\nBcc: y", "127.0.0.1", "a;b"])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(ConfigError, match=r"^dkim\.domain: "):
        DkimSigner(domain, [DkimKey("s", ed25519_pem())])


def test_a_lifetime_shorter_than_a_mail_may_wait_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dkim\.lifetime: must be at least 3600000 ms"):
        DkimSigner("example.com", [DkimKey("s", ed25519_pem())], lifetime_ms=60_000)


def test_an_international_domain_signs_in_its_ascii_form() -> None:
    signer = DkimSigner("B\u00fccher.Test", [DkimKey("s", ed25519_pem())])

    assert signer.records[0].name == "s._domainkey.xn--bcher-kva.test"
    assert verified(signed(RICH, signer), signer.records) == [True]


def test_no_key_shows_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = DkimKey("r1", rsa_pem())
    signer = DkimSigner("example.com", [key])
    channel = SmtpChannel(host="localhost", port=1, sender="a@example.com", dkim=signer)
    shown = f"{key!r} {signer!r} {channel!r} {signer.records!r} {vars(signer)!r} {caplog.text}"

    for line in rsa_pem().splitlines()[1:-1]:
        assert line not in shown


def test_without_the_extra_all_but_signing_works() -> None:
    """In a process of its own, where `cryptography` cannot be imported."""
    program = """
import sys
sys.modules["cryptography"] = None
from tactful import Tactful
from tactful.channels.dkim import DkimKey, DkimSigner
from tactful.channels.smtp import SmtpChannel
from tactful.core.errors import ConfigError
app = Tactful("memory://", channels=[SmtpChannel(host="localhost", sender="a@example.com")])
print(app.send(type="news", to="ada@example.com", text="x").decision)
app.close()
try:
    DkimSigner("example.com", [DkimKey("s", "x")])
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines() == [
        "send",
        "dkim: signing needs the package cryptography; install the extra: tactful[dkim]",
    ]


def test_signing_is_imported_only_where_something_is_signed() -> None:
    """Whoever does not sign does not pay for it at each start."""
    program = "import sys, tactful.config; print('cryptography' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "False"
