"""How a failed transaction leaves no trace.

Every verb notes how to undo a change *before* it makes the change, and each undo step also works
where its change was never made: an interrupt may come between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

_MISSING: Any = object()


def _restore_item(table: dict[Any, Any], key: Any, old: Any) -> None:
    if old is _MISSING:
        table.pop(key, None)
    else:
        table[key] = old


class Journal:
    """The undo steps of the transaction that runs."""

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def note(self, undo: Callable[..., object], *arguments: Any) -> None:
        """Call `undo` with the arguments if the transaction fails."""
        self._steps.append((undo, arguments))

    def put(self, table: dict[_K, _V], key: _K, value: _V) -> None:
        """Set one item of a dict."""
        self._steps.append((_restore_item, (table, key, table.get(key, _MISSING))))
        table[key] = value

    def drop(self, table: dict[_K, _V], key: _K) -> None:
        """Remove one item of a dict, if it is there."""
        self._steps.append((_restore_item, (table, key, table.get(key, _MISSING))))
        table.pop(key, None)

    def assign(self, owner: object, name: str, value: object) -> None:
        """Set one attribute."""
        self._steps.append((setattr, (owner, name, getattr(owner, name))))
        setattr(owner, name, value)

    def commit(self) -> None:
        """What was done stays."""
        self._steps.clear()

    def roll_back(self) -> None:
        """Undo everything since the last commit, the latest change first."""
        while self._steps:
            undo, arguments = self._steps.pop()
            undo(*arguments)
