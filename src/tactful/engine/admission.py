"""Admission: what is asked for becomes deliveries, decided in the same transaction.

A receipt is true: a rejection, a place in a digest and a slot are stored before the caller hears of
them, together with the idempotency key. Concurrent callers share a commit (`group_commit`).

A delivery that may go now is stored as due now with its slot *promised*: others plan around it
until it has been handed over. Broadcasts are only accepted here; `fanout` reaches their audience.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, TypeVar

from tactful.core.decide import Subject, decide, remaining
from tactful.core.errors import IdempotencyConflict, RequestError
from tactful.core.lifecycle import WAITING
from tactful.core.model import (
    NEVER,
    Collapse,
    Decision,
    Defer,
    Digest,
    Entry,
    Event,
    Expire,
    Kind,
    Millis,
    NotificationType,
    Recipient,
    Reject,
    Send,
    State,
    Suppress,
)
from tactful.engine.context import Context
from tactful.engine.group_commit import GroupCommit
from tactful.engine.line import Lines, slots
from tactful.engine.people import address_for, find, suppressed_by_address, unwanted
from tactful.engine.requests import Receipt, Request, receipt_from
from tactful.engine.terms import TermsInForce, Way
from tactful.engine.zones import zone_of
from tactful.ports import Delivery, Notification, Remembered, Result, Suppression, Tx

FULL = "waiting_max"
"""The reason of a rejection because too much waits for one recipient already."""

R = TypeVar("R")


@dataclass(slots=True)
class _Draft:
    """A delivery to be decided, with what the decision needs."""

    delivery: Delivery
    person: Recipient
    way: Way
    mandatory: bool
    reachable: bool


class Admission:
    """Takes submissions in; safe to use from many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._commits: GroupCommit[Sequence[Request], list[Receipt]] = GroupCommit(self._run)

    def submit(self, requests: Sequence[Request]) -> list[Receipt]:
        """Admit all or none; one receipt each, in order.

        Raises RequestError (nothing is stored then), IdempotencyConflict, Unavailable.
        """
        receipts = self._commits.submit(requests)
        self._context.changed()
        return receipts

    def submit_each(self, requests: Sequence[Request]) -> list[Receipt | RequestError]:
        """Admit those that can be; a receipt or what is wrong for each, in order.

        Raises Unavailable; nothing is stored then.
        """
        found = self._committed(lambda batch: batch.admit_each(requests))
        self._context.changed()
        return found

    def _run(self, groups: Sequence[Sequence[Request]]) -> list[list[Receipt]]:
        requests = [request for group in groups for request in group]
        receipts = iter(self._committed(lambda batch: batch.admit(requests)))
        return [[next(receipts) for _ in group] for group in groups]

    def broadcast(self, request: Request) -> Receipt:
        """Accept one notification for everyone who is registered now."""
        receipt = self._committed(lambda batch: batch.admit_broadcast(request))
        self._context.changed()
        return receipt

    def _committed(self, work: Callable[[_Batch], R]) -> R:
        """What `work` gives, in one transaction; begun anew when others had to go first."""
        return self._context.committed(lambda tx: work(_Batch(self._context, tx)))


class _Batch:
    """The submissions of one transaction."""

    def __init__(self, context: Context, tx: Tx) -> None:
        self._context = context
        self._settings = context.settings
        self._tx = tx
        tx.guard([])  # the rules, and who is who, stay as they are found
        self._now = context.timekeeper.now(tx)
        self._book = context.rulebook.current(tx)
        self._deliveries: list[Delivery] = []
        self._events: list[Event] = []
        self._superseded: list[Result] = []
        self._remembered: dict[str, Remembered] = {}
        self._answers: dict[str, Remembered] = {}
        self._history: dict[str, list[Entry]] = {}
        self._lines = Lines({})
        self._suppressions: dict[str, list[Suppression]] = {}
        self._terms = TermsInForce(context, self._book)
        self._first: dict[Kind, tuple[int | None, str | None]] = {}

    # Whole batches ----------------------------------------------------------------------------

    def admit(self, requests: Sequence[Request]) -> list[Receipt]:
        """All or none: raises the first error."""
        receipts = []
        for found in self.admit_each(requests, stop=True):
            assert isinstance(found, Receipt), "the first error stops it"
            receipts.append(found)
        return receipts

    def admit_each(
        self, requests: Sequence[Request], *, stop: bool = False
    ) -> list[Receipt | RequestError]:
        """A receipt or an error for each; with `stop` the first error is raised."""
        keys = [request.key for request in requests if request.key is not None]
        if keys:
            self._remembered = dict(self._tx.remembered(keys))
        people = find(self._tx, [request.to for request in requests])
        drafts: list[list[_Draft]] = []
        wrong: dict[int, RequestError] = {}
        taken: set[str] = set()
        for place, request in enumerate(requests):
            drafts.append([])
            try:
                # What shares its key with one before gets that one's answer.
                if not self._replayed(request) and request.key not in taken:
                    drafts[place] = self._drafts(request, people[request.to])
                    if request.key is not None:
                        taken.add(request.key)
            except RequestError as error:
                if stop:
                    raise
                wrong[place] = error
        self._tx.add_notifications(
            [
                self._notification(request, group[0].delivery)
                for request, group in zip(requests, drafts, strict=True)
                if group
            ]
        )
        # From here on others wait who decide about the same people: all that can be is done before.
        self._tx.guard(list({person.id for person in people.values()}))
        self._greet()
        self._load([draft for group in drafts for draft in group])
        receipts: list[Receipt | RequestError] = []
        for place, (request, group) in enumerate(zip(requests, drafts, strict=True)):
            try:
                receipts.append(wrong.get(place) or self._receive(request, group))
            except IdempotencyConflict as error:  # with another one of these
                if stop:
                    raise
                receipts.append(error)
        self._write()
        return receipts

    def admit_broadcast(self, request: Request) -> Receipt:
        if request.key is not None:
            self._remembered = dict(self._tx.remembered([request.key]))
            known = self._replayed(request)
            if known is not None:
                return known
        terms = self._terms.of(request)
        self._greet()
        notification_id = self._context.ids.new(self._now)
        # Guarded: nobody is registering who would have a number below the last.
        last = self._tx.last_recipient()
        notification = Notification(
            notification_id,
            request.type,
            terms.type.category,
            terms.priority,
            request.content,
            self._now,
            tuple(way.name for way in terms.ways),
            self._expiry(request, terms.type),
            request.deliver_at or 0,
            cursor=0 if last else None,
            audience_end=last,
            trace=request.trace,
        )
        self._tx.add_notifications([notification])
        receipt = Receipt("queued", notification_id)
        self._events.append(Event("broadcast.accepted", "", self._now, notification_id))
        self._remember(request, receipt)
        self._write()
        return receipt

    def _write(self) -> None:
        self._tx.add_deliveries(self._deliveries)
        if self._superseded:
            self._tx.settle(self._superseded, [])
        self._tx.add_events(self._events)
        if self._answers:
            self._tx.remember(self._answers)

    # Idempotency ------------------------------------------------------------------------------

    def _replayed(self, request: Request) -> Receipt | None:
        known = self._remembered.get(request.key) if request.key is not None else None
        if known is None or known.expires_at <= self._now:
            return None
        if known.fingerprint != request.fingerprint:
            bound = "was used before with another body"
            raise IdempotencyConflict("idempotency_key", request.key, bound)
        return replace(receipt_from(json.loads(known.answer)), replayed=True)

    def _remember(self, request: Request, receipt: Receipt) -> None:
        if request.key is None:
            return
        answer = json.dumps(receipt.to_dict(), separators=(",", ":"))
        expires_at = self._now + self._settings.idempotency_ms
        value = Remembered(request.fingerprint, answer, expires_at)
        self._answers[request.key] = self._remembered[request.key] = value

    # From a request to drafts -----------------------------------------------------------------

    def _greet(self) -> None:
        """Tell of the types that nobody has declared, once each."""
        for name in self._terms.strangers:
            if self._context.rulebook.first_seen(self._tx, name):
                self._events.append(Event("type.unknown", "", self._now, data={"type": name}))

    def _expiry(self, request: Request, type_: NotificationType) -> Millis:
        lifetime = request.ttl_ms or type_.ttl_ms or self._settings.ttl_ms
        return max(self._now, request.deliver_at or 0) + lifetime

    def _drafts(self, request: Request, person: Recipient) -> list[_Draft]:
        terms = self._terms.of(request)
        notification_id = self._context.ids.new(self._now)
        expires_at = self._expiry(request, terms.type)
        drafts = []
        for way in terms.ways:
            address = address_for(person, way.name, way.channel)
            delivery = Delivery(
                self._context.ids.new(self._now),
                notification_id,
                person.id,
                way.name,
                address or "",
                request.type,
                terms.type.category,
                terms.priority,
                self._now,
                State.QUEUED,
                due_at=self._now,
                not_before=request.deliver_at or 0,
                expires_at=expires_at,
                decided=True,
                updated_at=self._now,
            )
            reachable = address is not None
            drafts.append(_Draft(delivery, person, way, terms.type.mandatory, reachable))
        return drafts

    def _notification(self, request: Request, first: Delivery) -> Notification:
        return Notification(
            first.notification_id,
            request.type,
            first.category,
            first.priority,
            request.content,
            self._now,
            expires_at=first.expires_at,
            not_before=first.not_before,
            trace=request.trace,
        )

    def _load(self, drafts: Sequence[_Draft]) -> None:
        checks = {draft.way.checks for draft in drafts}
        reach = max((one.reach_ms for one in checks), default=0)
        if reach:
            limited = {draft.delivery.recipient for draft in drafts if draft.way.checks.bounds}
            self._history = self._context.past.read(
                self._tx, list(limited), self._now, reach, self._book.reach_ms
            ).of
        everyone = list({draft.delivery.recipient for draft in drafts})
        view = max((one.view for one in checks), default=0)
        self._lines = Lines(self._tx.lines(everyone, view))
        addresses = list({draft.delivery.address for draft in drafts})
        self._suppressions = suppressed_by_address(self._tx, addresses)

    # From drafts to receipts ------------------------------------------------------------------

    def _receive(self, request: Request, drafts: Sequence[_Draft]) -> Receipt:
        known = self._replayed(request)
        if known is not None:
            return known
        receipt, *others = [self._decide(draft, request.collapse_key) for draft in drafts]
        if others:
            receipt = replace(receipt, others=tuple(others))
        self._remember(request, receipt)
        return receipt

    def _decide(self, draft: _Draft, collapse_key: str) -> Receipt:
        delivery, recipient = draft.delivery, draft.delivery.recipient
        kind, checks = draft.way.kind, draft.way.checks
        zone = zone_of(draft.person.timezone)
        reason: str | None = "no address"
        if draft.reachable:
            reason = unwanted(
                draft.person, kind, delivery.address, self._suppressions, mandatory=draft.mandatory
            )
        start = max(self._now, delivery.not_before, self._lines.begins(recipient, checks))
        # Where nothing limits it, who waits is of no matter, and going through them takes long.
        limited = checks.bounds or checks.spans
        planned = self._lines.planned(recipient, kind, self._now) if limited else []
        history = self._history.get(recipient, ())
        subject = Subject(kind, zone, delivery.expires_at, reason)
        decision = decide(subject, history, planned, checks, start)
        if isinstance(decision, Send) and start > self._now:
            decision = Defer(start, "")
        full = self._lines.total(recipient) >= self._settings.waiting_max
        if full and self._lengthens(delivery, decision, collapse_key):
            decision = Reject(FULL, NEVER)
        terms = self._apply(delivery, decision, collapse_key)
        if isinstance(decision, Send):
            terms["remaining"], terms["rule"] = self._left(draft.way, history, planned, zone)
        word = type(decision).__name__.lower()
        self._report(delivery, word, terms)
        return Receipt(
            word, delivery.notification_id, delivery.id, channel=delivery.channel, **terms
        )

    def _left(
        self, way: Way, history: Sequence[Entry], planned: Sequence[Entry], zone: tzinfo
    ) -> tuple[int | None, str | None]:
        """How many more may go now besides this one, and the rule that binds."""
        counted = [*planned, Entry(self._now, way.kind)]
        if history or planned:
            return remaining(history, counted, way.checks, zone, self._now)
        # Whoever has had nothing is like all the others; a window that holds now holds this one.
        first = self._first.get(way.kind)
        if first is None:
            first = self._first[way.kind] = remaining((), counted, way.checks, zone, self._now)
        return first

    def _lengthens(self, delivery: Delivery, decision: Decision, collapse_key: str) -> bool:
        """Whether a decision makes the line longer than before: who replaces another does not."""
        if isinstance(decision, Collapse):
            group = _collapsed(delivery, decision.rule, collapse_key)
            return not self._lines.in_group(delivery.recipient, delivery.channel, group)
        return isinstance(decision, Defer | Digest)

    def _apply(self, delivery: Delivery, decision: Decision, collapse_key: str) -> dict[str, Any]:
        """Store what was decided; gives the terms of the receipt."""
        terms: dict[str, Any] = {}
        match decision:
            case Send():
                delivery.promised = True
                terms = {"deliver_at": self._now}
            case Defer(until, rule):
                terms = self._wait(delivery, until, rule)
            case Digest(until, rule):
                delivery.group = f"digest:{rule}"
                terms = self._wait(delivery, self._join(delivery, until), rule)
            case Collapse(until, rule):
                delivery.group = _collapsed(delivery, rule, collapse_key)
                terms = self._wait(delivery, self._supersede(delivery, until), rule)
            case Reject(rule, retry_at):
                delivery.state, delivery.rule = State.REJECTED, rule
                again = None if retry_at >= NEVER else retry_at
                terms = {"rule": rule, "retry_at": again, "remaining": 0}
            case Suppress(reason):
                delivery.state, delivery.reason = State.SUPPRESSED, reason
                terms = {"reason": reason}
            case Expire():
                delivery.state = State.EXPIRED
        self._deliveries.append(delivery)
        if delivery.state in WAITING:
            self._lines.enter(delivery)
        return terms

    def _wait(self, delivery: Delivery, until: Millis, rule: str) -> dict[str, Any]:
        """Wait for a slot, or for the end of its life if that comes first."""
        delivery.state = State.DEFERRED
        delivery.rule = rule or None
        delivery.held = bool(rule)
        delivery.due_at = min(until, delivery.expires_at)
        terms: dict[str, Any] = {"rule": rule or None, "deliver_at": until}
        if until >= delivery.expires_at:
            return {**terms, "deliver_at": None, "reason": "no slot is free before it expires"}
        return terms if rule else {**terms, "reason": "scheduled"}

    def _join(self, delivery: Delivery, until: Millis) -> Millis:
        """The slot of the digest that waits already, if one does."""
        waiting = self._lines.in_group(delivery.recipient, delivery.channel, delivery.group)
        earliest = max(self._now, delivery.not_before)
        return min((slot for slot in slots(waiting) if slot >= earliest), default=until)

    def _supersede(self, delivery: Delivery, until: Millis) -> Millis:
        """Take the place of those who wait in the same group.

        Only of its own kind: rules may have other slots for another one.
        """
        older = self._lines.in_group(delivery.recipient, delivery.channel, delivery.group)
        if not older:
            return until
        for other in older:
            reason = f"superseded by {delivery.id}"
            self._superseded.append(
                Result(other.id, None, State.SUPERSEDED, self._now, rule=other.rule, reason=reason)
            )
            self._events.append(Event("superseded", other.id, self._now, data={"by": delivery.id}))
        self._lines.leave(delivery.recipient, [other.id for other in older])
        alike = slots(other for other in older if other.kind == delivery.kind)
        return max(min(alike), delivery.not_before, self._now) if alike else until

    def _report(self, delivery: Delivery, word: str, terms: Mapping[str, Any]) -> None:
        facts: dict[str, Any] = {}
        if word != "send":
            facts = {name: value for name, value in terms.items() if value is not None}
            facts.pop("remaining", None)
            if word in ("digest", "collapse"):
                facts["decision"] = word
        self._events.append(Event(_EVENT_NAMES[word], delivery.id, self._now, data=facts))


def _collapsed(delivery: Delivery, rule: str, collapse_key: str) -> str:
    """The name of the group of which the newest alone waits."""
    return f"collapse:{rule}:{collapse_key or delivery.type}"


_EVENT_NAMES = {
    "send": "accepted",
    "defer": "deferred",
    "digest": "deferred",
    "collapse": "deferred",
    "reject": "rejected",
    "suppress": "suppressed",
    "expire": "expired",
}
