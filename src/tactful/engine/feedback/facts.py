"""Facts from outside: what happened to a delivery after it was sent.

A fact moves a delivery only along `core.lifecycle`: what was not sent cannot have arrived, what has
not arrived cannot be opened. A fact that does not fit, or speaks of something unknown, changes
nothing and harms nobody.

An `opened` or `clicked` says in its data `by` whose it was. Those of programs are recorded once for
each kind of program and leave the figures alone. A proxy has the mail from where it arrived; a
scanner may have it from anywhere on its way, so it says nothing about arrival.

A bounce that says whether it is `hard` or `soft`, and a complaint, also count against the address
(`engine.feedback.bounces`). They do so even where they come too late to move the delivery, which
leaves the event `late`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from tactful.core.errors import RequestError
from tactful.core.lifecycle import FEEDBACK, WENT_OUT, can_move
from tactful.core.model import Event, Millis, State
from tactful.engine.context import Context
from tactful.engine.feedback.bounces import BOUNCE, consequences
from tactful.ports import Delivery, Result, Tx

PERSON: Final = "person"
PROXY: Final = "proxy"
SCANNER: Final = "scanner"
_ENGAGED: Final = ("opened", "clicked")

Told: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""A name, the id of a delivery, and what else is known."""


class Feedback:
    """Applies facts from outside."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(self, name: str, delivery_id: str, data: Mapping[str, Any] | None = None) -> bool:
        """Apply one fact; True if it was news. See `record_many`."""
        return self.record_many([(name, delivery_id, data or {})]) == 1

    def record_many(self, facts: Sequence[Told]) -> int:
        """Apply facts `(name, delivery id, data)` in one transaction; gives how many were news.

        Names are delivered, lost, bounced, opened, clicked and complained; raises RequestError for
        others. `by` in the data of opened and clicked is person, proxy or scanner; a person's by
        default.
        """
        for name, _, _ in facts:
            if name not in FEEDBACK:
                raise RequestError("event", name, f"must be one of {', '.join(FEEDBACK)}")
        with self._context.store.transaction(durable=False) as tx:
            now = self._context.timekeeper.now(tx)
            applied = sum(self.apply(tx, now, facts))
        if applied:
            self._context.changed()
        return applied

    def apply(self, tx: Tx, now: Millis, facts: Sequence[Told]) -> list[bool]:
        """Apply facts within a transaction; gives for each whether it was news."""
        events: list[Event] = []
        applied = []
        for name, delivery_id, data in facts:
            delivery = tx.delivery(delivery_id)
            if delivery is None or delivery.state is State.SENDING:
                applied.append(False)
                continue
            by = data.get("by", PERSON)
            news = by != SCANNER and _move(tx, delivery, FEEDBACK[name], now, data.get("reason"))
            if news and FEEDBACK[name].value != name:
                events.append(Event(FEEDBACK[name].value, delivery_id, now))
            if name in _ENGAGED and by not in (PROXY, SCANNER):
                news = self._engage(tx, name, delivery_id, now)
            elif name in _ENGAGED or name == "complained":
                news = _is_first(tx, events, delivery_id, name, by)
            late = name == "bounced" and not news and BOUNCE in data and _was_handed_over(delivery)
            if news:
                events.append(Event(name, delivery_id, now, data=data))
            elif late:
                events.append(Event("late", delivery_id, now, data={"result": name, **data}))
            if late or (news and name in ("bounced", "complained")):
                tolerance = self._context.settings.feedback
                events += consequences(tx, delivery, (name, data), now, tolerance)
            applied.append(news)
        tx.add_events(events)
        return applied

    def _engage(self, tx: Tx, name: str, delivery_id: str, now: Millis) -> bool:
        clicked = name == "clicked"
        before = tx.delivery(delivery_id)
        if before is None or before.state is not State.DELIVERED:
            return False
        if clicked and before.clicked_at is not None:
            return False
        return bool(tx.engage(delivery_id, now, now if clicked else None)) or clicked


def _move(tx: Tx, delivery: Delivery, to: State, now: Millis, reason: Any) -> bool:
    """Bring a delivery into the state that a fact speaks of; whether it was not there yet."""
    if not can_move(delivery.state, to):
        return False
    result = Result(
        delivery.id,
        None,
        to,
        now,
        rule=delivery.rule,
        reason=reason,
        tries=delivery.tries,
        crashes=delivery.crashes,
    )
    return not tx.settle([result], [])


def _is_first(tx: Tx, new: Sequence[Event], delivery_id: str, name: str, by: Any) -> bool:
    """Whether this is the first such fact, of this kind of origin, of a delivery that went out."""
    delivery = tx.delivery(delivery_id)
    if delivery is None or delivery.state not in WENT_OUT:
        return False
    before = [*tx.events(delivery_id=delivery_id, name=name), *new]
    return not any(
        (event.delivery_id, event.name, event.data.get("by", PERSON)) == (delivery_id, name, by)
        for event in before
    )


def _was_handed_over(delivery: Delivery) -> bool:
    """Whether a bounce may be about it, though it is not in a state to bounce."""
    return delivery.attempts > 0 and delivery.state is not State.BOUNCED
