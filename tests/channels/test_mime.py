from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.header import decode_header
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.channels.address import CONTROLS, Address, parse_email
from tactful.channels.mime import (
    MailError,
    MailWriter,
    check_body_text,
    check_header_name,
    check_header_text,
    verify,
)
from tactful.core.errors import RequestError
from tactful.core.model import Message

ATTACK = "=?utf-8?q?a=0D=0ABcc:_evil=40x.test?="
ANN = parse_email("ann@x.test")
WRITER = MailWriter("Tactful <no-reply@example.com>")
MESSAGE = Message(
    id="dl_01JABCDEF",
    notification_id="n1",
    recipient="r1",
    address="ann@x.test",
    type="news",
    subject="Hello",
    text="Hello Ann.\n",
    html=None,
    at=1_700_000_000_123,
)
FIRST = ["From", "To", "Subject", "Date", "Message-ID"]
SINGLE = [*FIRST, "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
MULTIPART = [*FIRST, "MIME-Version", "Content-Type"]

BODY_BANNED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# Readers -----------------------------------------------------------------------------------------


def split_names(raw: bytes) -> list[str]:
    """The names in the header block, to a reader that knows nothing but lines."""
    block = raw[: raw.index(b"\r\n\r\n")]
    lines = re.split(rb"\r\n|\r|\n", block)
    return [line.split(b":")[0].decode() for line in lines if line[:1] not in (b" ", b"\t")]


def read(raw: bytes, names: Sequence[str]) -> Parsed:
    """Parse in two independent ways; both must see the planned headers and sound bytes."""
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
    assert raw.endswith(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert split_names(raw) == list(names)
    parsed = BytesParser(policy=compat32).parsebytes(raw)
    assert parsed.keys() == list(names)
    assert not any(part.defects for part in parsed.walk())
    return parsed


def unfold(value: str) -> str:
    return re.sub(r"\r\n(?=[ \t])", "", value)


def decoded(value: str) -> str:
    """Header text as the standard library decodes it."""
    parts = decode_header(unfold(value))
    return "".join(
        part if isinstance(part, str) else part.decode(charset or "ascii")
        for part, charset in parts
    )


def name_in(value: str) -> str:
    return decoded(parseaddr(unfold(value))[0])


def body_of(part: Parsed) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def single(text: str) -> str:
    """What a message of text only reads back as: it ends with a line end."""
    text = crlf(text)
    return text if not text or text.endswith("\r\n") else text + "\r\n"


def dot_stuffed(raw: bytes) -> bytes:
    return (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]


STRICT = rb"\r\n\.\r\n"
LAX_LF = rb"\r?\n\.\r?\n"
LAX_CR = rb"(?:\r\n|\r|\n)\.(?:\r\n|\r|\n)"


def check_one_message(raw: bytes) -> None:
    """Three receivers that disagree on what ends a message must agree on this one."""
    stream = dot_stuffed(raw) + b".\r\n" + b"QUIT\r\n"
    for end_of_data in (STRICT, LAX_LF, LAX_CR):
        message, rest = re.split(end_of_data, stream)
        assert rest == b"QUIT\r\n"
        assert (b"\r\n" + message + b"\r\n").replace(b"\r\n..", b"\r\n.")[2:] == raw


def outcome(write: Callable[[], bytes]) -> bytes | RequestError:
    try:
        return write()
    except RequestError as error:
        return error


# Inputs ------------------------------------------------------------------------------------------

FRAGMENTS = [
    "\r\nBcc: evil@y.test\r\n",
    "\nBcc: evil@y.test\n",
    "\rBcc: evil@y.test\r",
    "\r\n\r\n<script>",
    "\r\n.\r\n",
    "\n.\n",
    "\r.\r",
    "\n.\r\n",
    "\r\n.\n",
    "\r\n.\r\nMAIL FROM:<evil@y.test>\r\n",
    "\n..\n",
    "\n.",
    "\nFrom ",
    "From ",
    "--=_",
    "=_",
    "=0D=0A",
    "=3D",
    "=\n",
    ATTACK,
    "=?utf-8?b?DQpCY2M6IGV2aWxAeS50ZXN0?=",
    "=?",
    "?=",
    "\n Bcc: x",
    "\n\t",
    " \n",
    "\t\n",
    "  ",
    " ",
    '"',
    "\\",
    "<evil@y.test>",
    ",",
    "(",
    "\x00",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "\ud800",
    "\udc0a",
    "\u00fc",
    "\U0001f600",
    "\u0308",
    "word " * 30,
    "x" * 99,
    "x" * 999,
    "\u00e9" * 80,
    "Content-Type: text/html\n",
]

fragments = st.sampled_from(FRAGMENTS)
hostile = st.lists(st.one_of(fragments, st.characters(), st.text(max_size=9)), max_size=9).map(
    "".join
)
header_text = hostile.map(lambda text: CONTROLS.sub("", text))
body_text = hostile.map(lambda text: BODY_BANNED.sub("", text))
calm_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)


# S1: headers -------------------------------------------------------------------------------------


def test_s1_encoded_line_ends_in_subject_and_name_stay_text() -> None:
    raw = WRITER.write(replace(MESSAGE, subject=ATTACK, name=ATTACK), ANN)
    parsed = read(raw, SINGLE)
    assert b"evil" not in raw.split(b"\r\n\r\n")[0]
    assert decoded(parsed["Subject"]) == ATTACK
    assert name_in(parsed["To"]) == ATTACK


@pytest.mark.parametrize("bad", ["a\r\nBcc: e@y.test", "a\nb", "a\rb", "a\x00", "a\x85", "a\u2028"])
def test_s1_raw_line_ends_are_refused_by_field(bad: str) -> None:
    cases = {
        "subject": replace(MESSAGE, subject=bad),
        "name": replace(MESSAGE, name=bad),
        "header X-Note": replace(MESSAGE, headers=(("X-Note", bad),)),
        "header name": replace(MESSAGE, headers=((bad, "x"),)),
        "id": replace(MESSAGE, id=bad),
    }
    for field, message in cases.items():
        with pytest.raises(RequestError) as caught:
            WRITER.write(message, ANN)
        assert caught.value.field == field
    for argument in ("sender", "reply_to", "message_id_domain"):
        arguments = {"sender": "v@x.test", argument: f"{bad} <v@x.test>"}
        with pytest.raises(RequestError) as caught:
            MailWriter(**arguments)
        assert caught.value.field == argument
    with pytest.raises(RequestError) as caught:
        check_header_text("subject", bad)
    assert caught.value.field == "subject"


@pytest.mark.parametrize(
    "name",
    [
        *("", "X Y", "X:", "X\r\nBcc", "\u00dc", "X" * 65, "bcc", "CC", "From", "Content-Type"),
        *("Sender", "Resent-To", "MIME-Version", "Received", "Return-Path", "DKIM-Signature"),
        *("Reply-To", "Date"),
    ],
)
def test_s1_header_names_that_are_not_free_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="header"):
        check_header_name(name)
    with pytest.raises(RequestError, match="header"):
        WRITER.write(replace(MESSAGE, headers=((name, "x"),)), ANN)


@settings(max_examples=5_000, print_blob=True, deadline=None)
@given(st.sampled_from(["subject", "name", "header X-Note"]), hostile, st.booleans())
def test_s1_no_header_text_adds_a_header(field: str, value: str, html: bool) -> None:
    message = replace(MESSAGE, html="<p>Hello</p>" if html else None)
    names = MULTIPART if html else SINGLE
    if field == "subject":
        message = replace(message, subject=value)
    elif field == "name":
        message = replace(message, name=value)
    else:
        message = replace(message, headers=(("X-Note", value),))
        names = [*FIRST, "X-Note", *names[5:]]
    answer = outcome(lambda: WRITER.write(message, ANN))
    if CONTROLS.search(value):
        assert isinstance(answer, RequestError)
        assert answer.field == field
        return
    assert isinstance(answer, bytes)
    parsed = read(answer, names)
    assert answer.isascii()
    if field == "name":
        assert name_in(parsed["To"]) == value
        assert parseaddr(unfold(parsed["To"]))[1] == "ann@x.test"
    else:
        assert decoded(parsed[field.removeprefix("header ")]) == value


@settings(max_examples=1_500, print_blob=True, deadline=None)
@given(header_text, header_text, header_text, st.one_of(header_text, calm_text))
def test_s1_all_header_fields_come_back_together(
    sender: str, name: str, subject: str, note: str
) -> None:
    quoted = sender.replace("\\", "\\\\").replace('"', '\\"')[:400].rstrip("\\")
    try:
        writer = MailWriter(f'"{quoted}" <v@x.test>', reply_to=f'"{quoted}" <w@x.test>')
    except RequestError:  # cut in two, or over the length of a configured sender
        writer = MailWriter("v@x.test", reply_to="w@x.test")
        quoted = ""
    message = replace(MESSAGE, subject=subject, name=name, headers=(("X-Note", note),))
    parsed = read(writer.write(message, ANN), [*FIRST, "Reply-To", "X-Note", *SINGLE[5:]])
    assert name_in(parsed["From"]) == name_in(parsed["Reply-To"]) == re.sub(r"\\(.)", r"\1", quoted)
    assert parseaddr(unfold(parsed["From"]))[1] == "v@x.test"
    assert name_in(parsed["To"]) == name
    assert decoded(parsed["Subject"]) == subject
    assert decoded(parsed["X-Note"]) == note


@settings(max_examples=500, print_blob=True, deadline=None)
@given(st.one_of(hostile, st.text("AbZ-:\r\n \t!~09_", max_size=70)), header_text)
def test_s1_header_names_are_tokens_or_refused(name: str, value: str) -> None:
    answer = outcome(lambda: WRITER.write(replace(MESSAGE, headers=((name, value),)), ANN))
    if isinstance(answer, RequestError):
        assert answer.field in ("header name", f"header {name}")
    else:
        assert re.fullmatch(r"[!-9;-~]{1,64}", name)
        parsed = read(answer, [*FIRST, name, *SINGLE[5:]])
        assert decoded(parsed[name]) == value


@settings(max_examples=1_000, print_blob=True, deadline=None)
@given(header_text.filter(lambda text: not text.isascii() or "=?" in text), st.integers(1, 64))
def test_s1_encoded_words_are_whole_characters_within_their_bounds(value: str, size: int) -> None:
    """RFC 2047 sections 2 and 5: words <= 75, lines with words <= 76, no character cut in two."""
    name = "X" * size
    raw = WRITER.write(replace(MESSAGE, headers=((name, value),)), ANN)
    line = re.search(rf"\r\n{name}:((?:.|\r\n )*)\r\nMIME".encode(), raw)
    assert line is not None
    words = line[1].decode().split()
    assert all(len(word) <= 75 for word in words)
    assert max(map(len, line[0].removesuffix(b"\r\nMIME").split(b"\r\n"))) <= 76
    coded = [re.fullmatch(r"=\?utf-8\?b\?([A-Za-z0-9+/]+=*)\?=", word) for word in words]
    assert "".join(b64decode(m[1]).decode() for m in coded if m) == value


# S2: bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("dot", ["\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\n", "\r\n.\r", "\n..\n"])
def test_s2_end_of_data_in_a_body_ends_nothing(dot: str, end: str) -> None:
    text = f"a{dot}MAIL FROM:<evil@y.test>{end}RCPT TO:<v@y.test>{end}DATA{dot}{end}"
    for html in (None, text):
        raw = WRITER.write(replace(MESSAGE, text=text, html=html), ANN)
        check_one_message(raw)
        assert b"\r\n.\r\n" not in raw  # even before the SMTP layer stuffs dots


@pytest.mark.parametrize("bad", ["a\x00b", "\x0b", "\x0c", "\x1b[2J", "\x7f", "\ud800"])
def test_s2_controls_in_a_body_are_refused_by_field(bad: str) -> None:
    cases = {
        "text": replace(MESSAGE, text=bad),
        "html": replace(MESSAGE, html=bad),
    }
    for field, message in cases.items():
        with pytest.raises(RequestError) as caught:
            WRITER.write(message, ANN)
        assert caught.value.field == field
        with pytest.raises(RequestError) as caught:
            check_body_text(field, bad)
        assert caught.value.field == field


@settings(max_examples=4_000, print_blob=True, deadline=None)
@given(hostile, st.one_of(st.none(), hostile))
def test_s1_s2_no_body_adds_a_header_or_a_message(text: str, html: str | None) -> None:
    message = replace(MESSAGE, text=text, html=html)
    answer = outcome(lambda: WRITER.write(message, ANN))
    bad = [f for f, v in (("text", text), ("html", html)) if v and BODY_BANNED.search(v)]
    if bad:
        assert isinstance(answer, RequestError)
        assert answer.field == bad[0]
        return
    assert isinstance(answer, bytes)
    assert answer.isascii()
    check_one_message(answer)
    read(answer, SINGLE if html is None else MULTIPART)


@settings(max_examples=4_000, print_blob=True, deadline=None)
@given(st.one_of(body_text, calm_text), st.one_of(st.none(), body_text))
def test_s1_s2_bodies_come_back(text: str, html: str | None) -> None:
    raw = WRITER.write(replace(MESSAGE, text=text, html=html), ANN)
    check_one_message(raw)
    assert not re.search(rb"^(From |\.\r)|[ \t]\r\n", raw, re.MULTILINE)
    if html is None:
        parsed = read(raw, SINGLE)
        assert parsed.get_content_type() == "text/plain"
        assert body_of(parsed) == single(text)
        return
    parsed = read(raw, MULTIPART)
    assert parsed.get_content_type() == "multipart/alternative"
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    plain, rich = parts
    assert isinstance(plain, Parsed)
    assert isinstance(rich, Parsed)
    assert [p.get_content_type() for p in (plain, rich)] == ["text/plain", "text/html"]
    assert raw.count(parsed.get_boundary("").encode()) == 4
    assert body_of(plain) == crlf(text)
    assert body_of(rich) == crlf(html)


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
