"""Complaints: feedback reports (RFC 5965), as providers send them when people say `this is spam`.

A report has a part `message/feedback-report` and the message that it is about, or its headers.
Providers blank out addresses, but not the Message-ID, which says whose it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tactful.inbound.dsn import names_in
from tactful.inbound.findings import COMPLAINED, Finding
from tactful.inbound.parts import Part, fields, leaves

_COMPLAINTS: Final = frozenset(("abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"))
"""Not `not-spam`, which takes a complaint back, nor `auth-failure`, which is about the sender."""


def complaints_in(mail: Part, names: Sequence[str] = ()) -> list[Finding]:
    """What a mail complains about; `names` are further ids, as known from its envelope."""
    parts = leaves(mail)
    for part in parts:
        if part.kind != "message/feedback-report":
            continue
        report = fields(part.text)
        kind = report.get("feedback-type", "").strip().lower()
        if kind not in _COMPLAINTS:
            return []
        known = tuple(dict.fromkeys([*names, *names_in(mail, parts)]))
        address = report.get("original-rcpt-to", "").strip(" <>")[:320]
        return [Finding(COMPLAINED, address, known, diagnostic=kind)]
    return []
