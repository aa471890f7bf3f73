"""The tables of a PostgreSQL store, to be copied; see `stores.relational.copying`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from tactful.stores.postgres.arrays import storable
from tactful.stores.postgres.connection import Connection
from tactful.stores.postgres.weeks import make
from tactful.stores.relational.copying import TABLES, Row, Rows, Table, Tables

# These transactions last as long as there are rows, and read whole tables.
_PATIENT: Final = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL enable_seqscan = on"
)
_PORTION: Final = 10_000
_NAMES: Final = ", ".join(table.name for table in TABLES)

_NUMBER: Final = """
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('{0}', 'seq')::regclass), 0)
"""
_GO_ON_BEHIND: Final = """
SELECT setval(pg_get_serial_sequence('{0}', 'seq'), greatest({1}, max(seq))) FROM {0}
HAVING greatest({1}, max(seq)) > 0
"""


class PostgresTables(Tables):
    """`Tables` on a connection in a transaction.

    Left out are a clock that has never been set, and what was only reserved.
    """

    own: Mapping[str, str] = {
        "notes": "NOT (key = 'clock' AND value = '0')",
        "idempotency": "expires_at >= 0",
        "cells": "tat >= 0",
    }

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(self, mode: str) -> None:
        """Keep others from changing the tables. Before any question: that sees what came last."""
        self._connection.execute(_PATIENT.encode())
        if mode:
            self._connection.execute(f"LOCK TABLE {_NAMES} IN {mode} MODE".encode())

    def ask(self, sql: str) -> Rows:
        with self._connection.cursor() as cursor:
            yield from cursor.stream(sql.encode())

    def number(self, table: str) -> int:
        ((found,),) = self.ask(_NUMBER.format(table))
        return int(found)

    def fitting(self, value: Any) -> Any:
        return storable(value)

    def put(self, table: Table, rows: Iterator[Row]) -> None:
        if table.name in self.own:
            self._connection.execute(f"DELETE FROM {table.name}".encode())
        if table.name != "attempts":
            self._copy_in(table, rows)
            return
        at = table.columns.index("at")
        while some := list(islice(rows, _PORTION)):
            make(self._connection, {row[at] for row in some})
            self._copy_in(table, some)

    def _copy_in(self, table: Table, rows: Iterable[Row]) -> None:
        columns = ", ".join(table.columns)
        sql = f"COPY {table.name} ({columns}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self, numbers: Mapping[str, int]) -> None:
        self._connection.execute(
            "INSERT INTO notes VALUES ('clock', '0') ON CONFLICT (key) DO NOTHING"
        )
        self._connection.execute("UPDATE editions SET edition = edition + 1")
        for table, number in numbers.items():
            # Not undone with the transaction, which leaves a gap in the numbers and no harm.
            self._connection.execute(_GO_ON_BEHIND.format(table, number).encode())
        self._connection.execute(f"ANALYZE {_NAMES}".encode())
