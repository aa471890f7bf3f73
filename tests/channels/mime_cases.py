"""What the tests of e-mail as bytes share: a message, its writer, readers of what is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import decode_header
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parseaddr

from tactful.channels.address import parse_email
from tactful.channels.mime import MailWriter
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
