"""The tables of a SQLite store, to be copied; see `stores.relational.copying`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import apsw

from tactful.stores.relational.copying import Row, Rows, Table, Tables
from tactful.stores.sqlite.reading import LATEST_ATTEMPT

_NOTE_LATEST: Final = """
INSERT INTO notes (key, value) SELECT ?, max(at) FROM attempts HAVING max(at) IS NOT NULL
"""


class SqliteTables(Tables):
    """`Tables` on a connection in a transaction.

    The note of the latest attempt is left out and made anew: it saves a look into the attempts.
    """

    own: Mapping[str, str] = {"notes": f"key <> '{LATEST_ATTEMPT}'"}

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def ask(self, sql: str) -> Rows:
        yield from self._connection.execute(sql)

    def number(self, table: str) -> int:
        rows = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return max((int(str(number)) for (number,) in rows), default=0)

    def fitting(self, value: Any) -> Any:
        return value

    def put(self, table: Table, rows: Iterator[Row]) -> None:
        places = ", ".join("?" * len(table.columns))
        columns = ", ".join(table.columns)
        sql = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"
        self._connection.executemany(sql, rows)

    def finish(self, numbers: Mapping[str, int]) -> None:
        self._connection.execute(_NOTE_LATEST, (LATEST_ATTEMPT,))
        for table, number in numbers.items():
            highest = max(number, self.number(table))
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self._connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, highest))
