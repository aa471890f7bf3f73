"""What a report says, in one shape; and whether a failure is for good.

A failure is `hard` only where it says that nobody is there (`core.statuses`), be it by its status
or, where that is vague, by the words of the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tactful.core.statuses import NOBODY

BOUNCED: Final = "bounced"
DELIVERED: Final = "delivered"
COMPLAINED: Final = "complained"

_VAGUE: Final = frozenset(("", "5", "5.0.0", "5.2.0", "5.3.0", "5.4.0", "5.5.0", "5.7.0"))
"""What says nothing about whose fault it is; then the words of the server have to."""

_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\d|\.\d)")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)(?=[ -])")
_GONE = re.compile(
    r"user (?:is )?(?:unknown|not found)|unknown (?:user|recipient|local|mailbox|address)"
    r"|no (?:such|mailbox by that|user by that|mailbox here)|does ?n[o']t exist|does not have an"
    r"|(?:account|mailbox|recipient|address|domain) (?:is |has been )?(?:unknown|not found|invalid"
    r"|disabled|deactivated|closed|inactive|suspended|expired)"
    r"|invalid (?:recipient|mailbox|address)"
    r"|host (?:or domain name )?not found|no longer (?:exists|valid|active|in use)"
    r"|isn'?t a valid|not a valid (?:recipient|mailbox|address)|unrouteable address",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a report says about one message.

    `kind` is bounced, delivered or complained. `names` are what may be ids of deliveries: the left
    sides of Message-IDs, the envelope's id, the end of the address that it came to. `status` is
    such as `5.1.1`; `hard` says that the address is no good.
    """

    kind: str
    address: str = ""
    names: tuple[str, ...] = ()
    status: str = ""
    hard: bool = False
    diagnostic: str = ""


def status_in(text: str) -> str:
    """The status that a text holds, also in place of a bare reply of SMTP; or nothing."""
    found = _STATUS.search(text)
    if found is not None:
        return ".".join(str(int(number)) for number in found.groups())
    reply = _REPLY.search(text)
    return f"{reply[1][0]}.0.0" if reply is not None else ""


def is_hard(status: str, diagnostic: str) -> bool:
    """Whether a failure says that there is nobody at this address."""
    if status in NOBODY:
        return True
    return status in _VAGUE and bool(_GONE.search(diagnostic[:2_000]))
