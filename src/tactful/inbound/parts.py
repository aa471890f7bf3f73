"""A mail from anywhere, taken apart as far as a report needs it.

Whoever sends to a bounce address chooses every byte. The parser of the standard library follows
every nesting, and takes time that grows faster than the mail. This one looks at the first
`SIZE_MAX` bytes, goes `DEPTH_MAX` levels down and takes `PARTS_MAX` parts; what is malformed is
read as far as it makes sense (RFC 5322, 2045, 2046), and nothing is ever raised.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SIZE_MAX: Final = 1_048_576
HEAD_MAX: Final = 65_536
DEPTH_MAX: Final = 5
PARTS_MAX: Final = 50

_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)")
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9-]{1,40})[ \t]*=[ \t]*(?:"([^"]*)"|([^\s;"]+))')
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True)
class Part:
    """A mail, or one part of it: its headers, names in lower case, the first of each; its body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The media type, such as `text/plain`, which is also what it is without one."""
        return self.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str:
        """A parameter of the media type, or nothing."""
        found = _PARAMETER.findall(self.headers.get("content-type", "")[:2_000])
        return next((a or b for key, a, b in found if key.lower() == name), "")

    @property
    def text(self) -> str:
        """The body without its transfer encoding, with LF between the lines."""
        how = self.headers.get("content-transfer-encoding", "").strip().lower()
        data = self.body
        if how == "base64":
            digits = _NOT_BASE64.sub(b"", data)
            try:
                data = a2b_base64(digits[: len(digits) // 4 * 4])
            except Error:
                data = b""
        elif how == "quoted-printable":
            data = a2b_qp(data)
        return _lines(data).decode("utf-8", "replace")


def read_mail(raw: bytes) -> Part:
    """The mail that these bytes are."""
    return _part(_lines(raw[:SIZE_MAX]))


def leaves(mail: Part) -> list[Part]:
    """The parts of a mail that are no multiparts themselves, in their order."""
    found: list[Part] = []
    _walk(mail, 0, found)
    return found


def fields(text: str) -> dict[str, str]:
    """The fields of a header block, as in a mail or a report; the first of each name."""
    found: dict[str, str] = {}
    name = ""
    for line in text[:HEAD_MAX].split("\n"):
        if line[:1] in (" ", "\t") and name:
            if len(found[name]) < HEAD_MAX:
                found[name] += " " + line.strip()
            continue
        match = _FIELD.fullmatch(line)
        name = match[1].lower() if match is not None else ""
        if match is not None:
            if name in found:
                name = ""
            else:
                found[name] = match[2].strip()
    return found


def _lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _part(data: bytes) -> Part:
    """A header block, a blank line and the rest; no header block is one without headers."""
    if data.startswith(b"\n"):
        return Part({}, data[1:])
    head, _, body = data.partition(b"\n\n")
    return Part(fields(head[:HEAD_MAX].decode("utf-8", "replace")), body)


def _walk(part: Part, depth: int, found: list[Part]) -> None:
    boundary = part.parameter("boundary") if part.kind.startswith("multipart/") else ""
    if not boundary or depth >= DEPTH_MAX:
        found.append(part)
        return
    for inner in _split(part.body, boundary.encode("utf-8", "replace")):
        if len(found) >= PARTS_MAX:
            return
        _walk(_part(inner), depth + 1, found)


def _split(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the delimiter lines of a multipart; the last one may be missing."""
    pieces = (b"\n" + body).split(b"\n--" + boundary)[1 : PARTS_MAX + 1]
    whole: bytes | None = None
    for piece in pieces:
        mark, _, rest = piece.partition(b"\n")
        if mark.strip() not in (b"", b"--"):  # a longer boundary that begins as this one
            whole = None if whole is None else whole + b"\n--" + boundary + piece
            continue
        if whole is not None:
            yield whole
        whole = rest
        if mark.strip() == b"--":
            return
    if whole is not None:
        yield whole
