"""The other end: what a mail server took, side by side with the ledger.

A line of its log is a JSON object with `message_id`, `rcpt` (a list of addresses) and `wall_ms` (or
`at`), as `tactful.testing.smtp_sink` writes it. The part of a Message-ID before the @ is the id of
the delivery. The log must be that of the whole time.

Limits hold on the ledger at the instants of the claims. A mail arrives some time later, so two
mails can arrive closer together than they left, by no more than the difference of those times.
Rolling windows that are shorter by the largest such difference must hold at the mail server's
clock, too, whatever that clock shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from tactful.core.errors import RequestError
from tactful.verify.evidence import Evidence
from tactful.verify.fates import may_have_arrived
from tactful.verify.history import INSTANT_MAX, json_lines
from tactful.verify.limits import Terms, Verdict, judge_limits
from tactful.verify.reigns import Handover, Reign

_ARRIVED: Final = frozenset(("sent", "delivered"))


class Arrival(NamedTuple):
    """One message that the server took, for one address."""

    at: int
    message: str
    address: str


@dataclass(slots=True)
class Wire:
    """What the log says. `spread_ms` is the difference between the fastest and the slowest mail."""

    arrived: int = 0
    spread_ms: int = 0
    lost: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    limits: Verdict = field(default_factory=Verdict)


def read_arrivals(lines: Iterable[str]) -> list[Arrival]:
    """Read a log; raises RequestError naming the line, the field, the value and the bound."""
    found = []
    for where, line in json_lines(lines):
        at = line.get("wall_ms", line.get("at"))
        if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at <= INSTANT_MAX:
            raise RequestError(f"{where}: wall_ms", at, "must be an instant in ms")
        found += [
            Arrival(at, _id(line.get("message_id"), where), address)
            for address in _addresses(line.get("rcpt"), where)
        ]
    return sorted(found)


def _id(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise RequestError(f"{where}: message_id", value, "must be a text")
    return value.strip().strip("<>").rpartition("@")[0]


def _addresses(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RequestError(f"{where}: rcpt", value, "must be a list of addresses")
    return value


def judge_arrivals(
    evidence: Evidence, arrivals: Iterable[Arrival], reigns: Sequence[Reign], terms: Terms
) -> Wire:
    """Compare a log with a history."""
    wire = Wire()
    seen: dict[str, list[Arrival]] = {}
    for one in sorted(arrivals):
        wire.arrived += 1
        delivery = evidence.deliveries.get(one.message)
        if delivery is None:
            wire.unexpected.append(f"{one.message} for {one.address} arrived and is not stored")
            continue
        if delivery.address and delivery.address.lower() != one.address.lower():
            text = f"{one.message} for {delivery.address} arrived at {one.address}"
            wire.unexpected.append(text)
        seen.setdefault(one.message, []).append(one)
    for id_, copies in seen.items():
        possible = sum(may_have_arrived(attempt) for attempt in evidence.attempts.get(id_, ()))
        if len(copies) > possible:
            text = f"{id_} arrived {len(copies)} times, and {possible} of its attempts may have"
            wire.unexplained.append(text)
    ways = {evidence.deliveries[id_].channel for id_ in seen}
    for delivery in evidence.history.deliveries:
        if delivery.state in _ARRIVED and delivery.channel in ways and delivery.id not in seen:
            text = f"{delivery.id} for {delivery.recipient} is {delivery.state} and did not arrive"
            wire.lost.append(text)
    _judge_limits(evidence, seen, reigns, terms, wire)
    return wire


def _judge_limits(
    evidence: Evidence,
    seen: dict[str, list[Arrival]],
    reigns: Sequence[Reign],
    terms: Terms,
    wire: Wire,
) -> None:
    handovers: list[Handover] = []
    lags: list[int] = []
    claims: dict[str, list[Handover]] = {}
    for claim in evidence.handovers():
        if claim.name in seen:
            claims.setdefault(claim.name, []).append(claim)
    for id_, copies in seen.items():
        for copy in copies:
            # Its claim is the last one before it, or the first one if the clocks differ.
            known = claims.get(id_, [])
            for claim in [c for c in known if c.at <= copy.at][-1:] or known[:1]:
                handovers.append(claim._replace(at=copy.at, counts=True))
                lags.append(copy.at - claim.at)
    if lags:
        wire.spread_ms = max(lags) - min(lags)
        # A rule is that of the claim, which is up to the longest lag away.
        skew_ms = terms.skew_ms + max(map(abs, lags))
        shorter = replace(terms, slack_ms=wire.spread_ms, skew_ms=skew_ms, restamped=())
        wire.limits = judge_limits(handovers, reigns, shorter)
