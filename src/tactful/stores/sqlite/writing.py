"""Changes to the SQLite store; see `ports.Tx` for what each promises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from tactful.core.model import Millis
from tactful.ports import EVERYTHING, Ages, Delivery, Lease
from tactful.stores.relational.rows import Row, delivery_from, dumps
from tactful.stores.relational.writing import Writing, fairly
from tactful.stores.sqlite.reading import LATEST_ATTEMPT, SqliteReader, encode_lists

_PORTION: Final = 128


@cache
def for_rows(sql: str, width: int, count: int) -> str:
    """The text of a query with placeholders for so many rows of so many columns."""
    row = f"({', '.join('?' * width)})"
    return sql.replace("{rows}", ", ".join([row] * count))


class SqliteTx(SqliteReader, Writing):
    """`ports.Tx` on the one connection that writes: it has the file to itself."""

    def guard(self, recipients: Sequence[str]) -> None:
        pass

    def alone(self) -> None:
        pass

    def due(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        passed = dumps(list(busy))
        asked: dict[int, dict[str, Any]] = {
            priority: {"priority": priority, "now": now - age, "busy": passed}
            for priority, age in ages.items()
        }
        most = max(1, limit // 10)
        some = {
            priority: self._one("due_some", **which, most=most)[0]
            for priority, which in asked.items()
        }

        def take(priority: int, room: int) -> list[Delivery]:
            rows = self._all("due", **asked[priority], most=room)
            return [delivery_from(row) for row in rows]

        return fairly(some, limit, take)

    def lease(self, leases: Sequence[Lease]) -> None:
        super().lease(leases)
        if leases:
            latest = max(self.latest_attempt() or 0, *(lease.attempt.at for lease in leases))
            self.set_note(LATEST_ATTEMPT, str(latest))

    def begin(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        held = self._held(claims)
        self._many("begin", [(delivery_id,) for delivery_id in held])
        return held

    def renew(self, claims: Sequence[tuple[str, int]], until: Millis) -> list[str]:
        held = self._held(claims)
        self._many("renew", [(until, delivery_id) for delivery_id in held])
        return held

    def _held(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        """The ids whose claim still holds."""
        attempts = dict(self._all("sending", ids=[delivery_id for delivery_id, _ in claims]))
        return [id_ for id_, number in claims if attempts.get(id_) == number]

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        latest = self.latest_attempt()
        if latest is not None:
            self.set_note(LATEST_ATTEMPT, str(min(latest, to)))
        return super().turn_back(to, ahead_ms=ahead_ms)

    def _run(self, name: str, /, **values: Any) -> int:
        encode_lists(values)
        self._connection.execute(self._sql[name], values)
        return self._connection.changes()

    def _many(self, name: str, rows: Sequence[Row]) -> int:
        """Run a query on many rows; gives how many rows of the table it changed.

        They go in by portions that a statement takes in one step: every step lets other threads
        run, and with a step for each row a busy thread would be waited for at each of them.
        """
        changed = start = 0
        while start < len(rows):
            # Powers of two, so that few texts of each query are enough for any number of rows.
            size = min(_PORTION, 1 << (len(rows) - start).bit_length() - 1)
            portion = rows[start : start + size]
            sql = for_rows(self._sql[name], len(portion[0]), size)
            self._connection.execute(sql, list(chain.from_iterable(portion)))
            changed += self._connection.changes()
            start += size
        return changed
