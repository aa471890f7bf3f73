"""What a server's reply means for the message it answers: a pure mapping.

RFC 5321 section 4.2.1 gives the first digit its meaning; RFC 3463 adds enhanced codes. The reply
code decides, the enhanced code only tells apart what the code leaves open.

| reply                                     | at                         | outcome               |
|-------------------------------------------|----------------------------|-----------------------|
| 2yz                                       | dot                        | Accepted, ref = text  |
| 2yz; 354                                  | before the dot; DATA       | go on (None)          |
| 421                                       | anywhere                   | Retry, not counted    |
| 4yz                                       | MAIL, RCPT, DATA, dot      | Retry                 |
| 4yz                                       | greeting, EHLO, TLS, AUTH  | Retry, not counted    |
| 5yz                                       | greeting, EHLO, TLS, AUTH  | Retry, not counted, + |
| 530 534 535 538, 5.7.8 5.7.9 5.7.11       | anywhere                   | Retry, not counted, + |
| 500 502 503                               | MAIL, DATA                 | Retry, not counted, + |
| 555, 5.1.7 5.1.8                          | MAIL                       | Retry, not counted, + |
| 5yz otherwise (also 552, too big)         | MAIL, RCPT, DATA, dot      | Rejected              |
| anything else                             | before the dot             | Retry                 |
| anything else                             | dot                        | Unknown               |

The rows marked + ask for a wait of a minute. They are refusals of us, not of the message: the
account, the session or our own sender address is set up wrongly. Whoever repairs that must still
find the message there, so it is neither lost nor does it use up a try.

A refusal may say something about the address as well (`bounce`). Only an enhanced code says that
nobody is there: a bare 550 may mean that, or a mailbox without access, or a server's policy
(RFC 5321 section 4.2.3), and so counts as one that did not work this time. What a server dislikes
about us it says to every recipient alike. That must not be held against any of them, or a relay
that is set up wrongly would empty the address book.

A connection that ends without a reply is judged by how far the message had come (`lost`).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from tactful.core.model import Accepted, Millis, Outcome, Rejected, Retry, Unknown
from tactful.core.statuses import HARD, NOBODY, SOFT

MISCONFIGURED_WAIT_MS: Final[Millis] = 60_000
"""How long to leave a server alone that refuses our account or our session."""

_SHOWN = 200
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")

_ABOUT_US = frozenset({530, 534, 535, 538})
_ABOUT_US_ENHANCED = frozenset({"5.7.8", "5.7.9", "5.7.11"})
_ABOUT_SESSION = frozenset({500, 502, 503})
_ABOUT_SENDER_ENHANCED = frozenset({"5.1.7", "5.1.8"})

_OTHER_ADDRESS = "5.1.0"
_ABOUT_MAILBOX = re.compile(r"5\.(?:1\.0|2\.\d+)")
_ABOUT_MAILBOX_BARE = frozenset({550, 551, 552, 553})
_BLAMES_US = re.compile(r"\b(?:sender|relay)", re.IGNORECASE)


class Stage(StrEnum):
    """What a reply answers; the text is how it is named in an outcome."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "end of data"


_QUOTING: Final = tuple(f"{stage}: " for stage in Stage)

SESSION_STAGES: Final = frozenset({Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})
"""The stages before any message: what fails there says nothing about one."""


class Progress(StrEnum):
    """How far a message had come when its connection ended."""

    WAITING = "waiting"
    STARTED = "started"
    HANDED = "handed"


class Reply(NamedTuple):
    """One reply: its code and the text of its lines, without the codes."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole text on one line: printable, and at most 200 characters."""
        joined = " ".join(self.lines)
        if not joined.isprintable():
            joined = "".join(c if c.isprintable() else "?" for c in joined)
        joined = joined.strip()
        return joined if len(joined) <= _SHOWN else joined[: _SHOWN - 3] + "..."

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code of RFC 3463 (`5.1.1`), where the first line starts with one."""
        found = _ENHANCED.match(self.lines[0])
        return found.group(1) if found else None


def outcome(stage: Stage, reply: Reply) -> Outcome | None:
    """What `reply` at `stage` means for the message; None where the dialogue just goes on.

    Total: every code from 0 to 999 has an answer. The text of a reply to AUTH is left out, since
    a server may echo there what it was given.
    """
    kind = reply.code // 100
    found: Outcome
    if kind == 2 and stage is Stage.DOT:
        return Accepted(ref=Reply(reply.code, reply.lines[:1]).text or None)
    if (reply.code == 354) if stage is Stage.DATA else (kind == 2):
        return None
    counted = stage not in SESSION_STAGES and reply.code != 421
    if kind == 4:
        found = Retry(_why(stage, reply), counted=counted)
    elif kind == 5 and is_about_us(stage, reply):
        found = Retry(_why(stage, reply), after_ms=MISCONFIGURED_WAIT_MS, counted=False)
    elif kind == 5:
        found = Rejected(_why(stage, reply), bounce(stage, reply), reply.enhanced or "")
    elif stage is Stage.DOT:
        found = Unknown(_why(stage, reply, "makes no sense here"))
    else:
        found = Retry(_why(stage, reply, "makes no sense here"), counted=counted)
    return found


def is_about_us(stage: Stage, reply: Reply) -> bool:
    """True where a 5yz reply refuses the account, the session or our sender, not the message."""
    if stage in SESSION_STAGES or reply.code in _ABOUT_US:
        return True
    if reply.code in _ABOUT_SESSION and stage in {Stage.MAIL, Stage.DATA}:
        return True
    enhanced = reply.enhanced
    if stage is Stage.MAIL and (reply.code == 555 or enhanced in _ABOUT_SENDER_ENHANCED):
        return True
    return enhanced in _ABOUT_US_ENHANCED


def bounce(stage: Stage, reply: Reply) -> str:
    """What a 5yz reply says about the address of the recipient: hard, soft or nothing.

    A transaction has one recipient, so a server may also say at its end that nobody is there. Some
    put off to RCPT what they have against the sender; then 5.1.0 is as vague as no code at all.
    """
    if stage not in {Stage.RCPT, Stage.DATA, Stage.DOT} or _BLAMES_US.search(reply.text):
        return ""
    enhanced = reply.enhanced
    if enhanced is None:
        return SOFT if stage is Stage.RCPT and reply.code in _ABOUT_MAILBOX_BARE else ""
    if enhanced in NOBODY and enhanced != _OTHER_ADDRESS:
        return HARD
    return SOFT if _ABOUT_MAILBOX.fullmatch(enhanced) else ""


def ends_connection(stage: Stage, reply: Reply) -> bool:
    """True where nothing more can be said on the connection after this reply.

    That is after 421 (RFC 5321 section 3.8) and after a reply that cannot belong to its command:
    then nobody knows which command the next reply would answer.
    """
    kind = reply.code // 100
    if reply.code == 421 or kind not in {2, 3, 4, 5}:
        return True
    if kind == 3:
        return not (stage is Stage.DATA and reply.code == 354)
    return kind == 2 and stage is Stage.DATA


def lost(progress: Progress, why: str) -> Outcome:
    """What the end of a connection without a reply means for a message that had come this far.

    One that waited was not touched and loses no try. One whose envelope was under way surely did
    not arrive, but may be what the server fell over, so it is counted. One whose end of data was
    handed to the socket may have arrived.
    """
    if progress is Progress.WAITING:
        return Retry(f"not begun: {why}", counted=False)
    if progress is Progress.STARTED:
        return Retry(why)
    return Unknown(f"no answer to the end of data: {why}")


def served(outcome: Outcome) -> bool | None:
    """Whether the server did its part, going by one outcome; None where that cannot be told.

    A rejection is about the message, and so is a 4yz reply to it. Only those begin with the name
    of a stage: any other retry is counted because the connection ended under the message.
    """
    match outcome:
        case Accepted():
            return True
        case Rejected():
            return None
        case Retry(why=why, counted=True) if why.startswith(_QUOTING):
            return None
    return False


def _why(stage: Stage, reply: Reply, remark: str = "") -> str:
    if stage is Stage.AUTH:
        shown = f"{stage}: {reply.code} {reply.enhanced or ''}"
    else:
        shown = f"{stage}: {reply.code} {reply.text}"
    return f"{shown.rstrip()} ({remark})" if remark else shown.rstrip()
