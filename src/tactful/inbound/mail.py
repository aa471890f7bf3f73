"""A mail to the bounce address becomes reports.

Which delivery it is about is told by the Message-ID of the message that it brings back, which
Tactful wrote: `<DELIVERY@domain>`. Failing that, by the id that the envelope had, or by the address
that it came to, where each message has a return address of its own (VERP): `bounces+DELIVERY@...`.

Anybody can send a mail that looks like a bounce. What it is believed about is a delivery whose id
it knows, which holds 62 random bits; and nothing but this delivery's own address pays for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report
from tactful.inbound.arf import complaints_in
from tactful.inbound.dsn import bounces_in
from tactful.inbound.findings import BOUNCED, Finding
from tactful.inbound.parts import SIZE_MAX, read_mail

SOURCE = "mail"


def reports_in(raw: bytes, recipients: Sequence[str] = ()) -> list[Report]:
    """What a mail reports, if it is a bounce or a complaint; `recipients` are the envelope's."""
    mail = read_mail(raw)
    names = [tail for one in recipients if (tail := verp_tail(one))]
    findings = complaints_in(mail, names) or bounces_in(mail, names)
    own = mail.headers.get("message-id", "").encode() or raw[:SIZE_MAX]
    key = hashlib.sha256(own).hexdigest()[:32]
    return [report_of(finding, SOURCE, f"{key}.{n}") for n, finding in enumerate(findings)]


def verp_tail(address: str) -> str:
    """What stands behind the first `+` of an address, before its `@`; or nothing."""
    return address.rpartition("@")[0].partition("+")[2]


def report_of(finding: Finding, source: str, key: str) -> Report:
    """A finding for the engine; `key` tells it from all others of its source."""
    data = {"status": finding.status, "reason": finding.diagnostic}
    if finding.kind == BOUNCED:
        data[BOUNCE] = HARD if finding.hard else SOFT
    return Report(source, key, finding.kind, finding.address, finding.names, data=data)
