"""Throughput gates: who may pass in one round, and the lines of those who wait at them.

Such a line is kept as its end alone: where the next one goes who comes. A hole in the middle cannot
be filled: where somebody who stood in it is gone, the line is begun anew, and all who are held ask
for a new place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from tactful.core.checks import Checks, Gate
from tactful.core.errors import Unavailable
from tactful.core.model import Millis
from tactful.core.throughput import conform, known, slot_behind
from tactful.engine.context import Context
from tactful.engine.line import end_of_line
from tactful.engine.replanning import ask, carry_on
from tactful.engine.rulebook import Book
from tactful.ports import Delivery, Tx


class Gates:
    """The gates that these deliveries meet in one transaction; `changed` is what is to be stored.

    Beside each gate's theoretical arrival time stands the latest instant at which one passed: the
    workers' clocks differ by some milliseconds.
    """

    def __init__(self, tx: Tx, book: Book, rows: Sequence[Delivery], now: Millis) -> None:
        self._epoch = book.epoch
        self._now = now
        self._behind: dict[str, int] = {}
        keys = {
            gate.key(row.channel, row.address)
            for row in rows
            for gate in book.checks(row.kind).gates
        }
        named = [*keys, *map(self._line_of, keys), *map(latest_of, keys)]
        self._cells = tx.cells(named) if keys else {}
        self.changed: dict[str, int] = {}

    def turn(self, head: Delivery, checks: Checks) -> tuple[Millis, str] | None:
        """When it may ask again and for whose sake; None if it may go now, and is counted."""
        passed: dict[str, int] = {}
        for gate in checks.gates:
            key = gate.key(head.channel, head.address)
            latest = max(self._cells.get(latest_of(key), 0), self._now * 1000)
            stored = self._cells.get(key, 0)
            tat = known(gate.cell, stored, latest)
            if tat < stored:
                self._keep({key: tat, latest_of(key): latest})
            new, _ = conform(gate.cell, tat, self._now)
            if new is None or self._behind.get(key):
                return self._place(gate, key, tat, head), gate.rule.name
            passed |= {key: new, latest_of(key): latest}
        self._keep(passed)
        return None

    def _keep(self, cells: Mapping[str, int]) -> None:
        self._cells |= cells
        self.changed |= cells

    def _line_of(self, key: str) -> str:
        """The name of the cell that holds the end of a gate's line, under the rules in force."""
        return end_of_line(key, self._epoch)

    def _place(self, gate: Gate, key: str, tat: int, head: Delivery) -> Millis:
        """When to ask again: behind all who wait, or as soon as can be for who has waited.

        Were it not for the line, all that waits would be planned for the same next slots at every
        claim, and looked at again and again until it goes.
        """
        if head.held and head.rule == gate.rule.name:
            ahead = self._behind.get(key, 0)
            self._behind[key] = ahead + 1
            return slot_behind(gate.cell, tat, ahead, self._now)
        line = self._line_of(key)
        end = max(tat, self._cells.get(line, 0), self._now * 1000 + gate.cell.tolerance_us)
        self._keep({line: end + gate.cell.period_us})
        return slot_behind(gate.cell, end, 0, self._now)


def latest_of(gate: str) -> str:
    """The name of the cell that holds the latest instant at which one passed; no domain has it."""
    return f"{gate}\n@"


def lines_of(context: Context, gone: Sequence[Delivery]) -> set[str]:
    """The lines in which these stood."""
    if not any(row.held for row in gone):
        return set()
    with context.store.reading() as reader:
        book = context.rulebook.current(reader)
    return {
        end_of_line(gate.key(row.channel, row.address), book.epoch)
        for row in gone
        for gate in book.checks(row.kind).gates
        if row.held and row.rule == gate.rule.name
    }


def move_up(context: Context, lines: Collection[str]) -> None:
    """Begin these lines anew, with those who are left."""

    def begin(tx: Tx) -> Millis:
        tx.guard([])
        now = context.timekeeper.now(tx)
        ask(tx)
        names = sorted(lines)
        tx.cells(names)
        tx.set_cells(dict.fromkeys(names, 0))
        return now

    if lines:
        context.committed(begin)
        with suppress(Unavailable):  # it is asked for, so whoever works carries on
            carry_on(context.store, context.timekeeper.now)
