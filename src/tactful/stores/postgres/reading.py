"""Questions to the PostgreSQL store; see `ports.Reader` for what each promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from tactful.core.model import Millis
from tactful.stores.postgres.arrays import array
from tactful.stores.relational.reading import Reading


class PostgresReader(Reading):
    """`ports.Reader` on a connection in a transaction that somebody else ends."""

    def __init__(self, connection: psycopg.Connection[Any], sql: Mapping[str, str]) -> None:
        self._cursor = connection.cursor()
        self._sql = sql

    def latest_attempt(self) -> Millis | None:
        value: Millis | None = self._one("latest_attempt")[0]
        return value

    def _all(self, name: str, /, **values: Any) -> list[Any]:
        return self._execute(name, values).fetchall()

    def _execute(self, name: str, values: dict[str, Any]) -> psycopg.Cursor[Any]:
        for key, value in values.items():
            if isinstance(value, list):
                values[key] = array(value)
        return self._cursor.execute(self._sql[name].encode(), values)
