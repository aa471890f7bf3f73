"""Mail as bytes: RFC 5322 headers, RFC 2045 parts, RFC 2047 encoded words, written directly.

Why not `email.message`: it decodes encoded words in a subject that a user wrote and puts the line
ends inside them on the wire (CVE-2024-6923, CVE-2026-1299), and it costs a hundred times as much.
Here user text is never read as anything but text, and that holds twice over:

* By construction. Header text goes out raw only where every character is printable ASCII and no
  `=?` is in it; any other text is one or more base64 words, whose alphabet has no line end. Body
  text goes out raw only where it is ASCII in short lines; other text is quoted-printable or base64.
* By proof. `verify` reads the finished bytes as the dumbest receiver would: the names of the header
  block are exactly the planned ones, line ends are CRLF only, nothing is NUL or over-long.
  `MailWriter.write` returns nothing that did not pass.

What a reader gets back is what was given, except that all line ends (CRLF, CR, LF) are CRLF, and
that a message without HTML ends with a line end. No part holds a line of one dot, a line starting
with `From `, blanks before a line end, or `=_`. The last is what every boundary starts with, and
neither base64 nor quoted-printable can produce it, so no boundary can occur in a part.
"""

from __future__ import annotations

import re
import time
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from tactful.channels.address import (
    ATEXT,
    CONTROLS,
    Address,
    parse_domain,
    parse_mailbox,
)
from tactful.core.errors import RequestError, TactfulError
from tactful.core.model import Message, Millis

MAX_LINE: Final = 998
"""Octets in a line without its CRLF; RFC 5322 section 2.1.1."""

_AIM = 76  # what lines are folded to, the most for a line with an encoded word (RFC 2047 section 2)
_MAX_NAME = 64
# The longest run without a blank that may stand raw in a header given by the engine. With the
# longest name before it, it stays under MAX_LINE.
_MAX_WORD = 900
_END_OF_YEARS: Final[Millis] = (
    253_402_300_800_000  # year 10000, for which a Date header has no digits
)

_ATOMS = re.compile(rf"[{ATEXT}]+(?: [{ATEXT}]+)*")
# Folding happens at single blanks only, so that no line can consist of blanks: a reader may take
# such a line for the end of the header block.
_FOLD_AT = re.compile(r"(?<=[!-~]) (?=[!-~])")
_FIELD_NAME = re.compile(rf"[!-9;-~]{{1,{_MAX_NAME}}}")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*")

_STRUCTURAL = frozenset(
    {"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id"}
    | {"mime-version", "return-path", "received", "dkim-signature"}
)
_STRUCTURAL_PREFIXES = ("content-", "resent-")

# C0 but tab, line feed and carriage return; and DEL. C1 and U+2028 are harmless inside of an
# encoded body and do occur, in text that was once read in the wrong character set.
_BODY_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MailError(TactfulError):
    """The bytes of a mail are not what was planned. A defect in Tactful, never a caller's fault.

    The mail must not be sent; no other mail is affected.
    """


class _Body(NamedTuple):
    """The parts of one content, each with its own Content headers, without a final line end."""

    text: bytes
    html: bytes | None


# Admission ------------------------------------------------------------------------------------


def check_header_text(field: str, value: str) -> None:
    """Refuse text that no header may carry: controls, U+2028, U+2029, half surrogates.

    Called at admission for a subject or a name, and again when the header is written.
    Raises `RequestError` naming `field`.
    """
    if CONTROLS.search(value):
        raise RequestError(field, value, "must not hold control characters or line ends")


def check_body_text(field: str, value: str) -> None:
    """Refuse text that no body may carry: controls but tab, LF and CR; and half surrogates.

    Form feed and vertical tab are refused with the rest: they are not text in HTML, and mail
    readers show them as a box, if at all. Raises `RequestError` naming `field`.
    """
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise RequestError(field, value, "must not hold half a surrogate pair") from None
    if len(data.translate(None, _BODY_CONTROLS)) != len(data):
        raise RequestError(field, value, "must not hold control characters but tab and line ends")


def check_header_name(name: str) -> None:
    """Refuse a name for a further header: not RFC 5322 `ftext`, over 64 long, or not free.

    Not free are the headers that make a message what it is (From, Subject, Content-Type ...), that
    name further recipients, or that only servers add. Raises `RequestError` naming `header X`,
    or `header name` where the name cannot be shown as one.
    """
    if not _FIELD_NAME.fullmatch(name):
        bound = f"must be 1 to {_MAX_NAME} printable ASCII characters other than blank and colon"
        raise RequestError("header name", name, bound)
    lower = name.lower()
    if lower in _STRUCTURAL or lower.startswith(_STRUCTURAL_PREFIXES):
        raise RequestError(f"header {name}", name, "is a header that only Tactful may set")


# The writer -----------------------------------------------------------------------------------


class MailWriter:
    """Writes the mails of one sender. Holds no state but a small cache; any thread may use it.

    `sender` and `reply_to` are `address` or `name <address>`. `message_id_domain` is the right
    side of Message-ID, by default the sender's domain. Raises `RequestError` naming the argument.

    The attribute `sender` is the sender's `Address`. A transaction needs SMTPUTF8 (RFC 6531) if
    the attribute `needs_smtputf8` is true, here or of the recipient's address.
    """

    def __init__(
        self,
        sender: str,
        *,
        message_id_domain: str | None = None,
        reply_to: str | None = None,
    ) -> None:
        name, self.sender = parse_mailbox(sender, "sender")
        self._from = _address_header("From", name, self.sender, "sender")
        self._id_domain = (
            self.sender.domain
            if message_id_domain is None
            else parse_domain(message_id_domain, "message_id_domain")
        )
        self._first_names: tuple[str, ...] = ("From", "To", "Subject", "Date", "Message-ID")
        self._reply_to = ""
        self.needs_smtputf8 = self.sender.needs_smtputf8
        if reply_to is not None:
            reply_name, reply_address = parse_mailbox(reply_to, "reply_to")
            self._reply_to = _address_header("Reply-To", reply_name, reply_address, "reply_to")
            self._first_names += ("Reply-To",)
            self.needs_smtputf8 = self.needs_smtputf8 or reply_address.needs_smtputf8
        # A broadcast says the same to everybody, and encoding it is most of the work.
        self._body = lru_cache(maxsize=16)(_encode_body)

    def write(self, message: Message, to: Address) -> bytes:
        """Write the whole mail for one recipient: CRLF line ends, not dot-stuffed, verified.

        Equal messages give equal bytes but for Date, which is `message.at`; Message-ID stays the
        same over all attempts. Only addresses with a non-ASCII local part put octets over 127 in
        (RFC 6532, in From, To and Reply-To).

        Raises `RequestError` naming the field (`subject`, `name`, `text`, `html`, `id`, `at`,
        `header X`) for what admission should have refused, and `MailError` if the result is wrong.
        """
        if not _MESSAGE_ID.fullmatch(message.id) or len(message.id) > 200:
            raise RequestError("id", message.id, "must be letters, digits, _+=- and single dots")
        if not 0 <= message.at < _END_OF_YEARS:
            raise RequestError("at", message.at, "must be an instant from 1970 to 9999")
        body = self._body(message.text, message.html)
        names = self._first_names
        further = ""
        for name, value in message.headers:
            check_header_name(name)
            further += _text_header(name, value, f"header {name}", _MAX_WORD)
            names += (name,)
        head = (
            f"{self._from}"
            f"{_address_header('To', message.name, to, 'name')}"
            f"{_text_header('Subject', message.subject, 'subject', _AIM - 9)}"
            f"Date: {_date(message.at // 1000)}\r\n"
            f"Message-ID: <{message.id}@{self._id_domain}>\r\n"
            f"{self._reply_to}{further}MIME-Version: 1.0\r\n"
        ).encode()
        if body.html is None:
            raw = head + body.text + b"\r\n"
            names += ("MIME-Version", "Content-Type", "Content-Transfer-Encoding")
        else:
            mark = b"=_" + blake2b(message.id.encode(), digest_size=15).hexdigest().encode()
            raw = (
                b'%bContent-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n'
                b"--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n"
            ) % (head, mark, mark, body.text, mark, body.html, mark)
            names += ("MIME-Version", "Content-Type")
        verify(raw, names, utf8_headers=self.needs_smtputf8 or to.needs_smtputf8)
        return raw


def verify(raw: bytes, header_names: Sequence[str], *, utf8_headers: bool = True) -> None:
    """Prove that the bytes are one mail with exactly these headers in this order.

    Raises `MailError` for any other sequence of header names, a line in the header block that is
    no header, CR or LF alone, NUL, a line over 998 octets, a missing body or final line end, and
    octets over 127 in the body, or anywhere with `utf8_headers=False`.
    """
    lines = raw.split(b"\r\n")
    # Without its CRLFs, a CR or LF that is left was alone, also in a row such as CR CR LF LF.
    rest = b"".join(lines)
    if b"\r" in rest or b"\n" in rest or b"\0" in rest:
        raise MailError("a CR or LF alone, or a NUL")
    if max(map(len, lines)) > MAX_LINE:
        raise MailError(f"a line over {MAX_LINE} octets")
    body = lines.index(b"") if lines[-1] == b"" else -1
    if body < 0 or body == len(lines) - 1:
        raise MailError("no body, or no line end after it")
    marks = _marks(tuple(header_names))
    at = 0
    for line in lines[:body]:
        if line.startswith(marks[at]):
            at += 1
        # A continuation made of blanks only is an end of the headers to some receivers.
        elif line[0] not in b" \t" or line.isspace() or at == 0:
            raise MailError(f"header line {line[:80]!r}, next planned was {marks[at]!r}")
    if at != len(marks) - 1:
        raise MailError(f"header {marks[at]!r} is missing")
    if not raw.isascii() and not (utf8_headers and b"".join(lines[body:]).isascii()):
        raise MailError("octets over 127 where only ASCII was planned")


@lru_cache(maxsize=64)
def _marks(header_names: tuple[str, ...]) -> tuple[bytes, ...]:
    """How the header lines start, and after the last one a start that no line can have."""
    return (*(f"{name}:".encode() for name in header_names), b"\r\n")


# Headers --------------------------------------------------------------------------------------


def _text_header(name: str, value: str, field: str, max_word: int) -> str:
    """One unstructured header, folded, with its line end."""
    if not value:
        return f"{name}:\r\n"
    if _is_plain(value):
        if len(name) + len(value) <= _AIM - 2:
            return f"{name}: {value}\r\n"
        words = value.split(" ") if "  " not in value else _FOLD_AT.split(value)
        if max(map(len, words)) <= max_word:
            return _fold(f"{name}:", words)
    check_header_text(field, value)
    return f"{name}:{_encoded_words(value, _AIM - len(name) - 2)}\r\n"


def _is_plain(value: str) -> bool:
    """Whether no reader can take the text for anything but itself: then it may stand raw."""
    return (
        value.isascii()
        and value.isprintable()  # in ASCII: from blank to tilde
        and "=?" not in value
        and value[0] != " "
        and value[-1] != " "
    )


def _fold(line: str, words: Sequence[str]) -> str:
    # The first word stays beside the name, however long: a first line without a value is legal,
    # but old readers drop the header.
    line = f"{line} {words[0]}"
    done = ""
    for word in words[1:]:
        if len(line) + 1 + len(word) > _AIM:
            done += f"{line}\r\n"
            line = ""
        line = f"{line} {word}"
    return f"{done}{line}\r\n"


def _address_header(header: str, name: str | None, address: Address, field: str) -> str:
    """One address header, with its line end."""
    if not name:
        return f"{header}: {address.mailbox}\r\n"
    room = _AIM - len(header) - 2
    raw = len(name) <= room - 4 and _is_plain(name)
    if raw and _ATOMS.fullmatch(name):
        shown = f" {name}"
    elif raw:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        shown = f' "{quoted}"'
    else:
        check_header_text(field, name)
        shown = _encoded_words(name, room)
    last = len(shown) - shown.rfind("\n") + (0 if "\n" in shown else len(header))
    between = " " if last + len(address.mailbox) + 3 <= _AIM else "\r\n "
    return f"{header}:{shown}{between}<{address.mailbox}>\r\n"


def _encoded_words(value: str, room: int) -> str:
    """RFC 2047 words of base64, folded; `room` is what is left of the header's first line.

    Every word holds whole characters, as section 5 (3) asks, and at most 45 octets of them, which
    makes 72 of the 75 characters that a word may have.
    """
    data = value.encode()
    # Four octets, the longest character, are eight characters of base64.
    words = [] if room >= 12 + 8 else [""]
    take = min(45, (room - 12) // 4 * 3) if room >= 12 + 8 else 45
    start = 0
    while start < len(data):
        end = start + take
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        coded = b2a_base64(data[start:end], newline=False).decode()
        words.append(f" =?utf-8?b?{coded}?=")
        start = end
        take = 45
    return "\r\n".join(words)


@lru_cache(maxsize=16)
def _date(seconds: int) -> str:
    """RFC 5322 section 3.3, in UTC."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04d}"
        f" {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} +0000"
    )


# Bodies ---------------------------------------------------------------------------------------


def _encode_body(text: str, html: str | None) -> _Body:
    check_body_text("text", text)
    if html is None:
        if text and not text.endswith(("\n", "\r")):
            text += "\n"
        whole = _part("plain", text)
        # `write` ends the message with CRLF, which here is the last of the text's own.
        return _Body(whole.removesuffix(b"\r\n"), None)
    check_body_text("html", html)
    return _Body(_part("plain", text), _part("html", html))


def _part(subtype: str, text: str) -> bytes:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    encoding, data = _encode_text(text)
    return (
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode() + data


def _encode_text(text: str) -> tuple[str, bytes]:
    """Choose the transfer encoding: raw if nothing speaks against it, else the shorter one."""
    data = text.encode()
    canonical = data.replace(b"\n", b"\r\n")
    if text.isascii() and _is_calm(text):
        return "7bit", canonical
    # Quoted-printable spends three octets on each that it must hide, base64 four on every three.
    hidden = len(data) - len(text.encode("ascii", "ignore")) + data.count(b"=")
    if hidden * 6 <= len(data):
        # Given LF only, b2a_qp writes LF only, soft line ends too; given CRLF it would guess.
        coded = b2a_qp(data, istext=True)
        # It does not hide the F of `From `, and a soft line end can put one at a line's start.
        if b"\nFrom " not in b"\n" + coded:
            return "quoted-printable", coded.replace(b"\n", b"\r\n")
    # In base64 the line ends of text are CRLF too (RFC 2045 section 6.8).
    coded = b2a_base64(canonical, newline=False)
    return "base64", b"\r\n".join(coded[i : i + _AIM] for i in range(0, len(coded), _AIM))


def _is_calm(text: str) -> bool:
    """Whether ASCII text survives every relay as it is, and cannot hold a boundary."""
    framed = f"\n{text}\n"
    return not (
        "=_" in text
        or " \n" in framed
        or "\t\n" in framed
        or "\n.\n" in framed
        or "\nFrom " in framed
        or (len(text) > MAX_LINE and max(map(len, text.split("\n"))) > MAX_LINE)
    )
