"""A run, decision by decision: one JSON document a line, in the order of time.

Two traces of the same scenario are equal byte for byte. Lines say `submitted` with the decision and
its terms, `sent` for each hand-over that was accepted, and `ended` with the last state of each
delivery.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from tactful.core.model import Millis
from tactful.sim.run import Run


def write_trace(run: Run, lines: TextIO) -> None:
    """Write a run's trace."""
    for line in sorted(trace(run), key=lambda one: one[:2]):
        lines.write(json.dumps(line[2], separators=(",", ":"), ensure_ascii=False) + "\n")


def trace(run: Run) -> Iterator[tuple[Millis, int, dict[str, Any]]]:
    """Instant, place among those at this instant, and what happened."""
    place = 0
    for one in run.submitted:
        place += 1
        terms = {key: value for key, value in one.receipt.to_dict().items() if value is not None}
        facts = {"name": one.arrival.name, "to": one.arrival.to, "type": one.arrival.fields["type"]}
        yield one.arrival.at, place, {"at": one.arrival.at, "what": "submitted", **facts, **terms}
    for delivery_id, (at, recipient) in run.sent.items():
        place += 1
        facts = {"delivery": delivery_id, "recipient": recipient}
        yield at, place, {"at": at, "what": "sent", **facts}
    for row in run.deliveries:
        place += 1
        facts = {"delivery": row.id, "state": row.state.value, "rule": row.rule}
        yield row.updated_at, place, {"at": row.updated_at, "what": "ended", **facts}
