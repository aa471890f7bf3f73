"""The names that labels may have: those that were declared, and nothing that a caller made up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from tactful.ports import Fact, Reader
from tactful.telemetry.catalogue import OTHER

FULL: Final = "waiting_max"
"""What the engine says in place of a rule where too much waits for one person."""


class Names(NamedTuple):
    """The names in force; all others are `other`."""

    types: frozenset[str]
    rules: frozenset[str]
    channels: frozenset[str]

    def terms(self, fact: Fact) -> tuple[str, str, str]:
        """The labels `type`, `channel` and `rule` of a fact."""
        rule = fact.rule or ""
        return (
            fact.type if fact.type in self.types else OTHER,
            fact.channel if fact.channel in self.channels else OTHER,
            rule if not rule or rule in self.rules else OTHER,
        )


class Declared:
    """Keeps the names, and reads them anew only when a policy was changed."""

    def __init__(self, channels: Collection[str]) -> None:
        self._epoch = -1
        self._names = Names(frozenset(), frozenset(), frozenset(channels))

    def names(self, reader: Reader) -> Names:
        """The names in force."""
        epoch = reader.epoch()
        if epoch != self._epoch:
            rules = reader.policies("rule")
            named = {name for rule in rules for name in (rule.body or {}).get("types") or ()}
            types = {policy.name for policy in reader.policies("type")} | named
            self._names = self._names._replace(
                types=frozenset(types), rules=frozenset({FULL, *(rule.name for rule in rules)})
            )
            self._epoch = epoch
        return self._names
