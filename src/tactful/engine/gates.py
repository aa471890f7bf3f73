"""Lines at throughput gates, where somebody who stood in them is gone.

Such a line is kept as its end alone: where the next one goes who comes (`dispatch`). A hole in the
middle cannot be filled, so the line is begun anew, and all who are held ask for a new place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tactful.core.model import Millis
from tactful.engine.context import Context
from tactful.engine.line import end_of_line
from tactful.ports import Delivery, Tx


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
        names = sorted(lines)
        tx.cells(names)
        tx.set_cells(dict.fromkeys(names, 0))
        tx.wake(now)
        return now

    if lines:
        context.committed(begin)
