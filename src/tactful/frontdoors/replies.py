"""From a mail to submissions, and from receipts to one line of SMTP."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tactful.core.errors import RequestError
from tactful.core.model import SECOND, Millis
from tactful.engine.requests import KEY_MAX, Receipt, Submission
from tactful.engine.zones import iso
from tactful.frontdoors.mail import Mail

LINE_MAX: Final = 480
"""Characters of a reply; the 512 octets of RFC 5321 section 4.5.3.1.5 with some to spare."""


def submissions(mail: Mail, kind: str, addresses: Sequence[str]) -> list[Submission]:
    """One submission for each recipient; raises RequestError.

    An idempotency key is for a recipient of the mail: who hands in the same mail once more, for
    fewer of them, gets the first answers again.
    """
    asked = dict(mail.asked)
    key = asked.pop("idempotency_key", None)
    if key is not None and len(key) > KEY_MAX:
        raise RequestError("x-tactful-idempotency-key", key, f"must have at most {KEY_MAX}")
    found: list[Submission] = []
    for address in dict.fromkeys(addresses):
        item: Submission = {
            "type": asked.get("type", kind),
            "to": address,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "priority": asked.get("priority"),
            "collapse_key": asked.get("collapse_key"),
        }
        if key is not None:
            text = f"{key}\0{address.lower()}".encode("utf-8", "backslashreplace")
            item["idempotency_key"] = f"mail:{hashlib.sha256(text).hexdigest()}"
        found.append(item)
    return found


def reply(results: Sequence[Receipt | RequestError], now: Millis) -> str:
    """What the sender of a mail is told; for several recipients, all of it is accepted or none.

    What is wrong with a mail is wrong for everybody; where a rule rejects some, the others are
    stored, and handing the mail in once more would be one too many for them.
    """
    wrong = [found for found in results if isinstance(found, RequestError)]
    every = [
        one for found in results if isinstance(found, Receipt) for one in (found, *found.others)
    ]
    if not every:
        return f"554 5.6.0 {refusal(wrong[0])}"
    if not wrong and all(one.decision == "reject" for one in every):
        return _rejected(every, now)
    if len(results) == len(every) == 1:
        return _line(f"250 2.0.0 {_decided(every[0])}")
    counts = Counter(one.decision for one in every)
    parts = [f"{count} {decision}" for decision, count in counts.items()]
    parts += [f"{len(wrong)} refused"] if wrong else []
    return _line(f"250 2.0.0 {', '.join(parts)}; notification {every[0].notification_id}")


def refusal(error: RequestError) -> str:
    """An error without the value, which may be long or secret."""
    return _line(f"{error.field}: {error.bound}")


def _decided(receipt: Receipt) -> str:
    words = [receipt.decision]
    if receipt.decision != "send":
        if receipt.deliver_at is not None:
            words.append(f"until {iso(receipt.deliver_at)}")
        if receipt.rule is not None:
            words.append(f"by rule {receipt.rule}")
    if receipt.reason is not None:
        words.append(f"({receipt.reason})")
    again = " again" if receipt.replayed else ""
    return f"{' '.join(words)}; delivery {receipt.delivery_id}{again}"


def _rejected(receipts: Sequence[Receipt], now: Millis) -> str:
    """For now if any of them would be let through later, else for good."""
    rule = receipts[0].rule
    if rule is None:
        return "452 4.3.1 too much waits for this recipient already; try again later"
    instants = [one.retry_at for one in receipts if one.retry_at is not None]
    if not instants:
        return _line(f"550 5.7.1 the rule {rule} never lets this through")
    wait_s = -(-max(0, min(instants) - now) // SECOND)
    return _line(f"452 4.7.1 the rule {rule} says no; try again in {wait_s} s")


def _line(text: str) -> str:
    """One line of visible ASCII, whatever names it holds."""
    plain = text.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in plain)[:LINE_MAX]
