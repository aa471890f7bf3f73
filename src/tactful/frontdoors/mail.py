"""A mail that somebody submits, read into the fields of a notification.

Whoever writes a mail may be hostile, or hand on what somebody hostile wrote. So nothing is repaired
and nothing is guessed: a mail says each thing once, in a character set that is known, in lines that
end in CRLF, or it is refused with the reason. What is read is text; the engine checks it as it
checks all text and writes a mail of its own from it, so that no byte of the header goes further.

Taken are the subject, one part `text/plain`, one part `text/html`, and the headers `X-Tactful-*`.
Everything else in the header is left behind: the sender is the one that is configured.

The parser is the standard library's in its old mode, which interprets no header. It works on the
nesting with recursion, and looks at each line once for each level, so levels are counted before.
"""

from __future__ import annotations

import codecs
import re
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, Final

from tactful.core.errors import RequestError

HEADER_MAX: Final = 65_536
PARTS_MAX: Final = 10
HEADERS: Final = {
    "x-tactful-type": "type",
    "x-tactful-priority": "priority",
    "x-tactful-collapse-key": "collapse_key",
    "x-tactful-idempotency-key": "idempotency_key",
}
"""The headers that are meant for Tactful, and the fields that they fill."""

_NESTING = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_WORD = re.compile(
    r"=\?(?P<charset>[\w!#$%&'+.-]{1,40})(?:\*[\w-]*)?\?(?P<form>[bqBQ])\?(?P<octets>[!->@-~]*)\?=",
    re.ASCII,
)
_BETWEEN_WORDS = re.compile(r"\?=\s+=\?")
# Python knows codecs that take quadratic time, and some that are no character sets at all.
_CHARSETS = re.compile(
    r"utf-8(?:-sig)?|utf-16(?:-[bl]e)?|ascii|mac-roman|iso8859-\d+|cp\d+|koi8-[rut]|gb2312|gbk|gb18030|hz|big5(?:hkscs)?"
    r"|euc_(?:jp|kr|jis_2004)|shift_jis(?:_2004)?|iso2022_(?:jp|kr)(?:_\d)?|johab|tis-620"
)


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says; `asked` are the fields that its headers fill."""

    subject: str
    text: str
    html: str | None
    asked: dict[str, str]


def read_mail(content: bytes) -> Mail:
    """Read one mail as DATA brought it, without the dots; raises RequestError."""
    bare = _BARE.search(content)
    if bare:
        raise RequestError("mail", bare[0], "must end its lines with CRLF, and with nothing else")
    end = 0 if content.startswith(b"\r\n") else content.find(b"\r\n\r\n")
    if (size := len(content) if end < 0 else end) > HEADER_MAX:
        raise RequestError("header", size, f"must have at most {HEADER_MAX} octets")
    levels = len(_NESTING.findall(content))
    if levels > PARTS_MAX:
        raise RequestError("mail", levels, f"must have at most {PARTS_MAX} compound parts")
    message = BytesParser(policy=compat32).parsebytes(content)
    text, html = _words(message)
    return Mail(_once(message, "Subject") or "", text or "", html, _asked(message))


def _asked(message: Message[Any, Any]) -> dict[str, str]:
    """The fields that headers fill; those of this name that are unknown are misspelt."""
    found = {}
    for name in {name.lower() for name in message if name.lower().startswith("x-tactful-")}:
        if name not in HEADERS:
            raise RequestError(name, "", f"is no header here: {', '.join(sorted(HEADERS))}")
        value = _once(message, name)
        if not value:
            raise RequestError(name, "", "must not be empty")
        found[HEADERS[name]] = value
    return found


def _once(message: Message[Any, Any], name: str) -> str | None:
    """The text of a header that may be there once; folding is a blank."""
    given = [value for found, value in message.raw_items() if found.lower() == name.lower()]
    if len(given) > 1:
        raise RequestError(name, len(given), "must be given once")
    return _decoded(str(given[0]), name) if given else None


def _decoded(raw: str, name: str) -> str:
    """A header's text with its encoded words (RFC 2047) read.

    Words that follow each other are read as one, because senders cut them inside of characters.
    """
    unfolded = _BETWEEN_WORDS.sub("?==?", re.sub(r"\r\n(?=[ \t])", "", raw).strip())
    pieces: list[tuple[str | None, bytes]] = []
    at = 0
    for word in _WORD.finditer(unfolded):
        if word.start() > at:
            pieces.append((None, unfolded[at : word.start()].encode("ascii", "surrogateescape")))
        charset, octets = word["charset"].lower(), _unwrapped(word["form"], word["octets"], name)
        if pieces and pieces[-1][0] == charset and at == word.start():
            octets = pieces.pop()[1] + octets
        pieces.append((charset, octets))
        at = word.end()
    pieces.append((None, unfolded[at:].encode("ascii", "surrogateescape")))
    return "".join(_text(octets, charset, name) for charset, octets in pieces)


def _unwrapped(form: str, octets: str, name: str) -> bytes:
    try:
        if form in "qQ":
            return a2b_qp(octets, header=True)
        return a2b_base64(octets + "=" * (-len(octets) % 4), strict_mode=True)
    except ValueError:
        raise RequestError(name, octets, "has an encoded word that cannot be read") from None


def _text(octets: bytes, charset: str | None, field: str) -> str:
    """Octets as text: by their character set, by UTF-8 where that does not fit, or not at all."""
    try:
        known = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        known = ""
    if not _CHARSETS.fullmatch(known):
        raise RequestError(field, charset, "is in a character set that is not known here")
    for name in (known, "utf-8"):
        try:
            return octets.decode(name)
        except UnicodeError:
            continue
    raise RequestError(field, charset, "does not fit its character set, nor UTF-8")


def _words(message: Message[Any, Any]) -> tuple[str | None, str | None]:
    """The text and the HTML of a mail, each at most once, and nothing else in it."""
    found: dict[str, str] = {}
    for number, part in enumerate(_leaves(message), 1):
        kind = part.get_content_type()
        where = f"part {number}"
        if part.get_content_disposition() == "attachment" or part.get_filename():
            raise RequestError("attachments", where, "are not taken: send text and HTML only")
        if kind.startswith("multipart/"):
            raise RequestError("mail", where, "must have the parts and the boundary it speaks of")
        if kind not in ("text/plain", "text/html"):
            raise RequestError("attachments", f"{where} is {kind}"[:100], "are not taken yet")
        if kind in found:
            raise RequestError(kind, where, "must be given once")
        octets = part.get_payload(decode=True)
        charset = part.get_param("charset")
        given = charset if isinstance(charset, str) else None
        text = _text(octets if isinstance(octets, bytes) else b"", given, kind)
        found[kind] = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return found.get("text/plain"), found.get("text/html")


def _leaves(message: Message[Any, Any]) -> Iterator[Message[Any, Any]]:
    """The parts that hold something; a mail within a mail is an attachment."""
    if message.get_content_maintype() == "message":
        raise RequestError("attachments", message.get_content_type(), "are not taken yet")
    if not message.is_multipart():
        yield message
        return
    parts = message.get_payload()
    assert isinstance(parts, list), "it is multipart"
    if len(parts) > PARTS_MAX:
        raise RequestError("mail", len(parts), f"must have at most {PARTS_MAX} parts")
    for part in parts:
        assert isinstance(part, Message), "so are all of its parts"
        yield from _leaves(part)
