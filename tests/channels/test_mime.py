"""The e-mail writer by example, and the verifier that its every message must pass."""

from __future__ import annotations

import re
from dataclasses import replace
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mime_cases import (
    ANN,
    ATTACK,
    FIRST,
    MESSAGE,
    MULTIPART,
    SINGLE,
    WRITER,
    body_of,
    name_in,
    read,
    single,
    split_names,
    unfold,
)

from tactful.channels.address import Address, parse_email
from tactful.channels.mime import MailError, MailWriter, verify
from tactful.core.errors import RequestError

# Examples ----------------------------------------------------------------------------------------


def test_the_whole_message_to_the_byte() -> None:
    message = replace(
        MESSAGE,
        name="Ann",
        html="<p>Hällo</p>",
        headers=(("List-Unsubscribe", "<https://x.test/u/1>"),),
    )
    raw = MailWriter(
        "v@x.test", message_id_domain="B\u00fccher.test", reply_to="W <w@x.test>"
    ).write(message, ANN)
    mark = re.search(rb'boundary="(=_[0-9a-f]{30})"', raw)
    assert mark is not None
    assert raw.replace(mark[1], b"MARK").decode().split("\r\n") == [
        "From: v@x.test",
        "To: Ann <ann@x.test>",
        "Subject: Hello",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "Message-ID: <dl_01JABCDEF@xn--bcher-kva.test>",
        "Reply-To: W <w@x.test>",
        "List-Unsubscribe: <https://x.test/u/1>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative;",
        ' boundary="MARK"',
        "",
        "--MARK",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hello Ann.",
        "",
        "--MARK",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "<p>H=C3=A4llo</p>",
        "--MARK--",
        "",
    ]


def test_an_empty_message_is_one_empty_text() -> None:
    raw = WRITER.write(replace(MESSAGE, subject="", text=""), ANN)
    parsed = read(raw, SINGLE)
    assert raw.endswith(b"\r\n\r\n")
    assert parsed["Subject"] == ""
    assert body_of(parsed) == ""


def test_attempts_differ_in_date_only() -> None:
    first = WRITER.write(MESSAGE, ANN).split(b"\r\n")
    again = WRITER.write(replace(MESSAGE, at=MESSAGE.at + 61_000, attempt=2), ANN).split(b"\r\n")
    differing = [a for a, b in zip(first, again, strict=True) if a != b]
    assert [line.split(b":")[0] for line in differing] == [b"Date"]


@settings(max_examples=300, print_blob=True, deadline=None)
@given(st.integers(0, 253_402_300_799_999))
def test_date_is_the_instant_of_the_attempt(at: int) -> None:
    parsed = read(WRITER.write(replace(MESSAGE, at=at), ANN), SINGLE)
    assert int(parsedate_to_datetime(parsed["Date"]).timestamp()) == at // 1000


@pytest.mark.parametrize("at", [-1, 253_402_300_800_000, 1 << 62])
def test_an_instant_without_a_date_is_refused(at: int) -> None:
    with pytest.raises(RequestError) as caught:
        WRITER.write(replace(MESSAGE, at=at), ANN)
    assert caught.value.field == "at"


@pytest.mark.parametrize("bad", ["", "a b", "a@b", "a>", "a..b", ".a", "\u00fc", "a" * 201, ATTACK])
def test_s1_an_id_that_is_no_message_id_is_refused(bad: str) -> None:
    with pytest.raises(RequestError) as caught:
        WRITER.write(replace(MESSAGE, id=bad), ANN)
    assert caught.value.field == "id"


def test_ascii_headers_are_folded_at_blanks_and_stay_raw() -> None:
    link = f"<https://x.test/u/{'t' * 300}>"
    value = f"{link}, <mailto:u@x.test?subject=unsubscribe>, {link}"
    raw = WRITER.write(replace(MESSAGE, headers=(("List-Unsubscribe", value),)), ANN)
    parsed = read(raw, [*FIRST, "List-Unsubscribe", *SINGLE[5:]])
    assert unfold(parsed["List-Unsubscribe"]) == value
    assert f"List-Unsubscribe: {link},\r\n <mailto:".encode() in raw


def test_s1_runs_of_blanks_never_make_a_blank_line() -> None:
    value = f"{'word  ' * 40}{' ' * 200}end"
    raw = WRITER.write(replace(MESSAGE, headers=(("X-Note", value),)), ANN)
    parsed = read(raw, [*FIRST, "X-Note", *SINGLE[5:]])
    assert unfold(parsed["X-Note"]) == value
    assert not re.search(rb"\r\n[ \t]+\r\n", raw)


def test_s1_nothing_unverified_leaves_the_writer() -> None:
    forged = Address("ann@x.test\r\nBcc: evil", "y.test")  # only parse_email may make one
    with pytest.raises(MailError, match="Bcc"):
        WRITER.write(MESSAGE, forged)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ann", "Ann"),
        ("Ann Lee", "Ann Lee"),
        ("Ann, Lee", '"Ann, Lee"'),
        ('Ann "A" \\ Lee', '"Ann \\"A\\" \\\\ Lee"'),
        ("J. Lee <x@y.test>", '"J. Lee <x@y.test>"'),
        ("\u00c4nn", "=?utf-8?b?w4Rubg==?="),
        (" Ann", "=?utf-8?b?IEFubg==?="),
    ],
)
def test_display_names(name: str, shown: str) -> None:
    raw = WRITER.write(replace(MESSAGE, name=name), ANN)
    assert f"\r\nTo: {shown} <ann@x.test>\r\n".encode() in raw
    assert name_in(read(raw, SINGLE)["To"]) == name


def test_non_ascii_local_parts_are_raw_utf8_in_the_address_only() -> None:
    to = parse_email("j\u00fcrgen@x.test")
    assert to.needs_smtputf8
    assert not WRITER.needs_smtputf8
    assert MailWriter("v@x.test", reply_to="\u00fc@x.test").needs_smtputf8
    raw = WRITER.write(replace(MESSAGE, name="J\u00fcrgen", subject="\u00fc", text="\u00fc"), to)
    assert split_names(raw) == SINGLE
    lines = [line for line in raw.split(b"\r\n") if not line.isascii()]
    assert lines == ["To: =?utf-8?b?SsO8cmdlbg==?= <j\u00fcrgen@x.test>".encode()]
    # Without leave for it, the same bytes do not pass.
    with pytest.raises(MailError):
        verify(raw, SINGLE, utf8_headers=False)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("a \nb", "quoted-printable"),
        ("a\n.\nb", "quoted-printable"),
        ("a boundary starts with =_", "quoted-printable"),
        ("mostly plain, one \u00fc", "quoted-printable"),
        ("From here on", "base64"),
        ("\u65e5\u672c\u8a9e", "base64"),
    ],
)
def test_transfer_encoding_fits_the_text(text: str, encoding: str) -> None:
    parsed = read(WRITER.write(replace(MESSAGE, text=text), ANN), SINGLE)
    assert parsed["Content-Transfer-Encoding"] == encoding
    assert body_of(parsed) == single(text)


# The verifier ------------------------------------------------------------------------------------

GOOD = WRITER.write(replace(MESSAGE, html="<p>Hello</p>"), ANN)


def test_s1_verifier_accepts_what_was_planned_and_nothing_else() -> None:
    verify(GOOD, MULTIPART)
    plans = [
        [],
        MULTIPART[:-1],
        [*MULTIPART, "Bcc"],
        MULTIPART[::-1],
        SINGLE,
        ["Fro", *MULTIPART[1:]],
    ]
    for names in plans:
        with pytest.raises(MailError):
            verify(GOOD, names)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\nDate", b"\r\nBcc: e@y.test\r\nDate"),
        (b"\r\nDate", b"\r\nSubject: twice\r\nDate"),
        (b"\r\nDate", b"\r\nno header\r\nDate"),
        (b"\r\nDate", b"\r\n: no name\r\nDate"),
        (b"\r\nDate", b"\r\n \t\r\nDate"),
        (b"\r\nDate", b"\r\n\r\nDate"),
        (b"\r\nDate:", b"\r\nDate"),
        (b"\r\nDate:", b"\r\nDate :"),
        (b"\r\nDate:", b"\r\ndate:"),
        (b"\r\nDate", b"\nDate"),
        (b"\r\nDate", b"\rDate"),
        (b"\r\nDate", b"\r\r\n\nDate"),
        (b"\r\nDate", b"\r\n" + b"x" * 999 + b"\r\nDate"),
        (b"Hello Ann", b"Hello\0Ann"),
        (b"Hello Ann", b"Hello\nAnn"),
        (b"Hello Ann", b"Hello\rAnn"),
        (b"Hello Ann", b"Hello\xc3\xbcAnn"),
        (b"Hello Ann", b"x" * 998),
        (b"From: ", b"\r\nFrom: "),
        (b"From: ", b" From: "),
        (b"--\r\n", b"--"),
        (b"--\r\n", b"--\r"),
        (b"\r\n\r\n", b"\r\n"),
    ],
)
def test_s1_s2_verifier_refuses_tampered_bytes(old: bytes, new: bytes) -> None:
    tampered = GOOD.replace(old, new)
    assert tampered != GOOD
    with pytest.raises(MailError):
        verify(tampered, MULTIPART)


@settings(max_examples=1_500, print_blob=True, deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 4),
    st.lists(
        st.sampled_from(
            [b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b"Bcc: x", b".", b"\xff"]
        ),
        max_size=4,
    ).map(b"".join),
)
def test_s1_s2_what_the_verifier_lets_pass_is_sound(at: int, cut: int, put: bytes) -> None:
    """Bytes changed at random: whatever passes, an independent reader finds sound too."""
    raw = GOOD[:at] + put + GOOD[at + cut :]
    try:
        verify(raw, MULTIPART)
    except MailError:
        return
    assert split_names(raw) == MULTIPART
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert BytesParser(policy=compat32).parsebytes(raw).keys() == MULTIPART
