"""What a file says about rules, types and templates, beside what is in force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tactful.app import Tactful
from tactful.cli.engine import author
from tactful.config import Policies
from tactful.core.model import State
from tactful.core.rules import Rule

PAGE = 5_000


def compare(app: Tactful, wanted: Sequence[Rule]) -> dict[str, Sequence[str]]:
    """What `app.rules.apply` would do, without doing it."""
    now = {rule.name: rule.to_dict() for rule in app.rules.list()}
    names = {rule.name: rule.to_dict() for rule in wanted}
    return {
        "set": [name for name, body in names.items() if now.get(name) != body],
        "removed": [name for name in now if name not in names],
        "unchanged": [name for name, body in names.items() if now.get(name) == body],
    }


def put_others(app: Tactful, policies: Policies) -> dict[str, list[str]]:
    """Put the types and templates of a file in force where they differ; removes none."""
    types = [one for one in policies.types or () if app.types.get(one.name) != one]
    if types:
        app.types.put(*types, author=author())
    now = list(app.templates.list())
    templates = [one for one in policies.templates or () if one not in now]
    if templates:
        app.templates.put(*templates, author=author())
    return {"types": [one.name for one in types], "templates": [one.name for one in templates]}


def held(app: Tactful) -> int:
    """How many deliveries a rule holds: a change of rules decides them anew."""
    count, after = 0, ""
    while page := app.deliveries(state=State.DEFERRED, after=after, limit=PAGE):
        count += sum(delivery.held for delivery in page)
        after = page[-1].id
    return count


def told(change: dict[str, Any]) -> Iterator[str]:
    """One line for each thing that was done."""
    for what, names in change.items():
        if isinstance(names, list) and names:
            yield f"{what}: {', '.join(names)}"
