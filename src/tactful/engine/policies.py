"""Rules, types and templates as versioned data: put, remove, history, revert.

Every change is one more version in the store, in force for every process as soon as it is
committed. A change to the rules makes all that a rule holds due for a new decision: what waited
under the old rules finds its slot under the new ones, and nothing is lost over it.

What a change makes of what is in force it reads in its own transaction, which is alone with people
and policies: of two at once neither is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic, TypeAlias, TypeVar

from tactful.core.errors import InvalidRule, NotFound, RequestError
from tactful.core.model import DAY, Event, NotificationType
from tactful.core.names import name_key
from tactful.core.rules import Limit, Rule, parse_priority, rule_from
from tactful.engine.context import Context
from tactful.engine.replanning import replan
from tactful.engine.requests import parse_duration
from tactful.engine.rulebook import RULE, TEMPLATE, TYPE, type_from
from tactful.ports import Policy, Tx
from tactful.templates.library import Renderer, Template

P = TypeVar("P")
Change: TypeAlias = tuple[str, Mapping[str, Any] | None]
"""A name with its new body; None takes it out of force."""


class Policies(Generic[P]):
    """One kind of policy; see the module."""

    def __init__(
        self,
        context: Context,
        kind: str,
        read: Callable[[Mapping[str, Any]], P],
        write: Callable[[P], tuple[str, dict[str, Any]]],
    ) -> None:
        self._context = context
        self._kind = kind
        self._read = read
        self._write = write

    def put(self, *values: P, author: str = "") -> int:
        """Add or change; gives the version. One transaction: all or none."""
        bodies = [self._write(value) for value in values]
        return self._change(lambda _: bodies, author)

    def add(self, value: P, *, author: str = "") -> int:
        """Add one under a new name; gives the version. Raises RequestError if the name is taken."""
        name, body = self._write(value)

        def new(tx: Tx) -> Sequence[Change]:
            if name in self._bodies(tx):
                raise RequestError("name", name, f"is the name of a {self._kind}")
            return [(name, body)]

        return self._change(new, author)

    def edit(self, name: str, change: Callable[[P], P], *, author: str = "") -> P:
        """Make something else of what is in force, whatever others change; gives what it is now.

        Raises NotFound.
        """
        name = name_key(name, "name")
        made: list[P] = []

        def other(tx: Tx) -> Sequence[Change]:
            before = self._bodies(tx).get(name)
            if before is None:
                raise NotFound("name", name, f"is no {self._kind} in force")
            made.append(change(self._read(before)))
            after = self._write(made[-1])
            return [after] if after[1] != before else []

        self._change(other, author)
        return made[-1]

    def remove(self, name: str, *, author: str = "") -> int:
        """Take it out of force; gives the version. Raises NotFound."""
        name = name_key(name, "name")

        def gone(tx: Tx) -> Sequence[Change]:
            if name not in self._bodies(tx):
                raise NotFound("name", name, f"is no {self._kind} in force")
            return [(name, None)]

        return self._change(gone, author)

    def get(self, name: str) -> P | None:
        """What is in force under this name."""
        wanted = name_key(name, "name")
        return next((value for key, value in self._in_force() if key == wanted), None)

    def list(self) -> Sequence[P]:
        """All that is in force, by name."""
        return [value for _, value in self._in_force()]

    def history(self, name: str | None = None) -> Sequence[Policy]:
        """All versions, oldest first."""
        wanted = None if name is None else name_key(name, "name")
        with self._context.store.reading() as reader:
            return reader.policy_history(self._kind, wanted)

    def revert(self, version: int, *, author: str = "") -> int:
        """Put everything of this kind back as it was at a version; gives the new version.

        Raises NotFound if there is no such version.
        """
        past: set[int] = set()

        def back(tx: Tx) -> Sequence[Change]:
            history, now = tx.policy_history(self._kind), self._bodies(tx)
            past.update(policy.version for policy in history)
            if version not in past:
                raise NotFound("version", version, f"is no version of a {self._kind}")
            then = {policy.name: policy.body for policy in history if policy.version <= version}
            return [
                (name, then.get(name))
                for name in sorted({*now, *then})
                if now.get(name) != then.get(name)
            ]

        return self._change(back, author) or max(past)

    def apply(self, values: Iterable[P], *, author: str = "") -> dict[str, Sequence[str]]:
        """Make exactly these be in force; gives the names that were set, removed and unchanged."""
        wanted = dict(self._write(value) for value in values)
        done: dict[str, Sequence[str]] = {}

        def exactly(tx: Tx) -> Sequence[Change]:
            now = self._bodies(tx)
            done["set"] = [name for name in wanted if now.get(name) != wanted[name]]
            done["removed"] = [name for name in now if name not in wanted]
            done["unchanged"] = [name for name in wanted if name not in done["set"]]
            return [(name, wanted.get(name)) for name in (*done["set"], *done["removed"])]

        self._change(exactly, author)
        return done

    def _in_force(self) -> Sequence[tuple[str, P]]:
        with self._context.store.reading() as reader:
            policies = reader.policies(self._kind)
        return [(policy.name, self._read(policy.body or {})) for policy in policies]

    def _bodies(self, tx: Tx) -> Mapping[str, Mapping[str, Any] | None]:
        return {policy.name: policy.body for policy in tx.policies(self._kind)}

    def _change(self, decide: Callable[[Tx], Sequence[Change]], author: str) -> int:
        """Make the changes that follow from what is in force; gives the version, 0 for none."""
        version = 0
        with self._context.store.transaction() as tx:
            tx.alone()
            now = self._context.timekeeper.now(tx)
            changes = decide(tx)
            for name, body in changes:
                version = tx.put_policy(self._kind, name, body, now, author)
            if changes:
                self._changed(tx, now, [name for name, _ in changes])
        if version:
            self._context.changed()
        return version

    def _changed(self, tx: Tx, now: int, names: Sequence[str]) -> None:
        if self._kind == RULE:
            replan(tx, now)
        facts = {"names": list(names)}
        tx.add_events([Event(f"{self._kind}.changed", "", now, data=facts)])


def rules_of(context: Context) -> Policies[Rule]:
    """The rules of an engine."""

    def write(rule: Rule) -> tuple[str, dict[str, Any]]:
        if not isinstance(rule, Rule):
            raise InvalidRule("rule", rule, "must be a Rule")
        reach = rule.limit.reach_ms if isinstance(rule.limit, Limit) else 0
        if reach > context.settings.history_ms:
            days = context.settings.history_ms // DAY
            raise InvalidRule(
                "limit", str(rule.limit), f"reaches further than the {days} days kept"
            )
        for way in rule.channels or ():
            if way not in context.channels:
                known = ", ".join(sorted(context.channels))
                raise InvalidRule("channels", way, f"must be one of {known}")
        return rule.name, rule.to_dict()

    return Policies(context, RULE, rule_from, write)


def types_of(context: Context) -> Policies[NotificationType]:
    """The notification types of an engine."""

    def write(value: NotificationType) -> tuple[str, dict[str, Any]]:
        if not isinstance(value, NotificationType):
            raise RequestError("type", value, "must be a NotificationType")
        name = name_key(value.name, "name")
        ways = [name_key(way, "channels") for way in value.channels]
        for way in ways:
            if way not in context.channels:
                known = ", ".join(sorted(context.channels))
                raise RequestError("channels", way, f"must be one of {known}")
        if value.on_ambiguous not in ("retry", "hold"):
            raise RequestError("on_ambiguous", value.on_ambiguous, "must be retry or hold")
        return name, {
            "name": name,
            "category": name_key(value.category, "category"),
            "channels": ways,
            "priority": parse_priority(value.priority, "priority").name.lower(),
            "ttl_ms": None if value.ttl_ms is None else parse_duration(value.ttl_ms, "ttl_ms"),
            "on_ambiguous": value.on_ambiguous,
            "mandatory": bool(value.mandatory),
            "tracked": bool(value.tracked),
        }

    return Policies(context, TYPE, type_from, write)


def templates_of(context: Context) -> Policies[Template]:
    """The templates of an engine; each locale and channel of one has a version of its own."""
    renderer = Renderer()

    def write(value: Template) -> tuple[str, dict[str, Any]]:
        if not isinstance(value, Template):
            raise RequestError("template", value, "must be a Template")
        renderer.check(value)
        body = {**asdict(value), "name": name_key(value.name, "name")}
        key = "/".join(filter(None, (body["name"], value.locale, value.channel)))
        return name_key(key, "name"), body

    return Policies(context, TEMPLATE, lambda body: Template(**body), write)
