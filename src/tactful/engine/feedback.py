"""Facts from outside: what happened to a delivery after it was sent.

A fact moves a delivery only along `core.lifecycle`: what was not sent cannot have arrived, what has
not arrived cannot be opened. A fact that does not fit, or speaks of something unknown, changes
nothing and harms nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tactful.core.errors import RequestError
from tactful.core.lifecycle import FEEDBACK, can_move
from tactful.core.model import Event, Millis, State
from tactful.engine.context import Context
from tactful.ports import Result, Tx


class Feedback:
    """Applies facts from outside."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(self, name: str, delivery_id: str, data: Mapping[str, Any] | None = None) -> bool:
        """Apply one fact; True if it was news. See `record_many`."""
        return self.record_many([(name, delivery_id, data or {})]) == 1

    def record_many(self, facts: list[tuple[str, str, Mapping[str, Any]]]) -> int:
        """Apply facts `(name, delivery id, data)` in one transaction; gives how many were news.

        Names are delivered, lost, bounced, opened and clicked; raises RequestError for others.
        """
        for name, _, _ in facts:
            if name not in FEEDBACK:
                raise RequestError("event", name, f"must be one of {', '.join(FEEDBACK)}")
        applied = 0
        with self._context.store.transaction(durable=False) as tx:
            now = self._context.timekeeper.now(tx)
            events: list[Event] = []
            for name, delivery_id, data in facts:
                delivery = tx.delivery(delivery_id)
                if delivery is None:
                    continue
                news = False
                target = FEEDBACK[name]
                if can_move(delivery.state, target) and delivery.state is not State.SENDING:
                    result = Result(
                        delivery_id,
                        None,
                        target,
                        now,
                        rule=delivery.rule,
                        reason=data.get("reason"),
                        tries=delivery.tries,
                        crashes=delivery.crashes,
                    )
                    news = not tx.settle([result], [])
                    if news and target.value != name:
                        events.append(Event(target.value, delivery_id, now))
                if name in ("opened", "clicked"):
                    news = self._engage(tx, name, delivery_id, now)
                if news:
                    applied += 1
                    events.append(Event(name, delivery_id, now, data=data))
            tx.add_events(events)
        if applied:
            self._context.changed()
        return applied

    def _engage(self, tx: Tx, name: str, delivery_id: str, now: Millis) -> bool:
        clicked = name == "clicked"
        before = tx.delivery(delivery_id)
        if before is None or before.state is not State.DELIVERED:
            return False
        if clicked and before.clicked_at is not None:
            return False
        return bool(tx.engage(delivery_id, now, now if clicked else None)) or clicked
