"""What others report about deliveries: bounces, complaints, receipts; from mails or webhooks.

A report says what it is about in whatever words its source has: the Message-ID that Tactful wrote
(its left side is the id of the delivery), or the name that a provider gave the message when it took
it over, with the address. What cannot be matched is kept as an event, and believed in nothing.

Every report has a key of its own among those of its source. It is remembered in the transaction
that applies it, for as long as a finished delivery is kept: once more, and it changes nothing.

A report can overtake the record of the very hand-over it is about. Then it is left aside as
`early`, not remembered, and its source is asked to bring it again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from tactful.core.errors import RequestError, Unavailable
from tactful.core.lifecycle import FEEDBACK
from tactful.core.model import DAY, Event, Millis, State
from tactful.engine.context import Context
from tactful.engine.feedback.facts import Feedback
from tactful.engine.feedback.reputation import Reputation
from tactful.engine.people import find
from tactful.ports import Delivery, Reader, Remembered, Tx

log = logging.getLogger("tactful.reports")

BATCH: Final = 100
LOOK_BACK_MS: Final = 14 * DAY
"""How old a delivery may be that is to be found by its address and the provider's name for it."""

UNKNOWN: Final = "feedback.unknown"
"""The event for a report that is about nothing known; kept as long as a finished delivery."""

PAGE: Final = 1000
TEXT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a source says about one message.

    `key` tells it from all others of its source. `kind` is the name of a fact: delivered, lost,
    bounced, opened, clicked or complained. `names` are what may be ids of deliveries; `ref` is the
    provider's own name for the message. `data` goes into the event.
    """

    source: str
    key: str
    kind: str
    address: str = ""
    names: tuple[str, ...] = ()
    ref: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seal:
    """What makes a signed call unique: the same one must never seal something else."""

    source: str
    key: str
    fingerprint: str


class Taken(NamedTuple):
    """What became of reports: how many were news, were not, had come before, name nothing known,
    and have to come again."""

    news: int = 0
    stale: int = 0
    replayed: int = 0
    unknown: int = 0
    early: int = 0

    def and_also(self, other: Taken) -> Taken:
        """Both together."""
        return Taken(*(mine + its for mine, its in zip(self, other, strict=True)))


class Reports:
    """Takes reports; safe to use from many threads."""

    def __init__(self, context: Context, feedback: Feedback, reputation: Reputation) -> None:
        self._context = context
        self._feedback = feedback
        self._reputation = reputation

    def take(self, reports: Sequence[Report], seal: Seal | None = None) -> Taken:
        """Apply reports, each once and for all; what was taken survives a power cut.

        Raises RequestError for a kind that does not exist, and for a seal that was used for
        something else; Unavailable. Nothing of that portion is stored then.
        """
        for report in reports:
            if report.kind not in FEEDBACK:
                raise RequestError("kind", report.kind, f"must be one of {', '.join(FEEDBACK)}")
        if seal is not None:
            self._break(seal)
        taken = Taken()
        for at in range(0, len(reports), BATCH):
            portion = reports[at : at + BATCH]
            taken = taken.and_also(self._context.committed(partial(self._take, reports=portion)))
        if taken.news or taken.stale:
            self._context.changed()
            try:
                self._reputation.look()
            except Unavailable as error:  # what was taken is safe
                log.warning("rates of bounces and complaints are not known: %s", error)
        return taken

    def _break(self, seal: Seal) -> None:
        key = _key(f"{seal.source}\nseal", seal.key)
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            known = tx.remembered([key]).get(key)
            if known is None:
                expires_at = now + self._context.settings.keep_ms
                tx.remember({key: Remembered(seal.fingerprint, "", expires_at)})
            elif known.fingerprint != seal.fingerprint:
                raise RequestError("seal", seal.source, "was used before for something else")

    def _take(self, tx: Tx, reports: Sequence[Report]) -> Taken:
        meant = {report: _meant(tx, report, self._context) for report in map(_Same, reports)}
        # One after the other for each recipient: what is read from here on is not half a report.
        tx.guard(list({row.recipient for row in meant.values() if row is not None}))
        now = self._context.timekeeper.now(tx)
        known = set(tx.remembered([_key(r.source, r.key) for r in reports]))
        counts = dict.fromkeys(Taken._fields, 0)
        for same, found in meant.items():
            report, key = same.report, _key(same.report.source, same.report.key)
            row = tx.delivery(found.id) if found is not None else None
            if key in known:
                counts["replayed"] += 1
                continue
            if row is not None and row.state is State.SENDING:
                counts["early"] += 1
                continue
            known.add(key)
            tx.remember({key: Remembered("", "", now + self._context.settings.keep_ms)})
            if row is None:
                counts["unknown"] += 1
                tx.add_events([_unknown(report, now)])
                continue
            facts = {**_short(report.data), "source": report.source}
            (news,) = self._feedback.apply(tx, now, [(report.kind, row.id, facts)])
            counts["news" if news else "stale"] += 1
        return Taken(**counts)


class _Same:
    """A report as a key: two that say the same are still two."""

    def __init__(self, report: Report) -> None:
        self.report = report


def _meant(reader: Reader, same: _Same, context: Context) -> Delivery | None:
    """The delivery that a report is about, if it is one of ours."""
    report = same.report
    for name in report.names:
        found = reader.delivery(name)
        if found is not None:
            return found
    if not report.ref or not report.address:
        return None
    try:
        person = find(reader, [report.address])[report.address]
    except RequestError:  # whatever this is, it is nobody's address
        return None
    # Ids begin with the instant of acceptance, so this is where to begin.
    after = f"{max(0, context.timekeeper.glance() - LOOK_BACK_MS):012x}"
    while page := reader.deliveries(recipient=person.id, after=after, limit=PAGE):
        for row in page:
            if report.ref in (row.ref or "").split():
                return row
        after = page[-1].id
    return None


def _unknown(report: Report, now: Millis) -> Event:
    facts = {
        "source": report.source,
        "kind": report.kind,
        "address": report.address[:TEXT_MAX],
        "ref": report.ref[:TEXT_MAX],
        **_short(report.data),
    }
    return Event(UNKNOWN, "", now, data={k: v for k, v in facts.items() if v != ""})


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v[:TEXT_MAX] if isinstance(v, str) else v for k, v in data.items() if v != ""}


def _key(source: str, key: str) -> str:
    """Where it is remembered: no idempotency key of a caller can hold a line end."""
    return f"report\n{source}\n{key}"
