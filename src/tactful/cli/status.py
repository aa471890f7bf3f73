"""`tactful status`: the whole at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from tactful.cli.engine import configured, opened
from tactful.cli.instants import instant, span
from tactful.cli.options import facts, shared, show


@click.command("status")
@shared
def command() -> None:
    """Show the whole at a glance."""
    config = configured()
    with opened(config) as app:
        status = app.status() | {"store": config.shown_store}
        rules = [
            (rule.name, str(rule.limit or rule.quiet or rule.window)) for rule in app.rules.list()
        ]
        with app.store.reading() as reader:
            unfinished = [
                {"notification_id": one.id, "reached": one.cursor, "of": one.audience_end}
                for one in reader.unfinished_broadcasts()
            ]
        data = status | {"rules_in_force": dict(rules), "broadcasts_under_way": unfinished}
        show(data, _lines(data))


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    now = data["now"]
    due = "nothing waits" if data["next_due"] is None else instant(data["next_due"], now)
    yield from facts(
        [
            ("store", data["store"]),
            ("now", instant(now, now)),
            ("next due", due),
            ("behind", span(data["behind_ms"]) if data["behind_ms"] else "no"),
        ]
    )
    yield from ("", "Deliveries:")
    states = [(f"  {state}", count) for state, count in data["states"].items() if count]
    yield from facts(states) or ["  none yet"]
    yield from ("", "Rules:")
    rules = [(f"  {name}", what) for name, what in data["rules_in_force"].items()]
    yield from facts(rules) or ["  none: everything goes at once"]
    for one in data["broadcasts_under_way"]:
        yield from ("", f"Broadcast {one['notification_id']}: {one['reached']} of {one['of']}")
    for one in data["paused"]:
        by = f" by {one['by']}" if one["by"] else ""
        yield from ("", f"Paused {one['notification_id']} since {instant(one['at'], now)}{by}")
    if data["unknown_types"]:
        yield from ("", f"No rule and no type knows: {', '.join(data['unknown_types'])}")
