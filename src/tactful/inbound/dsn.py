"""Bounces: delivery status notifications (RFC 3464), and what is sent in their place.

Most servers send a `multipart/report` with a `message/delivery-status` in it, and the headers of
the message that did not arrive. Exim and qmail write it in plain text: a bounce of Exim has a
header `X-Failed-Recipients`, one of qmail begins with `Hi. This is the qmail-send program`, and
both end with a copy of the message.

Replies of people and of their out-of-office programs, and receipts for reading (RFC 8098), have
none of these and are no bounces. A note that a message is delayed is none, either: it is still
being tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tactful.inbound.findings import BOUNCED, DELIVERED, Finding, is_hard, status_in
from tactful.inbound.parts import Part, fields, leaves

RECIPIENTS_MAX: Final = 50
DIAGNOSTIC_MAX: Final = 500

_STATUS_PARTS: Final = ("message/delivery-status", "message/global-delivery-status")
_ORIGINALS: Final = frozenset(
    (
        *("message/rfc822", "message/global", "message/partial", "text/rfc822-headers"),
        *("message/rfc822-headers", "message/global-headers"),
    )
)
_KINDS: Final = {"failed": BOUNCED, "delivered": DELIVERED}
_QMAIL = re.compile(r"^Hi\. This is the \S{1,40} program at ", re.MULTILINE)
_QMAIL_RECIPIENT = re.compile(r"^<([^<>\s]{3,320})>:[ \t]*\n((?:[^\n]+\n?){1,20})", re.MULTILINE)
_EXIM = re.compile(r"^-{4,} This is a copy of ", re.MULTILINE)
_QMAIL_COPY = re.compile(r"^--- (?:Below this line|Enclosed) ", re.MULTILINE)
_MESSAGE_ID = re.compile(
    r"^[> \t]{0,8}message-id:[ \t]{0,8}\n?[ \t]{0,8}<([^<>@\s]{1,250})@", re.I | re.M
)
_ANY_ID = re.compile(r"<([^<>@\s]{1,250})@[^<>@\s]{1,250}>")


def bounces_in(mail: Part, names: Sequence[str] = ()) -> list[Finding]:
    """What a mail says about deliveries, one finding for each recipient that it names.

    `names` are further ids that it may be about, as known from its envelope.
    """
    parts = leaves(mail)
    known = [*names, *names_in(mail, parts)]
    groups: list[dict[str, str]] = []
    for part in parts:
        if part.kind in _STATUS_PARTS:
            groups += _groups(part.text)
    if groups:
        return _reported(groups, known)[:RECIPIENTS_MAX]
    text = next((part.text for part in parts if part.kind.startswith("text/plain")), "")
    failed = mail.headers.get("x-failed-recipients", "")
    if failed:
        return _told(failed.partition(",")[0].strip(), _EXIM.split(text)[0], known)
    if _QMAIL.search(text[:2_000]):
        own = _QMAIL_COPY.split(text)[0]
        found = _QMAIL_RECIPIENT.findall(own)[:RECIPIENTS_MAX]
        return [one for address, why in found for one in _told(address, why, known)]
    return []


def names_in(mail: Part, parts: Sequence[Part]) -> list[str]:
    """What may be the id of a delivery: the left side of every Message-ID that it is about."""
    found: dict[str, None] = {}
    for part in parts:
        if part.kind in _ORIGINALS:
            head = fields(part.text.lstrip("\n").partition("\n\n")[0])
            found |= dict.fromkeys(_ANY_ID.findall(head.get("message-id", "")[:1_000]))
        elif part.kind.startswith("text/"):
            found |= dict.fromkeys(_MESSAGE_ID.findall(part.text)[:5])
    for header in ("in-reply-to", "references"):
        found |= dict.fromkeys(_ANY_ID.findall(mail.headers.get(header, "")[:4_000])[-5:])
    return list(found)[:20]


def _groups(text: str) -> list[dict[str, str]]:
    """The groups of fields: the first is about the message, each further one about a recipient."""
    blocks = re.split(r"\n[ \t]*\n", text.strip("\n"))[: RECIPIENTS_MAX + 1]
    return [found for block in blocks if (found := fields(block))]


def _reported(groups: Sequence[dict[str, str]], names: Sequence[str]) -> list[Finding]:
    # Some put everything into one group.
    about = next((g for g in groups if "final-recipient" not in g and "action" not in g), {})
    envelope = groups[0].get("original-envelope-id", about.get("original-envelope-id", ""))
    known = tuple(dict.fromkeys([*names, *filter(None, (envelope.strip()[:250],))]))
    found = []
    for group in groups:
        recipient = group.get("original-recipient") or group.get("final-recipient") or ""
        if not recipient and "action" not in group and "status" not in group:
            continue
        diagnostic = group.get("diagnostic-code", "")[:DIAGNOSTIC_MAX]
        status = status_in(group.get("status", "")[:100]) or status_in(diagnostic)
        said = re.split(r"[\s(;]", group.get("action", "").strip().lower(), maxsplit=1)[0]
        # Without an action, the status has to say that it is over.
        kind = _KINDS.get(said or ("failed" if status.startswith("5") else ""))
        if kind is None:
            continue
        address = recipient.rpartition(";")[2].strip(" <>")[:320]
        own = _sharper(status, diagnostic)
        hard = kind == BOUNCED and is_hard(own, diagnostic)
        found.append(Finding(kind, address, known, own, hard, diagnostic))
    return found


def _told(address: str, why: str, names: Sequence[str]) -> list[Finding]:
    """A bounce in plain text."""
    text = " ".join(why.split())
    status = status_in(text)
    # What says nothing of a status has given up all the same.
    shown = text[-DIAGNOSTIC_MAX:]
    hard = is_hard(status or "5.0.0", text)
    return [Finding(BOUNCED, address[:320], tuple(names), status or "5.0.0", hard, shown)]


def _sharper(status: str, diagnostic: str) -> str:
    """The status of the server that refused, where the one who reports it says less."""
    if status in ("5.0.0", ""):
        return status_in(diagnostic) or status
    return status
