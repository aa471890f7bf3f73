"""Rules, types and templates in force.

Policies are versioned data in the store; every version is kept. The rulebook holds what is in
force as compiled checks and looks at the store's epoch in the very transaction that decides, so a
change that has been committed governs every later decision, in every process: the staleness of
this cache is zero for decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tactful.core.checks import Checks, compile_checks
from tactful.core.model import Kind, NotificationType
from tactful.core.rules import Limit, Rule, rule_from
from tactful.ports import Reader, Tx
from tactful.templates.library import Template

RULE = "rule"
TYPE = "type"
TEMPLATE = "template"
STRANGERS_MAX = 1000


class Book:
    """The policies of one epoch, ready for use; immutable but for its memos.

    `reach_ms` is how far back any of its limits looks.
    """

    def __init__(
        self,
        epoch: int,
        rules: Sequence[Rule],
        types: Mapping[str, NotificationType],
        templates: Sequence[Template],
    ) -> None:
        self.epoch = epoch
        self.rules = {rule.name: rule for rule in rules}
        limits = [rule.limit for rule in rules if isinstance(rule.limit, Limit)]
        self.reach_ms = max((limit.reach_ms for limit in limits), default=0)
        self.types = types
        self.templates = templates
        self._checks: dict[Kind, Checks] = {}
        self._undeclared: dict[str, NotificationType] = {}
        self._named = {name for rule in rules for name in rule.types or ()}
        self._by_name: dict[str, list[Template]] = {}
        for template in templates:
            self._by_name.setdefault(template.name, []).append(template)

    def checks(self, kind: Kind) -> Checks:
        """What the rules say about this kind."""
        found = self._checks.get(kind)
        if found is None:
            found = self._checks[kind] = compile_checks(list(self.rules.values()), kind)
        return found

    def knows(self, name: str) -> bool:
        """Whether a type has been declared or a rule speaks of it."""
        return name in self.types or name in self._named

    def type(self, name: str) -> NotificationType:
        """The type with this name, or the default policy under it."""
        found = self.types.get(name) or self._undeclared.get(name)
        if found is None:
            found = self._undeclared[name] = NotificationType(name)
        return found

    def named(self, template: str) -> Sequence[Template]:
        """All locales and channels of a template."""
        return self._by_name.get(template, ())

    def digests(self, rule: str) -> bool:
        """Whether a rule of this name still puts what is over it into digests."""
        found = self.rules.get(rule)
        return found is not None and found.on_limit == "digest"


class Rulebook:
    """Gives the book in force, read anew only when the store's epoch has moved."""

    def __init__(self) -> None:
        self._book = Book(-1, (), {}, ())
        self._strangers: set[str] = set()

    @property
    def known(self) -> Book:
        """The newest book that was read here: at least as new as those that decided anything."""
        return self._book

    def current(self, reader: Reader) -> Book:
        """The book in force in this transaction, which must not itself have changed a policy."""
        book, epoch = self._book, reader.epoch()
        if epoch == book.epoch:
            return book
        found = Book(
            epoch,
            [rule_from(policy.body or {}) for policy in reader.policies(RULE)],
            {p.name: type_from(p.body or {}) for p in reader.policies(TYPE)},
            [Template(**(policy.body or {})) for policy in reader.policies(TEMPLATE)],
        )
        if epoch > self._book.epoch:  # an older snapshot must not bring its book back
            self._book = found
        return found

    def first_seen(self, tx: Tx, name: str) -> bool:
        """Whether this unknown type is met for the first time in this store; notes that it was."""
        if name in self._strangers or len(self._strangers) >= STRANGERS_MAX:
            return False
        key = f"unknown type {name}"
        if tx.note(key) is not None:
            self._strangers.add(name)
            return False
        tx.set_note(key, "seen")
        return True


def type_from(body: Mapping[str, Any]) -> NotificationType:
    """A type from its stored form."""
    return NotificationType(**{**body, "channels": tuple(body.get("channels", ()))})
