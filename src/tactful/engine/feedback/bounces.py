"""What bounces and complaints mean for an address: from when on nobody writes to it.

* A hard bounce says that nobody is there: the address is suppressed for everything.
* A soft bounce says that it did not work this time. `soft_bounces` of them, of different
  deliveries, within `soft_window_ms`: the address is suppressed for everything, too.
* A complaint says that the person does not want this. The address is suppressed for everything but
  mandatory types, as if the person had muted all.

An address is suppressed for the channel over which it was written to, and so for everybody who has
it. What counts against an address that is not yet suppressed stands on the suppression list as
well, as a mark under a scope that no category can have: taking the address off the list takes the
marks with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tactful.core.model import DAY, Event, Millis
from tactful.core.names import recipient_key
from tactful.core.statuses import HARD, SOFT
from tactful.engine.people import BUT_MANDATORY, MARKS
from tactful.engine.settings import Tolerance
from tactful.ports import Delivery, Suppression, Tx

BOUNCE: Final = "bounce"
"""What says in the data of a `bounced` fact which it is: `hard` or `soft`."""

REASON_MAX: Final = 200


def consequences(
    tx: Tx,
    delivery: Delivery,
    fact: tuple[str, Mapping[str, Any]],
    now: Millis,
    tolerance: Tolerance,
) -> list[Event]:
    """What a bounce or complaint about a delivery does to its address; gives what to record."""
    name, data = fact
    address = recipient_key(delivery.address) if delivery.address else ""
    if not address:
        return []
    known = [s for s in tx.suppressions([address]) if s.channel == delivery.channel]
    scope, reason = "all", ""
    if name == "complained":
        scope, reason = BUT_MANDATORY, "complaint"
    elif data.get(BOUNCE) == HARD:
        reason = " ".join(filter(None, ("hard bounce", str(data.get("status", "")))))
    elif data.get(BOUNCE) == SOFT:
        marks = _marked(tx, delivery, known, now, tolerance)
        if len(marks) >= tolerance.soft_bounces:
            reason = f"{len(marks)} soft bounces in {_span(tolerance.soft_window_ms)}"
    if not reason or any(one.scope in ("all", scope) for one in known):
        return []
    tx.suppress(Suppression(delivery.channel, address, scope, reason[:REASON_MAX], now))
    facts = {
        "channel": delivery.channel,
        "address": delivery.address,
        "scope": scope,
        "reason": reason[:REASON_MAX],
    }
    return [Event("address.suppressed", delivery.id, now, data=facts)]


def _marked(
    tx: Tx, delivery: Delivery, known: list[Suppression], now: Millis, tolerance: Tolerance
) -> Mapping[str, Millis]:
    """Note one soft bounce; gives those that count, with their instants, by delivery."""
    before = next((one.reason for one in known if one.scope == MARKS), "{}")
    since = now - tolerance.soft_window_ms
    marks: dict[str, Millis] = {key: at for key, at in json.loads(before).items() if at > since}
    marks.setdefault(delivery.id, now)
    text = json.dumps(marks, separators=(",", ":"))
    tx.suppress(Suppression(delivery.channel, recipient_key(delivery.address), MARKS, text, now))
    return marks


def _span(span_ms: Millis) -> str:
    if span_ms % DAY == 0:
        days = span_ms // DAY
        return f"{days} day{'' if days == 1 else 's'}"
    return f"{span_ms // 1000} s"
