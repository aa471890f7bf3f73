"""Answers about what happened: why, how many, who, and what somebody has received."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tactful.core.errors import NotFound
from tactful.core.lifecycle import WAITING, WENT_OUT
from tactful.core.model import NEVER, Entry, Event, Millis, State
from tactful.core.plan import blocking
from tactful.engine.compose import Composer
from tactful.engine.context import Context
from tactful.engine.feedback.facts import Feedback
from tactful.engine.zones import iso, zone_of
from tactful.ports import Attempt, Delivery, Notification, Reader
from tactful.templates.library import Rendered, RenderError

LINE_MAX = 1_000_000
"""Whoever asks why wants the true place in the line, however long it is."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a delivery is where it is.

    `fills` are the attempts and planned slots (instant, type, channel, priority) that leave no room
    in the window of `rule`; `place` is the delivery's place in its recipient's line, from 1.
    `paused_at` and `paused_by` are set while it waits because its notification is paused.
    """

    delivery_id: str
    notification_id: str
    recipient: str
    type: str
    channel: str
    state: str
    decision: str
    rule: str | None
    limit: str | None
    reason: str | None
    deliver_at: Millis | None
    place: int | None
    fills: tuple[Entry, ...]
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]
    text: str
    paused_at: Millis | None = None
    paused_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain data."""
        found = asdict(self)
        found["fills"] = [{"at": at, **kind._asdict()} for at, kind in self.fills]
        return found


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of one notification; each ratio is 0.0 where nothing could be divided by.

    The lists hold the recipients behind each number. `waiting` are those still to be sent,
    `not_sent` those who will get nothing (rejected, suppressed, expired, failed, ...).
    """

    notification_id: str
    sent_to: tuple[str, ...]
    received_by: tuple[str, ...]
    lost_by: tuple[str, ...]
    opened_by: tuple[str, ...]
    waiting: tuple[str, ...]
    not_sent: tuple[str, ...]

    @property
    def sent(self) -> int:
        """How many were handed over."""
        return len(self.sent_to)

    @property
    def received(self) -> int:
        """How many arrived."""
        return len(self.received_by)

    @property
    def lost(self) -> int:
        """How many were handed over and did not arrive."""
        return len(self.lost_by)

    @property
    def opened(self) -> int:
        """How many were opened, each once."""
        return len(self.opened_by)

    @property
    def received_ratio(self) -> float:
        """Received of sent, to two decimals."""
        return _ratio(self.received, self.sent)

    @property
    def opened_ratio(self) -> float:
        """Opened of received, to two decimals."""
        return _ratio(self.opened, self.received)

    @property
    def opened_of_sent(self) -> float:
        """Opened of sent, to two decimals."""
        return _ratio(self.opened, self.sent)

    def to_dict(self) -> dict[str, Any]:
        """The figures, without the lists."""
        names = ("sent", "received", "lost", "opened")
        ratios = ("received_ratio", "opened_ratio", "opened_of_sent")
        return {name: getattr(self, name) for name in (*names, *ratios)}


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 2) if whole else 0.0


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One message that a recipient has received; `str(item)` is its text.

    `carrier` is the delivery that brought it: itself, or the head of its digest.
    """

    id: str
    notification_id: str
    type: str
    channel: str
    subject: str
    text: str
    at: Millis
    read: bool
    carrier: str

    def __str__(self) -> str:
        return self.text or self.subject


class Inbox(Sequence[InboxItem]):
    """What a recipient has received, oldest first; a snapshot of the moment it was asked for."""

    def __init__(self, items: Sequence[InboxItem], feedback: Feedback) -> None:
        self._items = tuple(items)
        self._feedback = feedback

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[InboxItem]:
        return iter(self._items)

    @property
    def read(self) -> list[InboxItem]:
        """What had been read."""
        return [item for item in self._items if item.read]

    @property
    def unread(self) -> list[InboxItem]:
        """What had not been read."""
        return [item for item in self._items if not item.read]

    def mark_read(self, item_id: str) -> bool:
        """Mark one read; True the first time, False ever after and for what is not in here."""
        carriers = [item.carrier for item in self._items if item.id == item_id]
        return bool(carriers) and self._feedback.record("opened", carriers[0])


class Insight:
    """Reads, never changes."""

    def __init__(self, context: Context, composer: Composer, feedback: Feedback) -> None:
        self._context = context
        self._composer = composer
        self._feedback = feedback

    def why(self, delivery_id: str) -> Why:
        """Why a delivery is where it is; raises NotFound."""
        with self._context.store.reading() as reader:
            delivery = reader.delivery(delivery_id)
            if delivery is None:
                raise NotFound("delivery_id", delivery_id, "names no delivery")
            return self._why(reader, delivery)

    def _why(self, reader: Reader, delivery: Delivery) -> Why:
        now = self._context.timekeeper.glance()
        events = tuple(reader.events(delivery_id=delivery.id))
        waits = delivery.state in WAITING
        limit: str | None = None
        fills: tuple[Entry, ...] = ()
        place: int | None = None
        rule = self._context.rulebook.current(reader).rules.get(delivery.rule or "")
        if rule is not None:
            limit = str(rule.limit or rule.quiet or rule.window)
        paused = self._paused(reader, delivery) if waits else None
        if paused is not None:
            return _standing(delivery, paused, tuple(reader.attempts(delivery.id)), events)
        if waits:
            fills, place = self._fills(reader, delivery, now)
        decision = _decision(delivery, events)
        deliver_at = delivery.due_at if waits and delivery.due_at < NEVER else None
        if deliver_at is not None and deliver_at >= delivery.expires_at:
            deliver_at = None
        return Why(
            delivery.id,
            delivery.notification_id,
            delivery.recipient,
            delivery.type,
            delivery.channel,
            delivery.state.value,
            decision,
            delivery.rule,
            limit,
            delivery.reason,
            deliver_at,
            place,
            fills,
            tuple(reader.attempts(delivery.id)),
            events,
            _text(delivery, limit, deliver_at, place, len(fills)),
        )

    def _paused(self, reader: Reader, delivery: Delivery) -> Notification | None:
        """Its notification, if that is paused."""
        found = reader.notifications([delivery.notification_id]).get(delivery.notification_id)
        return found if found is not None and (found.paused or delivery.paused) else None

    def _fills(
        self, reader: Reader, delivery: Delivery, now: Millis
    ) -> tuple[tuple[Entry, ...], int]:
        checks = self._context.rulebook.current(reader).checks(delivery.kind)
        recipient = delivery.recipient
        line = reader.lines([recipient], LINE_MAX).get(recipient)
        waiting = line.waiting if line is not None else ()
        ids = [other.id for other in waiting]
        ahead = [
            Entry(max(other.due_at, now), other.kind)
            for other in waiting
            if other.due_at < delivery.due_at and other.due_at < NEVER
        ]
        history = reader.history([recipient], now - checks.reach_ms).get(recipient, [])
        person = reader.recipient(recipient)
        zone = zone_of(person.timezone if person is not None else "UTC")
        bounds = [b for b in checks.bounds if b.rule.name == delivery.rule]
        fills = blocking(bounds, sorted([*history, *ahead]), zone, max(now, delivery.due_at - 1))
        return tuple(fills), ids.index(delivery.id) + 1 if delivery.id in ids else 1

    def stats(self, notification_id: str) -> Stats:
        """The figures of a notification; raises NotFound."""
        deliveries: list[Delivery] = []
        with self._context.store.reading() as reader:
            if notification_id not in reader.notifications([notification_id]):
                raise NotFound("notification_id", notification_id, "names no notification")
            after = ""
            while page := reader.deliveries(
                notification_id=notification_id, after=after, limit=5000
            ):
                deliveries += page
                after = page[-1].id
            heads = {d.digest_id: reader.delivery(d.digest_id) for d in deliveries if d.digest_id}

        def who(*states: State) -> tuple[str, ...]:
            return _each(*(d.recipient for d in deliveries if d.state in states))

        unfinished = (State.QUEUED, State.DEFERRED, State.SENDING)
        digested = [d for d in deliveries if d.state is State.DIGESTED]
        carried = [(d.recipient, heads.get(d.digest_id or "")) for d in digested]
        arrived = [person for person, head in carried if head and head.state is State.DELIVERED]
        opened = [person for person, head in carried if head and head.opened_at is not None]
        gone = (State.LOST, State.BOUNCED)
        lost = [person for person, head in carried if head and head.state in gone]
        return Stats(
            notification_id,
            _each(*who(*WENT_OUT), *(recipient for recipient, _ in carried)),
            _each(*who(State.DELIVERED), *arrived),
            _each(*who(State.LOST, State.BOUNCED), *lost),
            _each(*(d.recipient for d in deliveries if d.opened_at is not None), *opened),
            who(*unfinished),
            who(*(set(State) - set(WENT_OUT) - set(unfinished) - {State.DIGESTED})),
        )

    def inbox(self, recipient: str, *, channel: str | None = None) -> Inbox:
        """What a recipient (by normal id) has received over one channel or all, oldest first.

        What came inside a digest is there too; reading it reads the digest.
        """
        with self._context.store.reading() as reader:
            book = self._context.rulebook.current(reader)
            person = reader.recipient(recipient)
            found = _received(reader, recipient, channel)
            notifications = reader.notifications(list({d.notification_id for d, _ in found}))
        locale = person.locale if person is not None else "en"
        items = []
        for delivery, carrier in found:
            content = notifications[delivery.notification_id].content
            try:
                parts = self._composer.render(content, book, locale, delivery)
            except RenderError as error:  # its template was changed or removed since
                parts = Rendered(content.subject or delivery.type, f"({error})", None)
            items.append(
                InboxItem(
                    delivery.id,
                    delivery.notification_id,
                    delivery.type,
                    delivery.channel,
                    parts.subject,
                    parts.text,
                    carrier.updated_at,
                    carrier.opened_at is not None,
                    carrier.id,
                )
            )
        return Inbox(items, self._feedback)


def _standing(
    delivery: Delivery,
    notification: Notification,
    attempts: tuple[Attempt, ...],
    events: tuple[Event, ...],
) -> Why:
    """Why a delivery waits whose notification is paused."""
    who = f"{delivery.type} to {delivery.recipient} over {delivery.channel}"
    since = notification.paused_at or 0
    by = f" by {notification.paused_by}" if notification.paused_by else ""
    end = f", and expires at {iso(delivery.expires_at)}" if delivery.expires_at < NEVER else ""
    return Why(
        delivery.id,
        delivery.notification_id,
        delivery.recipient,
        delivery.type,
        delivery.channel,
        delivery.state.value,
        "pause",
        None,
        None,
        delivery.reason,
        None,
        None,
        (),
        attempts,
        events,
        f"{who} is paused since {iso(since)}{by}; it goes no sooner than it is resumed{end}",
        since,
        notification.paused_by,
    )


def _each(*recipients: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(recipients))


def _received(
    reader: Reader, recipient: str, channel: str | None
) -> list[tuple[Delivery, Delivery]]:
    """What has arrived at a recipient, each with the delivery that carried it."""
    delivered: dict[str, Delivery] = {}
    digested: list[Delivery] = []
    after = ""
    while page := reader.deliveries(recipient=recipient, after=after):
        after = page[-1].id
        for delivery in page:
            if channel not in (None, delivery.channel):
                continue
            if delivery.state is State.DELIVERED:
                delivered[delivery.id] = delivery
            elif delivery.state is State.DIGESTED:
                digested.append(delivery)
    found = [(delivery, delivery) for delivery in delivered.values()]
    found += [(d, delivered[d.digest_id]) for d in digested if d.digest_id in delivered]
    return sorted(found, key=lambda pair: (pair[1].updated_at, pair[0].id))


def _decision(delivery: Delivery, events: Sequence[Event]) -> str:
    """The last decision of the rules about a delivery, in the words of a receipt."""
    if delivery.group:
        return delivery.group.partition(":")[0]
    words = {
        State.DEFERRED: "defer",
        State.REJECTED: "reject",
        State.SUPPRESSED: "suppress",
        State.EXPIRED: "expire",
        State.SUPERSEDED: "collapse",
        State.DIGESTED: "digest",
        State.CANCELLED: "cancel",
    }
    return words.get(delivery.state, "send") if events else "send"


def _text(
    delivery: Delivery, limit: str | None, deliver_at: Millis | None, place: int | None, fills: int
) -> str:
    """One sentence for a person."""
    who = f"{delivery.type} to {delivery.recipient} over {delivery.channel}"
    if delivery.state in WAITING:
        cause = f"waits because of rule {delivery.rule} ({limit})" if delivery.rule else "waits"
        if fills and delivery.rule:
            cause += f", whose window holds {fills} attempts and planned slots"
        if delivery.reason:
            cause += f" after: {delivery.reason}"
        if deliver_at is None:
            return f"{who} {cause}; no slot is free before it expires or the rules change"
        return f"{who} {cause}; it is number {place} in line and goes at {iso(deliver_at)}"
    facts = [f"{who} is {delivery.state}"]
    if delivery.rule:
        facts.append(f"rule {delivery.rule}" + (f" ({limit})" if limit else ""))
    if delivery.reason:
        facts.append(delivery.reason)
    return ": ".join(facts)
