"""Hostile text in every field of an e-mail: it adds no header and no message, or is refused."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from email.message import Message as Parsed
from email.utils import parseaddr

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
    crlf,
    decoded,
    name_in,
    read,
    single,
    unfold,
)

from often import CHECKED, often
from tactful.channels.address import CONTROLS
from tactful.channels.mime import (
    MailWriter,
    check_body_text,
    check_header_name,
    check_header_text,
)
from tactful.core.errors import RequestError

BODY_BANNED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# Receivers ---------------------------------------------------------------------------------------


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


one_header = given(st.sampled_from(["subject", "name", "header X-Note"]), hostile, st.booleans())


@settings(CHECKED, max_examples=500)
@one_header
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


test_s1_no_header_text_adds_a_header_often = often(
    test_s1_no_header_text_adds_a_header, one_header, 5_000
)


all_headers = given(header_text, header_text, header_text, st.one_of(header_text, calm_text))


@settings(CHECKED, max_examples=150)
@all_headers
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


test_s1_all_header_fields_come_back_together_often = often(
    test_s1_all_header_fields_come_back_together, all_headers, 1_500
)


@settings(CHECKED, max_examples=500)
@given(st.one_of(hostile, st.text("AbZ-:\r\n \t!~09_", max_size=70)), header_text)
def test_s1_header_names_are_tokens_or_refused(name: str, value: str) -> None:
    answer = outcome(lambda: WRITER.write(replace(MESSAGE, headers=((name, value),)), ANN))
    if isinstance(answer, RequestError):
        assert answer.field in ("header name", f"header {name}")
    else:
        assert re.fullmatch(r"[!-9;-~]{1,64}", name)
        parsed = read(answer, [*FIRST, name, *SINGLE[5:]])
        assert decoded(parsed[name]) == value


@settings(CHECKED, max_examples=1_000)
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


any_bodies = given(hostile, st.one_of(st.none(), hostile))


@settings(CHECKED, max_examples=400)
@any_bodies
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


test_s1_s2_no_body_adds_a_header_or_a_message_often = often(
    test_s1_s2_no_body_adds_a_header_or_a_message, any_bodies, 4_000
)


good_bodies = given(st.one_of(body_text, calm_text), st.one_of(st.none(), body_text))


@settings(CHECKED, max_examples=400)
@good_bodies
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


test_s1_s2_bodies_come_back_often = often(test_s1_s2_bodies_come_back, good_bodies, 4_000)
