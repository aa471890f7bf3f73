"""Which version of a rule was in force when something was handed over.

Two clocks tell it. Every version and every attempt has an instant; and the events of a store have
one order (`seq`), whatever the clocks said. A delivery's attempt lies behind the event that it was
accepted and before the event that tells its outcome, and each version of a rule has an event, too.

Instants alone are not enough. Something claimed in the very millisecond of a change may have come
before it or after it; and the clocks of two processes may differ by up to `skew_ms`. So several
versions can be candidates. A hand-over is out of order only if none of them allows it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tactful.core.errors import InvalidRule
from tactful.verify.history import Event, Policy
from tactful.verify.rules import Rule, read_rule

ALWAYS: Final = -(1 << 62)
NEVER: Final = 1 << 62

CORRECTED: Final = "clock.corrected"
CHANGED: Final = "rule.changed"


class Handover(NamedTuple):
    """One hand-over as limits see it.

    `after` and `before` are the numbers of events that it surely lies between. `domain` is that of
    the address, `name` says what it was. `counts` False: it surely did not arrive.
    """

    at: int
    after: int
    before: int
    recipient: str
    name: str
    type: str
    category: str
    channel: str
    priority: int
    domain: str = ""
    counts: bool = True


class Version(NamedTuple):
    """A rule in force from an instant and an event on; `rule` None: there was none."""

    rule: Rule | None
    at: int
    seq: int | None


@dataclass(frozen=True, slots=True)
class Reign:
    """All versions of one rule, in the order in which they came."""

    name: str
    versions: Sequence[Version]
    _instants: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_instants", [version.at for version in self.versions])

    def until(self, place: int) -> int:
        """When the next version came."""
        return self.versions[place + 1].at if place + 1 < len(self.versions) else NEVER

    def candidates(self, handover: Handover, skew_ms: int) -> list[int]:
        """The versions that may have been in force: places in `versions`, at least one."""
        start = max(0, bisect_left(self._instants, handover.at - skew_ms) - 1)
        in_time = []
        for place in range(start, len(self.versions)):
            if self.versions[place].at > handover.at + skew_ms:
                break
            in_time.append(place)
        if len(in_time) == 1:
            return in_time
        agreed = [place for place in in_time if self._fits(place, handover)]
        # The order of events is what really happened; an instant is what a clock said.
        return agreed or [
            place for place in range(len(self.versions)) if self._fits(place, handover)
        ]

    def _fits(self, place: int, handover: Handover) -> bool:
        """Whether the order of events lets this version have been in force."""
        seq = self.versions[place].seq
        if seq is not None and seq >= handover.before:
            return False
        following = self.versions[place + 1 :]
        ended = next((v.seq for v in following if v.seq is not None), None)
        return ended is None or ended > handover.after


def reigns_of(policies: Iterable[Policy], events: Sequence[Event]) -> list[Reign]:
    """The rules over time; raises InvalidRule naming the rule and its version.

    `events` are in their order.
    """
    ordered = sorted(policies)
    order = _order(ordered, events)
    corrections = [event for event in events if event.name == CORRECTED]
    found: dict[str, list[Version]] = {}
    latest = ALWAYS
    for policy in ordered:
        seq = order.get(policy.version)
        # A clock that was put right: what it said before was too late.
        late = [one.at for one in corrections if seq is not None and seq < one.seq]
        latest = max(min([policy.at, *late]), latest)
        versions = found.setdefault(policy.name, [Version(None, ALWAYS, None)])
        rule = None if policy.body is None else _rule(policy)
        if rule != versions[-1].rule:
            versions.append(Version(rule, latest, seq))
    return [Reign(name, versions) for name, versions in found.items()]


def _rule(policy: Policy) -> Rule:
    try:
        return read_rule({"name": policy.name, **(policy.body or {})})
    except InvalidRule as error:
        field_name = f"rule {policy.name}, version {policy.version}: {error.field}"
        raise InvalidRule(field_name, error.value, error.bound) from None


def _order(policies: Sequence[Policy], events: Sequence[Event]) -> Mapping[int, int]:
    """Version of a policy -> number of its event: one event tells all the names of one change."""
    found: dict[int, int] = {}
    place = 0
    for event in events:
        if event.name != CHANGED:
            continue
        names = list((event.data or {}).get("names", ()))
        told = policies[place : place + len(names)]
        if [policy.name for policy in told] != names:
            return found
        found |= {policy.version: event.seq for policy in told}
        place += len(names)
    return found
