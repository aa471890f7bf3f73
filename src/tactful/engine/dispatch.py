"""Dispatch: what is due is decided, and what may go is claimed, in one durable transaction.

For every delivery that may go an attempt is written before anything touches the wire, and the
delivery is due again when its lease ends. So limits hold whatever crashes, and a crashed worker's
deliveries simply become due. Everything else moves to its next slot or to its end.

A delivery that is due while it is being sent was left by a worker that vanished. If its hand-over
had not begun, nothing can have arrived: the attempt stops counting, and it is decided like any
other. If it had, the attempt keeps counting, since nobody knows how far it came.

Nothing of a paused notification is claimed (`pausing`): what comes back, or comes in while it is
being paused, stands still here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from tactful.core.decide import Subject, decide
from tactful.core.model import (
    MINUTE,
    NEVER,
    Collapse,
    Defer,
    Digest,
    Entry,
    Event,
    Kind,
    Millis,
    Recipient,
    Reject,
    Send,
    State,
)
from tactful.core.settle import QUARANTINED
from tactful.engine.context import Context
from tactful.engine.due import back_to, beyond, give_back, left_going
from tactful.engine.gates import Gates
from tactful.engine.histories import Histories
from tactful.engine.line import Lines, slots
from tactful.engine.pausing import paused_among
from tactful.engine.people import suppressed_by_address, unwanted
from tactful.engine.zones import zone_of
from tactful.ports import (
    EVERYTHING,
    Ages,
    Attempt,
    Delivery,
    Lease,
    Notification,
    Result,
    Suppression,
    Tx,
)

STRANDED_MS = MINUTE


@dataclass(slots=True)
class Job:
    """One claimed hand-over: the delivery that carries it and, in a digest, the others in it.

    `number` and `at` are those of the attempt; `may_go` is the permit to hand it over. `alone`
    keeps it out of the company of others: what is in doubt after a crash is this one at most.
    `returned`: the worker that had it last vanished before its hand-over had begun.
    """

    delivery: Delivery
    members: list[Delivery]
    notifications: dict[str, Notification]
    person: Recipient
    number: int
    at: Millis
    may_go: Callable[[], bool]
    alone: bool = False
    returned: bool = False

    @property
    def wary(self) -> bool:
        """Whether it may be what took a worker down."""
        return self.returned or self.crashes > 0

    @property
    def claims(self) -> list[tuple[str, int]]:
        """The ids of its deliveries with the numbers of their attempts."""
        members = [(member.id, member.attempts + 1) for member in self.members]
        return [(self.delivery.id, self.number), *members]

    @property
    def crashes(self) -> int:
        """The most attempts without an answer that any delivery in it has had."""
        most = self.delivery.crashes
        return max(most, *(member.crashes for member in self.members)) if self.members else most


@dataclass(slots=True)
class Claim:
    """What one round of dispatch did: the jobs to send, and how many deliveries it looked at."""

    jobs: list[Job] = field(default_factory=list)
    seen: int = 0


class Dispatch:
    """Decides and claims what is due."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def claim(
        self,
        in_flight: frozenset[str] = frozenset(),
        limit: int | None = None,
        busy: Collection[str] = (),
        ages: Ages = EVERYTHING,
    ) -> Claim:
        """One round; `in_flight` are deliveries this process is still sending.

        What goes through a `busy` channel or is not of these `ages` is left where it is.
        """
        until = self._context.settings.permitted_until(self._context.running())
        with self._context.store.transaction() as tx:
            now = self._context.timekeeper.now(tx)
            rows = tx.due(now, limit or self._context.settings.batch, busy, ages)
            if not rows:
                return Claim()
            rows += beyond(tx, rows, now, self._context.settings.waiting_max)
            ours = [(row.id, row.attempts) for row in rows if row.id in in_flight]
            if ours:
                tx.renew(ours, now + self._context.settings.lease_ms)
            others = [row for row in rows if row.id not in in_flight]
            returned = give_back(tx, others, now)
            others = left_going(tx, others, now)
            round_ = _Round(self._context, tx, now, until)
            jobs = round_.run(others)
        round_.remember()
        for job in jobs:
            job.returned = any(id_ in returned for id_, _ in job.claims)
        return Claim(jobs, len(rows))


class _Round:
    """The decisions of one transaction."""

    def __init__(self, context: Context, tx: Tx, now: Millis, until: Millis) -> None:
        self._context = context
        self._settings = context.settings
        self._tx = tx
        self._now = now
        self._may_go = lambda: context.running() < until
        self._book = context.rulebook.current(tx)
        self._jobs: list[Job] = []
        self._leases: list[Lease] = []
        self._members: list[str] = []
        self._results: dict[str, Result] = {}
        self._events: list[Event] = []
        self._freed: set[str] = set()
        self._handled: set[str] = set()
        self._people: dict[str, Recipient] = {}
        self._histories = Histories()
        self._suppressions: dict[str, list[Suppression]] = {}
        self._lines: Lines | None = None
        self._recipients: list[str] = []
        self._view = 0
        self._stopped: list[str] = []

    def run(self, rows: Sequence[Delivery]) -> list[Job]:
        self._load(rows)
        for unit in self._units(rows):
            if unit[0].id not in self._handled:  # it may have been superseded by another one
                self._decide(unit)
        wanted = {d.notification_id for job in self._jobs for d in (job.delivery, *job.members)}
        notifications = self._tx.notifications(list(wanted))
        if any(one.paused_at is not None for one in notifications.values()):
            self._call_off(paused_among(self._tx, list(notifications.values())))
        self._tx.lease(self._leases)
        until = self._now + self._settings.lease_ms
        self._tx.extend(self._members, until, self._context.owner)
        self._tx.settle(list(self._results.values()), [])
        if self._stopped:
            self._tx.pause_deliveries(self._stopped)
        self._tx.add_events(self._events)
        if self._gates.changed:
            self._tx.set_cells(self._gates.changed)
        self._tx.wake(self._now, sorted(self._freed))
        for job in self._jobs:
            job.notifications = notifications
        return self._jobs

    def remember(self) -> None:
        """After the commit: what was read of histories may be worth keeping."""
        self._context.past.keep(self._histories, self._book.reach_ms)

    def _load(self, rows: Sequence[Delivery]) -> None:
        self._recipients = list({row.recipient for row in rows})
        self._people = self._tx.recipients_by_key(self._recipients)
        addresses = list({row.address for row in rows})
        self._suppressions = suppressed_by_address(self._tx, addresses)
        checks = [self._book.checks(kind) for kind in {row.kind for row in rows}]
        self._view = max((check.view for check in checks), default=0)
        reach = max((check.reach_ms for check in checks), default=0)
        if reach:
            self._histories = self._context.past.read(
                self._tx, self._recipients, self._now, reach, self._book.reach_ms
            )
        self._gates = Gates(self._tx, self._book, rows, self._now)

    def _units(self, rows: Sequence[Delivery]) -> Iterable[list[Delivery]]:
        """What goes or waits together: one delivery, or the members of a digest."""
        units: list[list[Delivery]] = []
        digests: dict[tuple[str, str, str], list[Delivery]] = {}
        for row in rows:
            if not self._survives(row):
                continue
            rule = row.group.removeprefix("digest:") if row.group.startswith("digest:") else ""
            if not rule or not self._book.digests(rule):
                units.append([row])
                continue
            key = (row.recipient, row.channel, row.group)
            unit = digests.get(key)
            if unit is None or len(unit) >= self._settings.digest_max:
                unit = digests[key] = []
                units.append(unit)
            unit.append(row)
        for unit in units:
            # Whoever carried the digest before carries it again: a second copy has the same id.
            unit.sort(key=lambda row: row.crashes, reverse=True)
        return units

    def _survives(self, row: Delivery) -> bool:
        """Ends a row that needs no rule to be ended; gives whether it is still to be decided."""
        if row.state is State.SENDING:
            row.crashes += 1
            if self._book.type(row.type).on_ambiguous == "hold":
                reason = "its worker vanished while it was being sent"
                self._end(row, State.UNKNOWN, "unknown", reason=reason)
                return False
            if row.crashes >= self._settings.retry.crashes_max:
                reason = f"{QUARANTINED}: {row.crashes} attempts without an answer"
                self._end(row, State.FAILED, QUARANTINED, reason=reason)
                return False
            self._events.append(Event("rescued", row.id, self._now))
        if row.channel not in self._context.channels:
            self._strand(row)
            return False
        if self._now >= row.expires_at:
            why = "paused" if row.paused else row.reason
            self._end(row, State.EXPIRED, "expired", rule=row.rule, reason=why)
            return False
        unwished = unwanted(
            self._person(row.recipient),
            row.kind,
            row.address,
            self._suppressions,
            mandatory=self._book.type(row.type).mandatory,
        )
        if unwished is not None:
            self._end(row, State.SUPPRESSED, "suppressed", reason=unwished)
        return unwished is None

    def _call_off(self, paused: AbstractSet[str]) -> None:
        """Claim nothing of these notifications; whoever gave way to it is decided anew."""
        jobs, leases = self._jobs, self._leases
        self._jobs, self._leases, self._members = [], [], []
        for job, lease in zip(jobs, leases, strict=True):
            stopped = [d for d in (job.delivery, *job.members) if d.notification_id in paused]
            if stopped:
                self._put_down(stopped)
                continue
            self._jobs.append(job)
            self._leases.append(lease)
            self._members += [member.id for member in job.members]

    def _put_down(self, rows: Sequence[Delivery]) -> None:
        """These stand still: what had been in somebody's hands waits first."""
        for row in rows:
            if row.state is State.SENDING:
                self._put(back_to(State.DEFERRED, row, self._now))
            self._stopped.append(row.id)
            self._freed.add(row.recipient)

    def _strand(self, row: Delivery) -> None:
        """This process has no such channel: another one may, or it will after the next start."""
        reason = f"channel {row.channel} is not configured here"
        attempt = row.attempts if row.state is State.SENDING else None
        due_at = min(self._now + STRANDED_MS, row.expires_at)
        if self._now >= row.expires_at:
            self._end(row, State.EXPIRED, "expired", rule=row.rule, reason=reason)
            return
        self._put(
            Result(
                row.id,
                attempt,
                State.DEFERRED,
                self._now,
                due_at,
                row.not_before,
                row.rule,
                reason,
                group=row.group,
                tries=row.tries,
                crashes=row.crashes,
            )
        )
        if row.reason != reason:
            self._events.append(Event("stranded", row.id, self._now, data={"reason": reason}))

    def _person(self, recipient: str) -> Recipient:
        person = self._people.get(recipient)
        if person is None:
            person = self._people[recipient] = Recipient(recipient)
        return person

    # Decisions --------------------------------------------------------------------------------

    def _decide(self, unit: list[Delivery]) -> None:
        head = unit[0]
        kind = head.kind
        checks = self._book.checks(kind)
        zone = zone_of(self._person(head.recipient).timezone)
        history = self._histories.of.get(head.recipient, ())
        subject = Subject(kind, zone)
        planned: list[Entry] = []
        if not head.decided and (checks.bounds or checks.spans):
            planned = self._planned(head, kind, unit)
        decision = decide(subject, history, planned, checks, self._now)
        if isinstance(decision, Send):
            turn = self._gates.turn(head, checks) if checks.gates else None
            if turn is None:
                self._send(unit)
            else:
                self._wait(unit, *turn, head.group)
            return
        # What is resumed was accepted, unless nothing had been decided about it when it was paused.
        fresh = not head.decided and head.state is not State.DEFERRED
        if isinstance(decision, Reject) and fresh:
            self._reject(unit, decision)
            return
        # The slot must lie behind those that are planned already.
        planned = planned or self._planned(head, kind, unit)
        start = max(self._now, self._known_lines().begins(head.recipient, checks))
        later = decide(subject, history, planned, checks, start)
        match decision if isinstance(later, Send) else later:
            case Reject(rule, retry_at):
                # Whoever got a receipt that accepts is never rejected afterwards.
                self._wait(unit, max(start, retry_at), rule, "")
            case Defer(until, rule):
                self._wait(unit, max(start, until), rule, "")
            case Digest(until, rule):
                self._wait(unit, max(start, until), rule, f"digest:{rule}")
            case Collapse(until, rule):
                self._collapse(head, max(start, until), rule)

    def _reject(self, unit: Sequence[Delivery], decision: Reject) -> None:
        facts = {} if decision.retry_at >= NEVER else {"retry_at": decision.retry_at}
        for row in unit:
            self._end(row, State.REJECTED, "rejected", rule=decision.rule, facts=facts)

    def _known_lines(self) -> Lines:
        if self._lines is None:
            self._lines = Lines(self._tx.lines(self._recipients, self._view))
        return self._lines

    def _planned(self, head: Delivery, kind: Kind, unit: Sequence[Delivery]) -> list[Entry]:
        """Slots ahead: those planned for later and, for whoever is new, those promised for now."""
        lines = self._known_lines()
        lines.leave(head.recipient, [row.id for row in unit])
        return lines.planned(
            head.recipient,
            kind,
            self._now,
            skip=self._handled,
            overdue="none" if head.decided else "promised",
            ahead_of=head.id if head.decided else "",
        )

    # Consequences -----------------------------------------------------------------------------

    def _send(self, unit: list[Delivery]) -> None:
        head, *members = unit
        self._handled.update(row.id for row in unit)
        number = head.attempts + 1
        attempt = Attempt(head.id, number, head.recipient, self._now, head.kind)
        until = self._now + self._settings.lease_ms
        self._leases.append(Lease(attempt, until, head.crashes, self._context.owner))
        self._members += [member.id for member in members]
        self._histories.of.setdefault(head.recipient, []).append(Entry(self._now, head.kind))
        person = self._person(head.recipient)
        hold = self._book.type(head.type).on_ambiguous == "hold"
        self._jobs.append(Job(head, members, {}, person, number, self._now, self._may_go, hold))
        if self._lines is not None:
            self._lines.leave(head.recipient, [row.id for row in unit])

    def _wait(self, unit: Sequence[Delivery], until: Millis, rule: str, group: str) -> None:
        head = unit[0]
        if group.startswith("digest:") and head.group != group:
            waiting = self._known_lines().in_group(head.recipient, head.channel, group)
            until = min((slot for slot in slots(waiting) if slot > self._now), default=until)
        for row in unit:
            attempt = row.attempts if row.state is State.SENDING else None
            due_at = min(until, row.expires_at)
            self._put(
                Result(
                    row.id,
                    attempt,
                    State.DEFERRED,
                    self._now,
                    due_at,
                    row.not_before,
                    rule,
                    None,
                    True,
                    group,
                    row.tries,
                    row.crashes,
                )
            )
            facts = {"rule": rule, "deliver_at": due_at}
            self._events.append(Event("deferred", row.id, self._now, data=facts))
            row.due_at, row.group, row.state, row.held = due_at, group, State.DEFERRED, True
            if self._lines is not None:
                self._lines.enter(row)

    def _collapse(self, row: Delivery, until: Millis, rule: str) -> None:
        """The newest of a group waits; an older one that comes to its turn is superseded."""
        group = row.group if row.group.startswith(f"collapse:{rule}:") else ""
        group = group or f"collapse:{rule}:{row.type}"
        known = self._known_lines().in_group(row.recipient, row.channel, group)
        waiting = [other for other in known if other.id not in self._handled]
        newer = [other for other in waiting if other.id > row.id]
        if newer:
            reason = f"superseded by {newer[-1].id}"
            self._end(row, State.SUPERSEDED, "superseded", rule=rule, reason=reason)
            return
        for other in waiting:
            reason = f"superseded by {row.id}"
            self._end(other, State.SUPERSEDED, "superseded", rule=rule, reason=reason)
        self._known_lines().leave(row.recipient, [other.id for other in waiting])
        self._wait([row], until, rule, group)

    def _put(self, result: Result) -> None:
        """The last word about a delivery counts; what it was found as stays what fences it."""
        earlier = self._results.get(result.delivery_id)
        if earlier is not None:
            result = result._replace(attempt=earlier.attempt)
        self._results[result.delivery_id] = result

    def _end(
        self,
        row: Delivery,
        state: State,
        event: str,
        *,
        rule: str | None = None,
        reason: str | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        attempt = row.attempts if row.state is State.SENDING else None
        self._put(
            Result(
                row.id,
                attempt,
                state,
                self._now,
                rule=rule,
                reason=reason,
                tries=row.tries,
                crashes=row.crashes,
            )
        )
        data = {"rule": rule, "reason": reason, **(facts or {})}
        data = {name: value for name, value in data.items() if value is not None}
        self._events.append(Event(event, row.id, self._now, data=data))
        self._handled.add(row.id)
        self._freed.add(row.recipient)
